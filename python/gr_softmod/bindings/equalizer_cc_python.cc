// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/equalizer_cc.h>

namespace py = pybind11;
using namespace gr::softmod;

void bind_equalizer_cc(py::module& m)
{
    py::class_<equalizer_cc, gr::sync_decimator, gr::sync_block, gr::block, gr::basic_block,
               equalizer_cc::sptr>(m, "equalizer_cc", doc_equalizer_cc)
        .def(py::init([](const py::object& c, unsigned taps, unsigned samples_per_symbol, float step,
                         const std::string& method, float noise_var, unsigned acquisition, bool adapting) {
                 return equalizer_cc::make(constellation_points(c), taps, samples_per_symbol, step, method,
                                           noise_var, acquisition, adapting);
             }),
             py::arg("constellation"), py::arg("taps") = 11, py::arg("samples_per_symbol") = 1,
             py::arg_v("step", 0.01f, "0.01"), py::arg("method") = "likelihood", py::arg("noise_var") = 0,
             py::arg("acquisition") = 3000, py::arg("adapting") = true)
        .def(
            "set_constellation",
            [](equalizer_cc& self, const py::object& c) {
                const auto points = constellation_points(c);
                py::gil_scoped_release release;
                self.set_constellation(points);
            },
            py::arg("constellation"), doc_equalizer_cc_set_constellation)
        .def("constellation", &equalizer_cc::constellation, doc_equalizer_cc_constellation)
        .def("set_step", &equalizer_cc::set_step, py::arg("step"), doc_equalizer_cc_set_step)
        .def("step", &equalizer_cc::step, doc_equalizer_cc_step)
        .def("set_method", &equalizer_cc::set_method, py::arg("method"), doc_equalizer_cc_set_method)
        .def("method", &equalizer_cc::method, doc_equalizer_cc_method)
        .def("set_noise_var", &equalizer_cc::set_noise_var, py::arg("noise_var"),
             doc_equalizer_cc_set_noise_var)
        .def("noise_var", &equalizer_cc::noise_var, doc_equalizer_cc_noise_var)
        .def("set_adapting", &equalizer_cc::set_adapting, py::arg("adapting"), doc_equalizer_cc_set_adapting)
        .def("adapting", &equalizer_cc::adapting, doc_equalizer_cc_adapting)
        .def("reset", &equalizer_cc::reset, doc_equalizer_cc_reset)
        .def("taps", &equalizer_cc::taps, doc_equalizer_cc_taps)
        .def("error_power", &equalizer_cc::error_power, doc_equalizer_cc_error_power)
        .def("invalid_count", &equalizer_cc::invalid_count, doc_equalizer_cc_invalid_count);
}
