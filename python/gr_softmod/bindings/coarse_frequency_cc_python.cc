// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/coarse_frequency_cc.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;
using gr::softmod::coarse_frequency_cc;

void bind_coarse_frequency_cc(py::module& m)
{
    py::class_<coarse_frequency_cc, gr::block, gr::basic_block, coarse_frequency_cc::sptr>(
        m, "coarse_frequency_cc", doc_coarse_frequency_cc)
        .def(py::init(&coarse_frequency_cc::make), py::arg("samples_per_symbol"), py::arg("symbol_rate"),
             py::arg("max_offset"), py::arg("excess_bandwidth") = 0.35, py::arg("slew") = 1e-7)
        .def("frequency", &coarse_frequency_cc::frequency, doc_coarse_frequency_cc_frequency)
        .def("found", &coarse_frequency_cc::found, doc_coarse_frequency_cc_found);
}
