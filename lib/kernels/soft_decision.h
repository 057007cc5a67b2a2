// SPDX-License-Identifier: GPL-3.0-or-later
// What a received symbol says about the sent one: the posterior mean, which loops use where a hard decision
// would lie.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

struct SoftDecision {
    std::complex<float> mean; // E[s | y]
    float energy;             // E[|s|^2 | y]
    float log_likelihood;     // ln sum_s exp(-|y - s|^2 / noise_var)
};

// y = s + n, s equiprobable over the points, E|n|^2 = noise_var. Constellations that are a product of I and Q
// levels cost the sum of the two numbers of levels, all others the number of points. Immutable after
// construction.
class SoftDecider
{
public:
    // At least one point, all finite; throws std::invalid_argument otherwise.
    explicit SoftDecider(const std::vector<std::complex<float>>& points);

    // Precondition: y finite, noise_var positive and finite.
    SoftDecision decide(std::complex<float> y, float noise_var) const;

    bool separable() const { return d_separable; }

private:
    bool d_separable;
    std::vector<float> d_i, d_q; // levels of the axes when separable, else the coordinates of each point
};

} // namespace softmod
