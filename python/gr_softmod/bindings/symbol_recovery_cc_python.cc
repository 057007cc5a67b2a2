// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/symbol_recovery_cc.h>

namespace py = pybind11;
using gr::softmod::symbol_recovery_cc;

void bind_symbol_recovery_cc(py::module& m)
{
    py::class_<symbol_recovery_cc, gr::block, gr::basic_block, symbol_recovery_cc::sptr>(
        m, "symbol_recovery_cc", doc_symbol_recovery_cc)
        .def(py::init([](const py::object& constellation, double rotation, double symbol_rate,
                         unsigned equalizer_taps, double loop_bandwidth, unsigned acquisition) {
                 return symbol_recovery_cc::make(constellation_points(constellation), rotation, symbol_rate,
                                                 equalizer_taps, loop_bandwidth, acquisition);
             }),
             py::arg("constellation"), py::arg("rotation") = 0.0, py::arg("symbol_rate") = 1.0,
             py::arg("equalizer_taps") = 1, py::arg("loop_bandwidth") = 0.01, py::arg("acquisition") = 0)
        .def("set_loop_bandwidth", &symbol_recovery_cc::set_loop_bandwidth, py::arg("loop_bandwidth"),
             doc_symbol_recovery_cc_set_loop_bandwidth)
        .def("locked", &symbol_recovery_cc::locked, doc_symbol_recovery_cc_locked)
        .def("frequency", &symbol_recovery_cc::frequency, doc_symbol_recovery_cc_frequency)
        .def("noise_var", &symbol_recovery_cc::noise_var, doc_symbol_recovery_cc_noise_var)
        .def("symmetry", &symbol_recovery_cc::symmetry, doc_symbol_recovery_cc_symmetry);
}
