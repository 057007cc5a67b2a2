// SPDX-License-Identifier: GPL-3.0-or-later
// Binds the blocks that softmod.receiver is made of.
#include "constellation_caster.h"

#include <gnuradio/softmod/agc_cc.h>
#include <gnuradio/softmod/coarse_frequency_cc.h>
#include <gnuradio/softmod/differential_demapper_cf.h>
#include <gnuradio/softmod/symbol_recovery_cc.h>
#include <gnuradio/softmod/timing_recovery_cc.h>

namespace py = pybind11;
using namespace gr::softmod;

void bind_receiver(py::module& m)
{
    py::class_<agc_cc, gr::sync_block, gr::block, gr::basic_block, agc_cc::sptr>(
        m, "agc_cc", "Scales samples to a mean power of 1, as fast at any level.")
        .def(py::init(&agc_cc::make), py::arg("length") = 1024)
        .def("gain", &agc_cc::gain, "Gain of the latest sample.");

    py::class_<coarse_frequency_cc, gr::block, gr::basic_block, coarse_frequency_cc::sptr>(
        m, "coarse_frequency_cc",
        "Takes a signal of known pulse shape to frequency 0 by the shape of its spectrum.")
        .def(py::init(&coarse_frequency_cc::make), py::arg("samples_per_symbol"), py::arg("symbol_rate"),
             py::arg("max_offset"), py::arg("excess_bandwidth") = 0.35, py::arg("slew") = 1e-7)
        .def("frequency", &coarse_frequency_cc::frequency, "What is being taken off, in hertz.")
        .def("found", &coarse_frequency_cc::found, "Whether there is a signal.");

    py::class_<timing_recovery_cc, gr::block, gr::basic_block, timing_recovery_cc::sptr>(
        m, "timing_recovery_cc",
        "Samples behind a matched filter, 4 a symbol at a mean power of 1, to samples at the symbols.")
        .def(py::init(&timing_recovery_cc::make), py::arg("excess_bandwidth") = 0.35,
             py::arg("loop_bandwidth") = 0.002, py::arg("outputs_per_symbol") = 1,
             py::arg("largest_clock_error") = 0.005, py::arg("acquisition") = 0)
        .def("set_loop_bandwidth", &timing_recovery_cc::set_loop_bandwidth, py::arg("loop_bandwidth"))
        .def("locked", &timing_recovery_cc::locked)
        .def("clock_error", &timing_recovery_cc::clock_error, "Of a symbol's duration, as a share of it.");

    py::class_<symbol_recovery_cc, gr::block, gr::basic_block, symbol_recovery_cc::sptr>(
        m, "symbol_recovery_cc",
        "Timed samples of any constellation to symbols: carrier phase, amplitude and an optional equaliser.")
        .def(py::init([](const py::object& constellation, double rotation, double symbol_rate,
                         unsigned equalizer_taps, double loop_bandwidth, unsigned acquisition) {
                 return symbol_recovery_cc::make(constellation_points(constellation), rotation, symbol_rate,
                                                 equalizer_taps, loop_bandwidth, acquisition);
             }),
             py::arg("constellation"), py::arg("rotation") = 0.0, py::arg("symbol_rate") = 1.0,
             py::arg("equalizer_taps") = 1, py::arg("loop_bandwidth") = 0.01, py::arg("acquisition") = 0)
        .def("set_loop_bandwidth", &symbol_recovery_cc::set_loop_bandwidth, py::arg("loop_bandwidth"))
        .def("locked", &symbol_recovery_cc::locked)
        .def("frequency", &symbol_recovery_cc::frequency,
             "Offset of the carrier, in the unit of symbol_rate.")
        .def("noise_var", &symbol_recovery_cc::noise_var, "E|n|^2 around the latest symbols.")
        .def("symmetry", &symbol_recovery_cc::symmetry,
             "Turns by 2 pi / symmetry leave the constellation as it is.");

    py::class_<differential_demapper_cf, gr::sync_interpolator, gr::sync_block, gr::block, gr::basic_block,
               differential_demapper_cf::sptr>(m, "differential_demapper_cf",
                                               "Symbols of differentially coded PSK to LLRs.")
        .def(py::init([](const py::object& constellation, double noise_var) {
                 return differential_demapper_cf::make(constellation_points(constellation), noise_var);
             }),
             py::arg("constellation"), py::arg("noise_var") = 1.0)
        .def("set_noise_var", &differential_demapper_cf::set_noise_var, py::arg("noise_var"))
        .def("noise_var", &differential_demapper_cf::noise_var);
}
