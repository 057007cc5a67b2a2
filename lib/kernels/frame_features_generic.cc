// SPDX-License-Identifier: GPL-3.0-or-later
// The sums as plainly as they can be written, in double precision; the SIMD forms are tested against them.
#include "frame_features_kernels.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace softmod
{
namespace
{

using Complex = std::complex<double>;

struct Sample {
    Complex x, w, v[3]; // v: orders 2, 4, 8
    double p = 0.0;
};

void add(FeatureSums& all, std::size_t at, Complex z)
{
    all.sums[at] += z.real();
    all.sums[at + 1] += z.imag();
}

} // namespace

void feature_sums_generic(const float* x, std::size_t n, const float* mean, float gain, FeatureSums& all)
{
    Sample ring[longest_lag]; // zeros before the frame begins, so that their products are zero
    for (std::size_t i = 0; i < n; ++i) {
        const auto before = [&](std::size_t lag) -> const Sample& { return ring[(i - lag) % longest_lag]; };
        Sample s;
        s.x = {(x[2 * i] - mean[0]) * gain, (x[2 * i + 1] - mean[1]) * gain};
        s.p = std::norm(s.x);
        const double p = s.p, a = std::sqrt(p + tiny);
        s.w = s.x / a;
        const Complex x2 = s.x * s.x, x4 = x2 * x2, w2 = s.w * s.w, w4 = w2 * w2, w8 = w4 * w4;
        s.v[0] = a * w2;
        s.v[1] = a * w4;
        s.v[2] = a * w8;

        add(all, sum_x, s.x);
        all.sums[sum_a] += a;
        all.sums[sum_ap] += a * p;
        all.sums[sum_low_4] += 1.0 / (1.0 + 4.0 * p);
        all.sums[sum_low_64] += 1.0 / (1.0 + 64.0 * p);
        all.peak = std::max(all.peak, static_cast<float>(p));
        add(all, sum_m20, x2);
        add(all, sum_m40, x4);
        add(all, sum_m41, x2 * p);
        add(all, sum_m60, x4 * x2);
        add(all, sum_m61, x4 * p);
        add(all, sum_m62, x2 * p * p);
        all.sums[sum_m42] += p * p;
        all.sums[sum_m63] += p * p * p;
        for (std::size_t q = 0; q < 3; ++q)
            add(all, sum_limited + 2 * q, s.v[q]);
        add(all, sum_limited + 6, a * w8 * w8);
        for (std::size_t k = 0; k < std::size(signal_lags); ++k)
            add(all, sum_lag + 2 * k, s.x * std::conj(before(signal_lags[k]).x));
        const Complex u1 = s.w * std::conj(before(turn_lags[0]).w), u1x2 = u1 * u1;
        const Complex u4 = s.w * std::conj(before(turn_lags[1]).w);
        add(all, sum_turn_1, u1);
        add(all, sum_turn_1 + 2, u1x2);
        add(all, sum_turn_1 + 4, u1x2 * u1x2);
        add(all, sum_turn_4, u4);
        add(all, sum_turn_4 + 2, u4 * u4);
        for (std::size_t q = 0; q < 3; ++q)
            for (std::size_t k = 0; k < std::size(line_lags); ++k)
                add(all, sum_line + 4 * q + 2 * k, s.v[q] * std::conj(before(line_lags[k]).v[q]));
        for (std::size_t k = 0; k < std::size(power_lags); ++k)
            all.sums[sum_power + k] += p * before(power_lags[k]).p;
        ring[i % longest_lag] = s;
    }
}

} // namespace softmod
