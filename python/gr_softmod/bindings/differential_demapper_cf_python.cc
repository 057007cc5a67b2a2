// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/differential_demapper_cf.h>

namespace py = pybind11;
using gr::softmod::differential_demapper_cf;

void bind_differential_demapper_cf(py::module& m)
{
    py::class_<differential_demapper_cf, gr::block, gr::basic_block, differential_demapper_cf::sptr>(
        m, "differential_demapper_cf", doc_differential_demapper_cf)
        .def(py::init([](const py::object& constellation, double noise_var) {
                 return differential_demapper_cf::make(constellation_points(constellation), noise_var);
             }),
             py::arg("constellation"), py::arg("noise_var") = 1.0)
        .def("set_noise_var", &differential_demapper_cf::set_noise_var, py::arg("noise_var"),
             doc_differential_demapper_cf_set_noise_var)
        .def("noise_var", &differential_demapper_cf::noise_var, doc_differential_demapper_cf_noise_var);
}
