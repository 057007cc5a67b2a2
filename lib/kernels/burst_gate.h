// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <complex>
#include <vector>

namespace softmod
{

// Sets to 0 what lies between bursts, by the power of 64 pieces of a block: noise alone. Where the loud ones
// have less than four times the power of the quiet ones, there are no bursts. Returns the share that is left.
double silence_between_bursts(std::vector<std::complex<float>>& block);

} // namespace softmod
