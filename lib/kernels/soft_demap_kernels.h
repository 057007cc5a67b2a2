// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of the demapper, one set for each instruction set. Internal to soft_demap.
#pragma once

#include "soft_demap_tables.h"

#include <complex>
#include <cstddef>
#include <cstdint>

namespace softmod
{

// A stretch of symbols that needs no further care: every sample and prior is finite and moderate, every
// noise_var positive and moderate (soft_demap.cc sees to that), so that no metric overflows.
struct DemapJob {
    static constexpr std::size_t max_symbols = 512; // input, output and scratch stay in the L1 cache

    const std::complex<float>* y;
    std::size_t n;
    const float* noise_var;
    bool noise_per_symbol; // else noise_var[0] for all
    const float* priors;   // n * m, or nullptr
    float* llr;            // n * m
};

struct DemapKernels {
    void (*demap)(const DemapTables& tables, const DemapJob& job);
    bool (*all_within)(const float* x, std::size_t n, float limit); // every |x| <= limit; NaN is not
    // saturate(round(llr * scale)) in [-127, 127]
    void (*quantise)(const float* llr, std::size_t n, float scale, std::int8_t* out);
};

const DemapKernels& demap_kernels_generic(); // the plain form: the oracle of all others
const DemapKernels& demap_kernels();         // for the instruction set in use, see simd.h

} // namespace softmod
