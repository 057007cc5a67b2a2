// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/noise_estimator_cc.h>

namespace py = pybind11;
using gr::softmod::noise_estimator_cc;

void bind_noise_estimator_cc(py::module& m)
{
    py::class_<noise_estimator_cc, gr::sync_block, gr::block, gr::basic_block, noise_estimator_cc::sptr>(
        m, "noise_estimator_cc", doc_noise_estimator_cc)
        .def(py::init([](const py::object& c, std::uint64_t period, bool normalize, std::uint64_t max_symbols,
                         double accuracy_db) {
                 return noise_estimator_cc::make(constellation_points(c), period, normalize, max_symbols,
                                                 accuracy_db);
             }),
             py::arg("constellation"), py::arg("period") = 4096, py::arg("normalize") = false,
             py::arg("max_symbols") = 32768, py::arg("accuracy_db") = 0.1)
        .def(
            "set_constellation",
            [](noise_estimator_cc& self, const py::object& c) {
                const auto points = constellation_points(c);
                py::gil_scoped_release release;
                self.set_constellation(points);
            },
            py::arg("constellation"), doc_noise_estimator_cc_set_constellation)
        .def("constellation", &noise_estimator_cc::constellation, doc_noise_estimator_cc_constellation)
        .def("set_period", &noise_estimator_cc::set_period, py::arg("period"),
             doc_noise_estimator_cc_set_period)
        .def("period", &noise_estimator_cc::period, doc_noise_estimator_cc_period)
        .def("set_normalize", &noise_estimator_cc::set_normalize, py::arg("normalize"),
             doc_noise_estimator_cc_set_normalize)
        .def("normalize", &noise_estimator_cc::normalize, doc_noise_estimator_cc_normalize)
        .def("noise_var", &noise_estimator_cc::noise_var, doc_noise_estimator_cc_noise_var)
        .def("esn0_db", &noise_estimator_cc::esn0_db, doc_noise_estimator_cc_esn0_db)
        .def("gain", &noise_estimator_cc::gain, doc_noise_estimator_cc_gain)
        .def("invalid_count", &noise_estimator_cc::invalid_count, doc_noise_estimator_cc_invalid_count);
}
