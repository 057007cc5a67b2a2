// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
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
    static const std::string doc = std::string(doc_ber_meter) + R"doc(

Args:
    sequence: "prbs9", "prbs15", "prbs23" or "prbs31"; bits [N] in {0, 1}, repeated for ever; or the path of a file of
        one byte, 0 or 1, per bit.
    soft: True: the input is float LLRs; False: bytes.
    frame_bits: bits of a frame. 0: all given bits, no frames of a PRBS. Frames of given bits divide them or are a
        multiple of them.
    period: bits from one message to the next.

Raises:
    ValueError: there is no such PRBS or file, an item is not 0 or 1, frames do not fit the bits, or period is 0.
    TypeError: the sequence is none of these.)doc";
    py::class_<ber_meter, gr::sync_block, gr::block, gr::basic_block, ber_meter::sptr>(m, "ber_meter",
                                                                                       doc.c_str())
        .def(py::init(&make), py::arg("sequence"), py::arg("soft") = true, py::arg("frame_bits") = 0,
             py::arg("period") = 100000)
        .def(
            "counts", [](const ber_meter& self) { return as_dict(self.counts()); }, doc_ber_meter_counts)
        .def("reset", &ber_meter::reset, doc_ber_meter_reset)
        .def("set_period", &ber_meter::set_period, py::arg("period"), doc_ber_meter_set_period)
        .def("period", &ber_meter::period, doc_ber_meter_period);
}
