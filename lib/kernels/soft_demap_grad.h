// SPDX-License-Identifier: GPL-3.0-or-later
// The way back through the demapper: from the gradient of a loss to the LLRs to that to what they were made
// of.
#pragma once

#include "soft_demap.h"

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace softmod
{

// Where gradients go; nullptr where one is not wanted. A complex gradient is dL/dRe + j dL/dIm.
struct DemapGradients {
    std::complex<float>* y = nullptr;       // n
    float* noise_var = nullptr;             // n: by symbol even where one noise_var serves all
    float* priors = nullptr;                // n * m
    std::complex<double>* points = nullptr; // M by label; added to what is there
};

// What SoftDemapper computes, differentiated in closed form: nothing need be kept from the way forward.
//
// With metrics g_i the LLR is ln sum exp(g_i) over the points whose bit k is 1, less the same of bit 0, so
// dllr_k / dg_i = +-P(i | y, bit k), and everything else follows from the weights
// w_i = sum_k grad_k dllr_k / dg_i. Max-log has one point for each bit and value, the first of the likeliest.
//
// Immutable after construction; calls may run in parallel on outputs of their own.
class SoftDemapGradient
{
public:
    // As SoftDemapper.
    explicit SoftDemapGradient(const std::vector<std::complex<double>>& points,
                               DemapMethod method = DemapMethod::exact);

    unsigned bits_per_symbol() const;
    std::size_t order() const;

    // y[n], noise_var[1] or [n] and priors (nullptr or [n * m]) as they went into demap; grad[n * m] of its
    // LLRs. False, with outputs in part not written, where any input is not finite or beyond 1e15, or a
    // noise_var below 1e-15: there the demapper saturates, and no float holds the gradient.
    bool run(const std::complex<float>* y, std::size_t n, const float* noise_var, bool noise_per_symbol,
             const float* priors, const float* grad, const DemapGradients& out) const;

private:
    std::shared_ptr<const DemapTables> d_tables, d_plane_tables;
};

} // namespace softmod
