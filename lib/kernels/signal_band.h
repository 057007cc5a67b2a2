// SPDX-License-Identifier: GPL-3.0-or-later
// Where in a power spectrum the strongest signal lies.
#pragma once

#include <cstddef>
#include <vector>

namespace softmod
{

struct SignalBand {
    double center, width; // bins; between the points of half the signal's power density
    double level, noise;  // power densities: of signal and noise in the middle, of noise beside it
};

// Mean of a spectrum over `width` bins (made odd) around each of its own; the spectrum is a circle.
std::vector<double> smoothed(const std::vector<double>& spectrum, std::size_t width);

// The strongest signal of a power spectrum, whose last bin is beside the first. For a root raised cosine
// pulse the width is the symbol rate, whatever the roll-off. The noise is what lies beside the signal, so a
// floor that a receiver's filter has shaped does no harm. False: nothing stands out, or nothing but single
// bins.
bool find_band(const std::vector<double>& spectrum, SignalBand& band);

} // namespace softmod
