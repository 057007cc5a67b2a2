// SPDX-License-Identifier: GPL-3.0-or-later
// From samples at any rate to four a symbol behind the matched filter, in one step.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

struct MatchedResamplerConfig {
    double samples_per_symbol = 4;  // of the input, from 1.2 up
    double center = 0;              // taken to frequency 0, in cycles a sample of the input, within +-1/2
    double excess_bandwidth = 0.35; // of the root raised cosine, in (0, 1]
};

// An output is the correlation of the input with the pulse around that instant: a bank of pulses, each a
// fraction of a sample later than the one before, and a straight line between neighbours. So the matched
// filter is the resampler's and the channel's filter too, and its cost, 128 products an input sample, depends
// on no rate. Samples before the first are silence.
class MatchedResampler
{
public:
    using Complex = std::complex<float>;
    static constexpr unsigned OUTPUTS_PER_SYMBOL = 4;

    // Throws std::invalid_argument, in one sentence.
    explicit MatchedResampler(const MatchedResamplerConfig& config);

    // Appends what n samples complete: output k is that of input sample k * step().
    void process(const Complex* in, std::size_t n, std::vector<Complex>& out);

    double step() const { return d_step; } // input samples an output

private:
    void forget();

    double d_step;
    std::size_t d_taps, d_phases;
    std::vector<float> d_bank; // [phase][tap]
    std::vector<float> d_re, d_im;
    double d_turn, d_angle = 0; // radians a sample, of the next sample
    double d_instant;           // of the next output, in samples of d_re
};

} // namespace softmod
