// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <complex>
#include <vector>

namespace softmod
{

// Points scaled so that the mean of |s|^2 is 1. Throws std::invalid_argument, in one sentence, for no points,
// a point that is not finite or points that are all 0.
std::vector<std::complex<float>> unit_energy(std::vector<std::complex<float>> points);

} // namespace softmod
