// SPDX-License-Identifier: GPL-3.0-or-later
#include "burst_gate.h"

#include <algorithm>
#include <cmath>

namespace softmod
{

namespace
{

constexpr std::size_t PIECES = 64, OUTLIERS = 4; // of a block; quietest and loudest that count for nothing
constexpr double BURST = 4;                      // power of loud pieces over that of quiet ones
constexpr double LOWEST_LIMIT = 0.03;            // of the loud ones: weaker pieces are no part of the burst

} // namespace

double silence_between_bursts(std::vector<std::complex<float>>& block)
{
    const std::size_t length = block.size() / PIECES;
    std::vector<double> powers(PIECES);
    for (std::size_t p = 0; p < PIECES; ++p)
        for (std::size_t k = p * length; k < (p + 1) * length; ++k)
            powers[p] += std::norm(block[k]);
    auto sorted = powers;
    std::sort(sorted.begin(), sorted.end());
    const double quiet = sorted[OUTLIERS], loud = sorted[PIECES - 1 - OUTLIERS];
    if (!(loud > BURST * quiet))
        return 1;
    const double limit = std::max(std::sqrt(quiet * loud), LOWEST_LIMIT * loud);
    std::size_t left = 0;
    for (std::size_t p = 0; p < PIECES; ++p) {
        // A burst begins and ends within the piece beside its loud ones.
        const bool burst = powers[p] > limit || (p > 0 && powers[p - 1] > limit) ||
                           (p + 1 < PIECES && powers[p + 1] > limit);
        if (burst)
            ++left;
        else
            std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(p * length), length, 0.0f);
    }
    return static_cast<double>(left) / PIECES;
}

} // namespace softmod
