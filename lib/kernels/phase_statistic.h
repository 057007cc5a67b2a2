// SPDX-License-Identifier: GPL-3.0-or-later
// A power of the symbols that strips the modulation, so that carrier frequency, phase and lock can be read
// from it.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

// The largest of 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48 and 64 turns of 2 pi / turns that leaves the points as
// they are, or 1.
unsigned symmetry_of(const std::vector<std::complex<float>>& points);

// z = w(|y|) (y / |y|)^order. Symbols that are in phase with the constellation have a mean z that is real and
// positive, coherence(); turned by a, it turns by order * a; uniformly turned, it is 0. The weights w are the
// conjugate mean of the power over the symbols of that amplitude, at the noise where decisions begin to fail:
// this is the weighting that combines them best, and makes the amplitudes of QAM and APSK whose phases say
// nothing count for nothing. E|z|^2 over such symbols is coherence() as well.
//
// The idea of a power-law phase estimator with a nonlinear amplitude: A. J. Viterbi, A. M. Viterbi,
// "Nonlinear estimation of PSK-modulated carrier phase", IEEE Trans. Inf. Theory 29 (1983). Immutable after
// construction.
class PhaseStatistic
{
public:
    // points: E|s|^2 = 1, at least two. Throws std::invalid_argument when no power up to 64 has a mean.
    explicit PhaseStatistic(const std::vector<std::complex<float>>& points);

    std::complex<float> operator()(std::complex<float> y) const;

    unsigned order() const { return d_order; } // the power
    unsigned symmetry() const
    {
        return d_symmetry;
    } // turns by 2 pi / symmetry leave the constellation as it is
    float coherence() const { return d_coherence; }
    float noise_var() const { return d_noise_var; } // at which the weights are best

private:
    unsigned d_order = 1, d_symmetry = 1;
    float d_coherence = 0, d_noise_var = 0;
    std::vector<std::complex<float>> d_weights; // by amplitude
};

} // namespace softmod
