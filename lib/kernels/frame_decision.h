// SPDX-License-Identifier: GPL-3.0-or-later
// Around the classifier of a frame: whether there is a signal in it, and what several frames say together.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

struct FrameLevel {
    double power;              // mean |x|^2; not finite where a sample is not
    std::complex<double> mean; // of the samples

    // Without the part that does not vary.
    double varying_power() const { return std::max(power - std::norm(mean), 0.0); }
};

inline FrameLevel level_of(const std::complex<float>* x, std::size_t n)
{
    constexpr std::size_t lanes = 4; // sums that do not wait for one another
    double power[lanes] = {}, re[lanes] = {}, im[lanes] = {};
    for (std::size_t i = 0; i < n; ++i) {
        const double a = x[i].real(), b = x[i].imag();
        power[i % lanes] += a * a + b * b;
        re[i % lanes] += a;
        im[i % lanes] += b;
    }
    const auto mean = [n](const double* sums) {
        return (sums[0] + sums[1] + sums[2] + sums[3]) / static_cast<double>(n);
    };
    return {mean(power), {mean(re), mean(im)}};
}

// The mean of the probabilities of the latest frames: of the first `frames` the plain mean, then one in which
// a frame's share falls by 1 - 1 / frames with each that follows.
class SmoothedDecision
{
public:
    explicit SmoothedDecision(std::size_t classes) : d_mean(classes) {}

    void forget() { d_seen = 0; }

    void add(const float* probabilities, std::size_t frames)
    {
        d_seen = std::min(d_seen + 1, frames);
        const float share = 1.0f / static_cast<float>(d_seen);
        for (std::size_t c = 0; c < d_mean.size(); ++c)
            d_mean[c] = d_seen == 1 ? probabilities[c] : d_mean[c] + (probabilities[c] - d_mean[c]) * share;
    }

    const std::vector<float>& probabilities() const { return d_mean; }
    std::size_t best() const
    {
        return static_cast<std::size_t>(std::max_element(d_mean.begin(), d_mean.end()) - d_mean.begin());
    }

private:
    std::vector<float> d_mean;
    std::size_t d_seen = 0;
};

} // namespace softmod
