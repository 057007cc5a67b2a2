// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols to log-likelihood ratios, for any constellation.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace softmod
{

struct DemapTables;

enum class DemapMethod {
    exact,  // log-MAP: ln of the sum of the likelihoods of all points
    maxlog, // the nearest point of each bit value alone
};

// llr[k] = ln P(b_k = 1 | y) - ln P(b_k = 0 | y), with P(y | s) proportional to exp(-|y - s|^2 / noise_var).
//
// Bits run most significant first: bit k of points[label] is (label >> (m - 1 - k)) & 1. noise_var is E|n|^2
// of the complex noise, half of it per real dimension, for one-dimensional constellations too. Constellations
// whose bits belong each to one axis (square QAM, PAM, BPSK, QPSK) are worked axis by axis; all others over
// all points.
//
// Immutable after construction; calls may run in parallel. Buffers need no alignment and must not overlap.
class SoftDemapper
{
public:
    // points are indexed by label; 2 to 65536 of them, a power of two; energy is not normalised.
    // Throws std::invalid_argument, in one sentence, for a wrong count, a point that is not finite or a
    // largest magnitude outside 1e-6 to 1e6.
    explicit SoftDemapper(const std::vector<std::complex<double>>& points,
                          DemapMethod method = DemapMethod::exact);
    explicit SoftDemapper(const std::vector<std::complex<float>>& points,
                          DemapMethod method = DemapMethod::exact);

    unsigned bits_per_symbol() const;
    std::size_t order() const;
    DemapMethod method() const;
    bool separable() const; // worked axis by axis

    // y[n] -> llr[n * m], first bit of a symbol first. noise_var: one value, or n of them.
    // priors: nullptr or n * m LLRs known beforehand; the output then is the a posteriori LLR (extrinsic =
    // output - prior). Priors beyond +-1e30 are taken as that, NaN as 0.
    //
    // Every output is finite. Returns the number of unusable symbols: a sample that is not finite or a
    // noise_var that is not positive and finite gives LLR 0 for the symbol's bits; a NaN prior only counts.
    std::size_t demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr,
                      const float* priors = nullptr) const;
    std::size_t demap(const std::complex<float>* y, std::size_t n, const float* noise_var, float* llr,
                      const float* priors = nullptr) const;

    // The same in 8 bits: llr * scale, rounded to nearest, saturated to [-127, 127]. scale is positive and
    // finite.
    std::size_t demap_int8(const std::complex<float>* y, std::size_t n, float noise_var, float scale,
                           std::int8_t* llr, const float* priors = nullptr) const;
    std::size_t demap_int8(const std::complex<float>* y, std::size_t n, const float* noise_var, float scale,
                           std::int8_t* llr, const float* priors = nullptr) const;

private:
    std::shared_ptr<const DemapTables> d_tables;
};

} // namespace softmod
