// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/blind_estimator_c.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;
using gr::softmod::blind_estimator_c;

void bind_blind_estimator_c(py::module& m)
{
    py::class_<blind_estimator_c, gr::sync_block, gr::block, gr::basic_block, blind_estimator_c::sptr>(
        m, "blind_estimator_c", doc_blind_estimator_c)
        .def(py::init(&blind_estimator_c::make), py::arg("sample_rate") = 0.0, py::arg("length") = 65536,
             py::arg("period") = 0, py::arg("live") = false)
        .def("set_period", &blind_estimator_c::set_period, py::arg("period"),
             doc_blind_estimator_c_set_period)
        .def("period", &blind_estimator_c::period, doc_blind_estimator_c_period)
        .def(
            "counts",
            [](const blind_estimator_c& self) {
                const auto c = self.counts();
                py::dict d;
                d["estimated"] = c.estimated;
                d["without_signal"] = c.without_signal;
                d["skipped"] = c.skipped;
                return d;
            },
            doc_blind_estimator_c_counts);
}
