// SPDX-License-Identifier: GPL-3.0-or-later
#include <gnuradio/softmod/ber_meter.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using gr::softmod::ber_meter;

namespace
{

// The number of stages, or the bits, of what Python takes as a sequence.
ber_meter::sptr make(const py::object& sequence, bool soft, std::uint64_t frame_bits, std::uint64_t period)
{
    const auto known = py::module_::import("gr_softmod.blocks.sequence").attr("known_sequence")(sequence);
    if (py::isinstance<py::int_>(known))
        return ber_meter::make_prbs(known.cast<unsigned>(), soft, frame_bits, period);
    return ber_meter::make_bits(known.cast<std::vector<std::uint8_t>>(), soft, frame_bits, period);
}

py::dict as_dict(const ber_meter::result& r)
{
    py::dict d;
    d["bits"] = r.bits;
    d["errors"] = r.errors;
    d["ber"] = r.ber;
    d["ber_low"] = r.ber_low;
    d["ber_high"] = r.ber_high;
    d["frames"] = r.frames;
    d["frame_errors"] = r.frame_errors;
    d["fer"] = r.fer;
    d["fer_low"] = r.fer_low;
    d["fer_high"] = r.fer_high;
    d["synced"] = r.synced;
    d["inverted"] = r.inverted;
    d["slips"] = r.slips;
    return d;
}

} // namespace

void bind_ber_meter(py::module& m)
{
    py::class_<ber_meter, gr::sync_block, gr::block, gr::basic_block, ber_meter::sptr>(m, "ber_meter")
        .def(py::init(&make), py::arg("sequence"), py::arg("soft") = true, py::arg("frame_bits") = 0,
             py::arg("period") = 100000)
        .def("counts", [](const ber_meter& self) { return as_dict(self.counts()); })
        .def("reset", &ber_meter::reset)
        .def("set_period", &ber_meter::set_period, py::arg("period"))
        .def("period", &ber_meter::period);
}
