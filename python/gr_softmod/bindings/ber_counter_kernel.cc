// SPDX-License-Identifier: GPL-3.0-or-later
#include "ber_counter.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

namespace py = pybind11;
using softmod::BerCounter;
using softmod::KnownSequence;

namespace
{

using Bits = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;

KnownSequence sequence_of(const py::object& sequence)
{
    if (py::isinstance<py::int_>(sequence))
        return KnownSequence::prbs(sequence.cast<unsigned>());
    const auto bits = sequence.cast<Bits>();
    return KnownSequence::of_bits({bits.data(), bits.data() + bits.size()});
}

Bits prbs(unsigned stages, std::size_t count, std::uint64_t skip)
{
    const auto sequence = KnownSequence::prbs(stages);
    auto position = sequence.start();
    for (skip %= sequence.period(); skip > 0; --skip)
        position = sequence.next(position);
    Bits bits(count);
    auto* out = bits.mutable_data();
    for (std::size_t i = 0; i < count; ++i, position = sequence.next(position))
        out[i] = sequence.bit(position);
    return bits;
}

} // namespace

void bind_ber_counter(py::module& m)
{
    py::class_<BerCounter>(m, "BerCounter",
                           R"doc(Counts errors of bits against a known sequence; finds where in it they begin.

    Args:
        sequence: 9, 15, 23 or 31 (stages of a PRBS of ITU-T O.150), or bits [N] in {0, 1}, repeated for ever.
        frame_bits: bits of a frame; 0 means the given bits, or no frames of a PRBS.
    Raises:
        ValueError: other stages, no bits or other values, frames that would not begin at the same places each time.
    )doc")
        .def(py::init([](const py::object& sequence, std::uint64_t frame_bits) {
                 return BerCounter(sequence_of(sequence), frame_bits);
             }),
             py::arg("sequence"), py::arg("frame_bits") = 0)
        .def(
            "count", [](BerCounter& self, const Bits& bits) { self.count(bits.data(), bits.size()); },
            py::arg("bits"), "Takes received bits uint8 [N] in {0, 1}.")
        .def("finish", &BerCounter::finish, "Counts what is held back at the end of a stream.")
        .def("reset", &BerCounter::reset, "Forgets everything, synchronisation too.")
        .def_property_readonly("bits", [](const BerCounter& self) { return self.counts().bits; })
        .def_property_readonly("errors", [](const BerCounter& self) { return self.counts().errors; })
        .def_property_readonly("frames", [](const BerCounter& self) { return self.counts().frames; })
        .def_property_readonly("frame_errors",
                               [](const BerCounter& self) { return self.counts().frame_errors; })
        .def_property_readonly("synced", &BerCounter::synced)
        .def_property_readonly("inverted", &BerCounter::inverted)
        .def_property_readonly("slips", &BerCounter::slips);
    m.def("prbs", &prbs, py::arg("stages"), py::arg("count"), py::arg("skip") = 0,
          "count bits, uint8, of the PRBS of 9, 15, 23 or 31 stages of ITU-T O.150 (not inverted), after "
          "skip bits.");
}
