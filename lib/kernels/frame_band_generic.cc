// SPDX-License-Identifier: GPL-3.0-or-later
// The matched filters as plainly as they can be written; the SIMD forms are tested against them, and end by
// them.
#include "frame_band_kernels.h"

#include <algorithm>

namespace softmod
{

void bands_some(const float* padded, std::size_t n, float* powers, double* energies, std::size_t first,
                std::size_t last)
{
    for (std::size_t band = 0; band < band_count; ++band)
        for (std::size_t i = first; i < last; ++i) {
            float power = 0.0f;
            for (std::size_t part = 0; part < 2; ++part) {
                const float* window = padded + 2 * i + part; // from band_reach samples before sample i on
                float value = matched[band][0] * window[2 * band_reach];
                for (std::size_t k = 1; k <= band_reach; ++k)
                    value += matched[band][k] * (window[2 * (band_reach - k)] + window[2 * (band_reach + k)]);
                power += value * value;
            }
            powers[band * n + i] = power;
            energies[band] += static_cast<double>(power);
        }
}

void bands_generic(const float* padded, std::size_t n, float* powers, double* energies)
{
    std::fill(energies, energies + band_count, 0.0);
    bands_some(padded, n, powers, energies, 0, n);
}

} // namespace softmod
