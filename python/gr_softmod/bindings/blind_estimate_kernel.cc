// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_estimate.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <vector>

namespace py = pybind11;
using softmod::BlindEstimator;

void bind_blind_estimate(py::module& m)
{
    using Samples = py::array_t<std::complex<float>, py::array::c_style | py::array::forcecast>;
    py::class_<BlindEstimator>(m, "BlindEstimator",
                               R"doc(Symbol rate, place and carrier of a signal of which nothing is known.

    The strongest signal of the spectrum; its symbol clock is a line of cyclostationary signals, its carrier a line of a
    power of its symbols. See lib/kernels/blind_estimate.h.

    Args:
        length: samples of a block, a power of two from 4096 to 2^20; spectra of blocks are averaged.
    Raises:
        ValueError: length is not one of these.
    )doc")
        .def(py::init<std::size_t>(), py::arg("length") = 65536)
        .def_property_readonly("length", &BlindEstimator::length)
        .def(
            "estimate",
            [](const BlindEstimator& self, const Samples& samples, bool symbols) {
                softmod::BlindEstimate e;
                std::vector<std::complex<float>> taken;
                {
                    const py::gil_scoped_release release;
                    e = self.estimate(samples.data(), static_cast<std::size_t>(samples.size()),
                                      symbols ? &taken : nullptr);
                }
                py::dict d;
                d["symbol_rate"] = e.symbol_rate;
                d["rate_quality_db"] = e.rate_quality_db;
                d["center"] = e.center;
                d["bandwidth"] = e.bandwidth;
                d["carrier"] = e.carrier;
                d["carrier_order"] = e.carrier_order;
                d["carrier_quality_db"] = e.carrier_quality_db;
                d["snr_db"] = e.snr_db;
                d["active"] = e.active;
                if (symbols)
                    d["symbols"] = py::array_t<std::complex<float>>(static_cast<py::ssize_t>(taken.size()),
                                                                    taken.data());
                return d;
            },
            py::arg("samples"), py::arg("symbols") = false,
            R"doc(Of samples complex64 [N], N at least 4096: a dict, frequencies in cycles a sample.

    symbol_rate (0: none found), rate_quality_db (of the clock's line over what surrounds it), center, bandwidth
    (between the points of half the power density; 0: there is no signal), carrier (up to multiples of symbol_rate /
    carrier_order; the centre where no line was found), carrier_order (2, 4 or 8: the power of the symbols that has a
    line; 0: none), carrier_quality_db, snr_db (signal over the noise in `bandwidth`, about Es/N0), active (share of
    the samples that was not silence between bursts). With `symbols` also these: complex64, one a symbol, unit power,
    behind a matched filter and in time, not yet turned back by the carrier; none where no rate was found.
    )doc");
}
