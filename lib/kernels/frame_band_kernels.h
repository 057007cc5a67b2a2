// SPDX-License-Identifier: GPL-3.0-or-later
// What the features behind matched filters are made by. Internal to features.
#pragma once

#include <cstddef>

namespace softmod
{

constexpr std::size_t band_count = 3, band_reach = 8;
// Half of each symmetric filter, its middle tap first (docs/features.md).
constexpr float matched[band_count][band_reach + 1] = {
    {0.6455f, 0.4975f, 0.1856f, -0.0432f, -0.0831f, -0.0226f, 0.0168f, 0.0111f, -0.0004f},
    {0.5809f, 0.4915f, 0.2791f, 0.0663f, -0.0513f, -0.0633f, -0.0257f, 0.0033f, 0.0064f},
    {0.5250f, 0.4703f, 0.3304f, 0.1637f, 0.0304f, -0.0373f, -0.0453f, -0.0241f, -0.0045f}};

// padded: n samples between band_reach zeros on either side. powers: of the n samples behind each filter, one
// filter after the other. energies: their sums.
using BandKernel = void (*)(const float* padded, std::size_t n, float* powers, double* energies);

void bands_generic(const float* padded, std::size_t n, float* powers, double* energies);
// Of samples first .. last - 1 alone; their powers are added to the energies.
void bands_some(const float* padded, std::size_t n, float* powers, double* energies, std::size_t first,
                std::size_t last);

BandKernel band_kernel(); // for the instruction set in use, see simd.h

} // namespace softmod
