// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"

#include <gnuradio/softmod/channelizer_cc.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

void bind_channelizer_cc(py::module& m)
{
    using gr::softmod::channelizer_cc;
    py::class_<channelizer_cc, gr::sync_decimator, gr::sync_block, gr::block, gr::basic_block,
               channelizer_cc::sptr>(m, "channelizer_cc", doc_channelizer_cc)
        .def(py::init(&channelizer_cc::make), py::arg("channels"), py::arg("taps"));
}
