// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/agc_cc.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;
using gr::softmod::agc_cc;

void bind_agc_cc(py::module& m)
{
    py::class_<agc_cc, gr::sync_block, gr::block, gr::basic_block, agc_cc::sptr>(m, "agc_cc", doc_agc_cc)
        .def(py::init(&agc_cc::make), py::arg("length") = 1024)
        .def("gain", &agc_cc::gain, doc_agc_cc_gain);
}
