// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of the soft mapper, one for each instruction set. Internal to soft_map.
#pragma once

#include "soft_demap_tables.h"

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

struct MapTables : DemapTables {
    std::vector<float> point_re, point_im; // by label

    explicit MapTables(const std::vector<std::complex<double>>& points);
};

struct MapJob {
    const float* llr; // n * m
    std::size_t n;
    std::complex<float>* symbols;
    float* variance; // n, or nullptr
};

// Returns how many LLRs were NaN.
using MapKernel = std::size_t (*)(const MapTables& tables, const MapJob& job);

std::size_t map_generic(const MapTables& tables,
                        const MapJob& job); // the plain form: the oracle of all others
MapKernel map_kernel();                     // for the instruction set in use, see simd.h

} // namespace softmod
