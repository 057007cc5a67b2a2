// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/finite_cc.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_finite_cc(py::module& m)
{
    using gr::softmod::finite_cc;
    py::class_<finite_cc, gr::sync_block, gr::block, gr::basic_block, finite_cc::sptr>(m, "finite_cc",
                                                                                       doc_finite_cc)
        .def(py::init(&finite_cc::make), py::arg("hold") = 64)
        .def("replaced", &finite_cc::replaced, doc_finite_cc_replaced);
}
