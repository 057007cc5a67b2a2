// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include <gnuradio/softmod/window_tap.h>

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using gr::softmod::window_tap;

namespace
{

// The array owns the vector: no copy.
template <class T>
py::array_t<T> as_array(std::vector<T>&& values)
{
    auto* kept = new std::vector<T>(std::move(values));
    const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
    return py::array_t<T>(static_cast<py::ssize_t>(kept->size()), kept->data(), owner);
}

py::object take(window_tap& self, unsigned milliseconds)
{
    std::optional<window_tap::window> w;
    {
        const py::gil_scoped_release release;
        w = self.take(milliseconds);
    }
    if (!w)
        return py::none();
    py::dict d;
    d["sequence"] = w->sequence;
    d["first"] = w->first;
    d["id"] = w->id;
    d["rate"] = w->rate;
    d["frequency"] = w->frequency;
    if (w->timed)
        d["time"] = py::make_tuple(w->time_at, w->seconds, w->fraction);
    else
        d["time"] = py::none();
    d["iq"] = as_array(std::move(w->iq));
    d["llr"] = as_array(std::move(w->llr));
    return d;
}

py::dict counts(const window_tap& self)
{
    const auto c = self.counts();
    py::dict d;
    d["cut"] = c.cut;
    d["queue_full"] = c.queue_full;
    d["too_late"] = c.too_late;
    d["too_many_asked"] = c.too_many_asked;
    return d;
}

} // namespace

void bind_window_tap(py::module& m)
{
    py::class_<window_tap, gr::sync_block, gr::block, gr::basic_block, window_tap::sptr>(m, "window_tap",
                                                                                         doc_window_tap)
        .def(py::init(&window_tap::make), py::arg("length") = 1024, py::arg("period") = 0,
             py::arg("history") = 1 << 18, py::arg("queue") = 64, py::arg("llrs_per_sample") = 0)
        .def("ask", &window_tap::ask, py::arg("first"), py::arg("length"), py::arg("id"), doc_window_tap_ask)
        .def("take", &take, py::arg("milliseconds"), doc_window_tap_take)
        .def("set_period", &window_tap::set_period, py::arg("period"))
        .def("period", &window_tap::period)
        .def("written", &window_tap::written, doc_window_tap_written)
        .def("counts", &counts);
}
