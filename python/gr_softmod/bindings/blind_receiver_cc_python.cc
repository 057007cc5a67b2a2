// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/blind_receiver_cc.h>

namespace py = pybind11;
using gr::softmod::blind_receiver_cc;

void bind_blind_receiver_cc(py::module& m)
{
    py::class_<blind_receiver_cc, gr::block, gr::basic_block, blind_receiver_cc::sptr>(m, "blind_receiver_cc",
                                                                                       doc_blind_receiver_cc)
        .def(py::init([](const std::vector<std::string>& constellations, double sample_rate,
                         double excess_bandwidth, double lowest_symbol_rate, double highest_symbol_rate,
                         double timing_bandwidth, double carrier_bandwidth, unsigned length, unsigned window,
                         double margin, unsigned agreeing) {
                 std::vector<std::vector<gr_complex>> points;
                 for (const auto& name : constellations)
                     points.push_back(constellation_points(py::str(name)));
                 return blind_receiver_cc::make(constellations, points, sample_rate, excess_bandwidth,
                                                lowest_symbol_rate, highest_symbol_rate, timing_bandwidth,
                                                carrier_bandwidth, length, window, margin, agreeing);
             }),
             py::arg("constellations"), py::arg("sample_rate"), py::arg("excess_bandwidth") = 0.35,
             py::arg("lowest_symbol_rate") = 0.0, py::arg("highest_symbol_rate") = 0.0,
             py::arg("timing_bandwidth") = 0.002, py::arg("carrier_bandwidth") = 0.01,
             py::arg("length") = 16384, py::arg("window") = 1024, py::arg("margin") = 20.0,
             py::arg("agreeing") = 2)
        .def("locked", &blind_receiver_cc::locked, doc_blind_receiver_cc_locked)
        .def("constellation", &blind_receiver_cc::constellation, doc_blind_receiver_cc_constellation)
        .def("without_signal", &blind_receiver_cc::without_signal, doc_blind_receiver_cc_without_signal)
        .def("invalid_count", &blind_receiver_cc::invalid_count, doc_blind_receiver_cc_invalid_count);
}
