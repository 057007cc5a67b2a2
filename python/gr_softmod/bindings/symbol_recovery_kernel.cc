// SPDX-License-Identifier: GPL-3.0-or-later
// Binds SymbolRecovery.
#include "symbol_recovery.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace
{

using Samples = py::array_t<std::complex<float>, py::array::c_style | py::array::forcecast>;

py::array_t<std::complex<float>> process(softmod::SymbolRecovery& recovery, const Samples& samples)
{
    if (samples.ndim() != 1)
        throw std::invalid_argument("samples have " + std::to_string(samples.ndim()) +
                                    " dimensions; they must have one");
    std::vector<std::complex<float>> symbols;
    std::vector<softmod::SymbolRecovery::Mark> marks;
    {
        py::gil_scoped_release release;
        recovery.process(samples.data(), samples.size(), symbols, marks);
    }
    return py::array_t<std::complex<float>>(static_cast<py::ssize_t>(symbols.size()), symbols.data());
}

} // namespace

void bind_symbol_recovery(py::module& m)
{
    using softmod::SymbolRecovery;
    py::class_<SymbolRecovery>(m, "SymbolRecovery", R"(Carrier, amplitude and equaliser (the C++ kernel).

Timed samples, 1 or 2 a symbol, to symbols of any constellation; the phase is known up to 2 pi / symmetry.

Args:
    points: constellation points [M] by label, E|s|^2 = 1.
    rotation: radians that the constellation turns each symbol.
    samples_per_symbol: of the input, 1 or 2.
    equalizer_taps: odd; 1 for no equaliser.
    loop_bandwidth: noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2].
    acquisition: symbols that one search for the carrier looks at, a power of two from 64 to 16384;
        0: what the constellation needs.
Raises:
    ValueError: an argument is out of its range, or the points have no phase that could be found.)")
        .def(py::init([](const std::vector<std::complex<float>>& points, double rotation,
                         unsigned samples_per_symbol, unsigned equalizer_taps, double loop_bandwidth,
                         unsigned acquisition) {
                 return new SymbolRecovery(
                     points, {rotation, samples_per_symbol, equalizer_taps, loop_bandwidth, acquisition});
             }),
             py::arg("points"), py::kw_only(), py::arg("rotation") = 0.0, py::arg("samples_per_symbol") = 1,
             py::arg("equalizer_taps") = 1, py::arg("loop_bandwidth") = 0.01, py::arg("acquisition") = 0)
        .def("process", &process, py::arg("samples"),
             "The symbols complex64 that samples complex64 [N], all finite, complete; state is kept between "
             "calls.")
        .def_property_readonly("locked", &SymbolRecovery::locked)
        .def_property_readonly("frequency", &SymbolRecovery::frequency, "Carrier offset in cycles a symbol.")
        .def_property_readonly("noise_var", &SymbolRecovery::noise_var, "E|n|^2 around the latest symbols.")
        .def_property_readonly("lock_level", &SymbolRecovery::lock_level,
                               "About 1 with a clean lock, 0 in noise.")
        .def_property_readonly("acquisition", &SymbolRecovery::acquisition)
        .def_property_readonly("symmetry", &SymbolRecovery::symmetry,
                               "Turns by 2 pi / symmetry leave the constellation as it is.");
}
