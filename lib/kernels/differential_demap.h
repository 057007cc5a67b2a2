// SPDX-License-Identifier: GPL-3.0-or-later
// Soft bits of differentially coded PSK.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

// llr[k] = ln P(b_k = 1 | y, y') - ln P(b_k = 0 | y, y') of the label d that turned symbol y' into y.
//
// The transmitter turns the phase by arg(points[d]) - arg(points[0]): label 0 repeats the symbol before it.
// (BPSK with bit 0 at +1: the bit is 1 where the phase changes.) Both symbols are demapped coherently and
// every pair of sent points is summed over, which is the exact a posteriori probability of the pair: for BPSK
// the well-known 2 atanh(tanh(a / 2) tanh(b / 2)) with the sign of ln P(1)/P(0). A turn of the whole
// constellation by one of its own angles changes nothing, so the carrier's phase ambiguity is gone.
class DifferentialDemapper
{
public:
    // points: PSK by label, all 2^m multiples of 2 pi / 2^m on one circle, m from 1 to 6. Throws
    // std::invalid_argument.
    explicit DifferentialDemapper(const std::vector<std::complex<float>>& points);

    unsigned bits_per_symbol() const { return d_bits; }

    // y[n] -> llr[n * m]; remembers the last symbol for the next call. The LLRs of the very first symbol are
    // 0, as are those of a sample that is not finite and of the one behind it. Precondition: noise_var
    // positive and finite.
    void demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr);

private:
    const unsigned d_bits;
    std::vector<std::complex<float>> d_points; // by phase
    std::vector<unsigned> d_label;             // of a turn by so many steps
    bool d_known = false;                      // whether the last symbol was finite
    std::vector<float> d_before, d_now;        // log-likelihoods of the points for the last two symbols
    std::vector<float> d_turn;                 // log-likelihoods of the turns
};

} // namespace softmod
