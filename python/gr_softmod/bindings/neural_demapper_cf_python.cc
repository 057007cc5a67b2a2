// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "model_argument.h"

#include <gnuradio/softmod/neural_demapper_cf.h>
#include <pybind11/complex.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace gr::softmod;

void bind_neural_demapper_cf(py::module& m)
{
    py::class_<neural_demapper_cf, gr::block, gr::basic_block, neural_demapper_cf::sptr>(
        m, "neural_demapper_cf", doc_neural_demapper_cf)
        .def(py::init([](const py::object& model, float noise_var) {
                 return neural_demapper_cf::make(path_or_bytes(model), noise_var);
             }),
             py::arg("model"), py::arg("noise_var") = 1)
        .def(
            "set_model",
            [](neural_demapper_cf& self, const py::object& model) {
                const auto given = path_or_bytes(model);
                py::gil_scoped_release release;
                self.set_model(given);
            },
            py::arg("model"), doc_neural_demapper_cf_set_model)
        .def("model", &neural_demapper_cf::model, doc_neural_demapper_cf_model)
        .def("bits_per_symbol", &neural_demapper_cf::bits_per_symbol, doc_neural_demapper_cf_bits_per_symbol)
        .def("constellation", &neural_demapper_cf::constellation, doc_neural_demapper_cf_constellation)
        .def("set_noise_var", &neural_demapper_cf::set_noise_var, py::arg("noise_var"),
             doc_neural_demapper_cf_set_noise_var)
        .def("noise_var", &neural_demapper_cf::noise_var, doc_neural_demapper_cf_noise_var)
        .def("invalid_count", &neural_demapper_cf::invalid_count, doc_neural_demapper_cf_invalid_count);
}
