// SPDX-License-Identifier: GPL-3.0-or-later
// LLRs to expected symbols: the inverse of the soft demapper.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <vector>

namespace softmod
{

struct MapTables;

// For independent bits with llr_k = ln P(b_k = 1) / P(b_k = 0):
//   symbol   = E[s]            = sum over labels of P(label) * points[label]
//   variance = E|s - E[s]|^2,  next to 0 for certain bits
// Source: Tuchler, Singer, Koetter, "Minimum mean squared error equalization using a priori information",
// 2002.
//
// Immutable after construction; calls may run in parallel. Buffers need no alignment and must not overlap.
class SoftMapper
{
public:
    // The same points, and the same std::invalid_argument, as SoftDemapper.
    explicit SoftMapper(const std::vector<std::complex<double>>& points);
    explicit SoftMapper(const std::vector<std::complex<float>>& points);

    unsigned bits_per_symbol() const;
    std::size_t order() const;

    // llr[n_symbols * m] -> symbols[n_symbols] and, unless nullptr, variance[n_symbols]. Infinite LLRs are
    // certain bits. Returns how many LLRs were NaN; they are taken as 0.
    std::size_t map(const float* llr, std::size_t n_symbols, std::complex<float>* symbols,
                    float* variance = nullptr) const;

private:
    std::shared_ptr<const MapTables> d_tables;
};

} // namespace softmod
