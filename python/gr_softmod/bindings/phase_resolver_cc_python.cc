// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/phase_resolver_cc.h>

namespace py = pybind11;
using gr::softmod::phase_resolver_cc;

void bind_phase_resolver_cc(py::module& m)
{
    py::class_<phase_resolver_cc, gr::block, gr::basic_block, phase_resolver_cc::sptr>(m, "phase_resolver_cc",
                                                                                       doc_phase_resolver_cc)
        .def(py::init([](const py::object& constellation, const std::vector<std::uint8_t>& word,
                         unsigned hold, unsigned dwell) {
                 return phase_resolver_cc::make(constellation_points(constellation), word, hold, dwell);
             }),
             py::arg("constellation"), py::arg("word") = py::tuple(), py::arg("hold") = 8192,
             py::arg("dwell") = 0)
        .def("known", &phase_resolver_cc::known, doc_phase_resolver_cc_known)
        .def("turn", &phase_resolver_cc::turn, doc_phase_resolver_cc_turn);
}
