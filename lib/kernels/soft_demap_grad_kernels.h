// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of the demapper's gradient, one for each instruction set. Internal to soft_demap_grad.
#pragma once

#include "soft_demap_grad.h"
#include "soft_demap_kernels.h"
#include "soft_demap_tables.h"

namespace softmod
{

// A stretch of at most DemapJob::max_symbols symbols with moderate inputs.
struct DemapGradJob {
    const std::complex<float>* y;
    std::size_t n;
    const float* noise_var;
    bool noise_per_symbol; // else noise_var[0] for all
    const float* priors;   // n * m, or nullptr
    const float* grad;     // n * m
    DemapGradients out;    // points only with tables that are not paired
};

using DemapGradKernel = void (*)(const DemapTables& tables, const DemapGradJob& job);

void demap_grad_generic(const DemapTables& tables, const DemapGradJob& job); // the plain form: the oracle
DemapGradKernel demap_grad_kernel();                                         // for the instruction set in use

} // namespace softmod
