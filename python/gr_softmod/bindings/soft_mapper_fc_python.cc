// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "constellation_caster.h"

#include <gnuradio/softmod/soft_mapper_fc.h>

namespace py = pybind11;
using gr::softmod::soft_mapper_fc;

void bind_soft_mapper_fc(py::module& m)
{
    py::class_<soft_mapper_fc, gr::block, gr::basic_block, soft_mapper_fc::sptr>(m, "soft_mapper_fc",
                                                                                 doc_soft_mapper_fc)
        .def(py::init([](const py::object& c) { return soft_mapper_fc::make(constellation_points(c)); }),
             py::arg("constellation"))
        .def(
            "set_constellation",
            [](soft_mapper_fc& self, const py::object& c) {
                const auto points = constellation_points(c);
                py::gil_scoped_release release;
                self.set_constellation(points);
            },
            py::arg("constellation"), doc_soft_mapper_fc_set_constellation)
        .def("constellation", &soft_mapper_fc::constellation, doc_soft_mapper_fc_constellation)
        .def("bits_per_symbol", &soft_mapper_fc::bits_per_symbol, doc_soft_mapper_fc_bits_per_symbol)
        .def("invalid_count", &soft_mapper_fc::invalid_count, doc_soft_mapper_fc_invalid_count);
}
