// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/timing_recovery_cc.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;
using gr::softmod::timing_recovery_cc;

void bind_timing_recovery_cc(py::module& m)
{
    py::class_<timing_recovery_cc, gr::block, gr::basic_block, timing_recovery_cc::sptr>(
        m, "timing_recovery_cc", doc_timing_recovery_cc)
        .def(py::init(&timing_recovery_cc::make), py::arg("excess_bandwidth") = 0.35,
             py::arg("loop_bandwidth") = 0.002, py::arg("outputs_per_symbol") = 1,
             py::arg("largest_clock_error") = 0.005, py::arg("acquisition") = 0)
        .def("set_loop_bandwidth", &timing_recovery_cc::set_loop_bandwidth, py::arg("loop_bandwidth"),
             doc_timing_recovery_cc_set_loop_bandwidth)
        .def("locked", &timing_recovery_cc::locked, doc_timing_recovery_cc_locked)
        .def("clock_error", &timing_recovery_cc::clock_error, doc_timing_recovery_cc_clock_error);
}
