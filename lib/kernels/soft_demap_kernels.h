// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of the demapper, one set per instruction set. Internal to soft_demap.
#pragma once

#include "soft_demap_tables.h"

namespace softmod
{

// A stretch of symbols that needs no further care: every sample and prior is finite and moderate, every
// noise_var positive and moderate (soft_demap.cc sees to that), so that no metric overflows.
struct DemapJob {
    const std::complex<float>* y;
    std::size_t n;
    const float* noise_var;
    bool noise_per_symbol; // else noise_var[0] for all
    const float* priors;   // n * m, or nullptr
    float* llr;            // n * m
};

// The plain form: the oracle of all others.
void demap_generic(const DemapTables& tables, const DemapJob& job);

} // namespace softmod
