// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/soft_demapper.h>

namespace py = pybind11;
using namespace gr::softmod;

void bind_soft_demapper(py::module& m)
{
    py::class_<soft_demapper, gr::block, gr::basic_block, std::shared_ptr<soft_demapper>>(m, "soft_demapper",
                                                                                          doc_soft_demapper)
        .def(
            "set_constellation",
            [](soft_demapper& self, const py::object& c) {
                const auto points = constellation_points(c);
                py::gil_scoped_release release;
                self.set_constellation(points);
            },
            py::arg("constellation"), doc_soft_demapper_set_constellation)
        .def("constellation", &soft_demapper::constellation, doc_soft_demapper_constellation)
        .def("bits_per_symbol", &soft_demapper::bits_per_symbol, doc_soft_demapper_bits_per_symbol)
        .def("set_noise_var", &soft_demapper::set_noise_var, py::arg("noise_var"),
             doc_soft_demapper_set_noise_var)
        .def("noise_var", &soft_demapper::noise_var, doc_soft_demapper_noise_var)
        .def("set_method", &soft_demapper::set_method, py::arg("method"), doc_soft_demapper_set_method)
        .def("method", &soft_demapper::method, doc_soft_demapper_method)
        .def("invalid_count", &soft_demapper::invalid_count, doc_soft_demapper_invalid_count);

    py::class_<soft_demapper_cf, soft_demapper, gr::block, gr::basic_block, soft_demapper_cf::sptr>(
        m, "soft_demapper_cf", doc_soft_demapper_cf)
        .def(py::init([](const py::object& c, float noise_var, const std::string& method) {
                 return soft_demapper_cf::make(constellation_points(c), noise_var, method);
             }),
             py::arg("constellation"), py::arg("noise_var") = 1, py::arg("method") = "exact");

    py::class_<soft_demapper_cb, soft_demapper, gr::block, gr::basic_block, soft_demapper_cb::sptr>(
        m, "soft_demapper_cb", doc_soft_demapper_cb)
        .def(py::init([](const py::object& c, float noise_var, float scale, const std::string& method) {
                 return soft_demapper_cb::make(constellation_points(c), noise_var, scale, method);
             }),
             py::arg("constellation"), py::arg("noise_var") = 1, py::arg("scale") = 8,
             py::arg("method") = "exact")
        .def("set_scale", &soft_demapper_cb::set_scale, py::arg("scale"), doc_soft_demapper_cb_set_scale)
        .def("scale", &soft_demapper_cb::scale, doc_soft_demapper_cb_scale);
}
