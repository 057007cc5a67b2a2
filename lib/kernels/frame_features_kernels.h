// SPDX-License-Identifier: GPL-3.0-or-later
// Sums over a frame from which its features follow. Internal to features.
#pragma once

#include <array>
#include <cstddef>

namespace softmod
{

constexpr std::size_t signal_lags[] = {1, 2, 4, 8, 16, 64}, power_lags[] = {2, 8, 16, 64},
                      line_lags[] = {16, 64}, turn_lags[] = {1, 4};
constexpr std::size_t longest_lag = 64;
constexpr float tiny = 1e-12f; // under roots

// Places in the sums; a complex one takes two. Names as in docs/features.md.
enum FeatureSum : std::size_t {
    sum_x = 0,
    sum_a = 2,
    sum_ap,
    sum_low_4,
    sum_low_64,
    sum_m20,
    sum_m40 = sum_m20 + 2,
    sum_m41 = sum_m40 + 2,
    sum_m60 = sum_m41 + 2,
    sum_m61 = sum_m60 + 2,
    sum_m62 = sum_m61 + 2,
    sum_m42 = sum_m62 + 2,
    sum_m63,
    sum_limited,                 // orders 2, 4, 8, 16
    sum_lag = sum_limited + 8,   // signal_lags
    sum_turn_1 = sum_lag + 12,   // u1, u1^2, u1^4
    sum_turn_4 = sum_turn_1 + 6, // u4, u4^2
    sum_line = sum_turn_4 + 4,   // orders 2, 4, 8 times line_lags
    sum_power = sum_line + 12,   // power_lags
    sum_count = sum_power + 4
};

struct FeatureSums {
    std::array<double, sum_count> sums{};
    float peak = 0.0f; // largest power of a sample
};

using FeatureKernel = void (*)(const float* x, std::size_t n, const float* mean, float gain,
                               FeatureSums& sums);

void feature_sums_generic(const float* x, std::size_t n, const float* mean, float gain, FeatureSums& sums);
FeatureKernel feature_kernel(); // for the instruction set in use, see simd.h

} // namespace softmod
