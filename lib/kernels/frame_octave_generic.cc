// SPDX-License-Identifier: GPL-3.0-or-later
// Envelope and half rate as plainly as they can be written; the SIMD forms are tested against them, and end
// by them.
#include "frame_octave_kernels.h"

#include "frame_features_kernels.h"

#include <algorithm>
#include <cmath>

namespace softmod
{
namespace
{

void add_triangles(float power, double* sums)
{
    const float place = (std::sqrt(power + tiny) - envelope_first) / envelope_step;
    for (std::size_t bin = 0; bin < envelope_bins; ++bin)
        sums[bin] += std::max(0.0f, 1.0f - std::fabs(place - static_cast<float>(bin)));
}

} // namespace

void envelope_generic(const float* x, std::size_t n, const float* mean, float gain, double* sums)
{
    for (std::size_t i = 0; i < n; ++i) {
        const float re = (x[2 * i] - mean[0]) * gain, im = (x[2 * i + 1] - mean[1]) * gain;
        add_triangles(re * re + im * im, sums);
    }
}

void envelope_of_powers_generic(const float* powers, std::size_t n, float scale, double* sums)
{
    for (std::size_t i = 0; i < n; ++i)
        add_triangles(powers[i] * scale, sums);
}

double halve_some(const float* x, std::size_t n, const float* mean, float gain, float* out, std::size_t first,
                  std::size_t last)
{
    double energy = 0.0;
    for (std::size_t m = first; m < last; ++m)
        for (std::size_t part = 0; part < 2; ++part) {
            const auto at = [&](std::size_t forward, std::size_t back) { // sample 2 m + forward - back
                const std::size_t i = 2 * m + forward - back;            // wraps to far beyond n below zero
                return i < n ? (x[2 * i + part] - mean[part]) * gain : 0.0f;
            };
            const float value = half_band[0] * at(0, 0) + half_band[1] * (at(0, 1) + at(1, 0)) +
                                half_band[2] * (at(0, 3) + at(3, 0));
            out[2 * m + part] = value;
            energy += static_cast<double>(value) * static_cast<double>(value);
        }
    return energy;
}

double halve_generic(const float* x, std::size_t n, const float* mean, float gain, float* out)
{
    return halve_some(x, n, mean, gain, out, 0, n / 2);
}

} // namespace softmod
