// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_decision.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace softmod
{

namespace
{

constexpr float SAME_LEVEL = 1e-5f;
constexpr float NEGLIGIBLE = 20.0f; // exp(-20) = 2e-9: below the resolution of a float sum

std::vector<float> distinct(std::vector<float> values)
{
    std::sort(values.begin(), values.end());
    const auto same = [](float a, float b) { return b - a < SAME_LEVEL; };
    values.erase(std::unique(values.begin(), values.end(), same), values.end());
    return values;
}

struct AxisDecision {
    float mean, energy, log_likelihood;
};

AxisDecision decide_axis(const std::vector<float>& levels, float y, float inverse_noise)
{
    float nearest = (y - levels[0]) * (y - levels[0]);
    for (const float level : levels)
        nearest = std::min(nearest, (y - level) * (y - level));
    float sum = 0, first = 0, second = 0;
    for (const float level : levels) {
        const float exponent = ((y - level) * (y - level) - nearest) * inverse_noise;
        if (exponent > NEGLIGIBLE)
            continue;
        const float p = std::exp(-exponent);
        sum += p, first += p * level, second += p * level * level;
    }
    return {first / sum, second / sum, std::log(sum) - nearest * inverse_noise};
}

} // namespace

SoftDecider::SoftDecider(const std::vector<std::complex<float>>& points)
{
    if (points.empty())
        throw std::invalid_argument("points are empty; a constellation needs at least one point");
    std::vector<float> re, im;
    for (const auto& point : points) {
        if (!std::isfinite(point.real()) || !std::isfinite(point.imag()))
            throw std::invalid_argument("a constellation point is not finite");
        re.push_back(point.real());
        im.push_back(point.imag());
    }
    d_i = distinct(re), d_q = distinct(im);
    // Distinct points that are as many as the grid has crossings fill the grid.
    d_separable = d_i.size() * d_q.size() == points.size();
    if (!d_separable)
        d_i = std::move(re), d_q = std::move(im);
}

SoftDecision SoftDecider::decide(std::complex<float> y, float noise_var) const
{
    const float inverse_noise = 1.0f / noise_var;
    if (d_separable) {
        const AxisDecision i = decide_axis(d_i, y.real(), inverse_noise);
        const AxisDecision q = decide_axis(d_q, y.imag(), inverse_noise);
        return {{i.mean, q.mean}, i.energy + q.energy, i.log_likelihood + q.log_likelihood};
    }
    const auto distance = [&](std::size_t k) {
        const float re = y.real() - d_i[k], im = y.imag() - d_q[k];
        return re * re + im * im;
    };
    float nearest = distance(0);
    for (std::size_t k = 1; k < d_i.size(); ++k)
        nearest = std::min(nearest, distance(k));
    float sum = 0, re = 0, im = 0, energy = 0;
    for (std::size_t k = 0; k < d_i.size(); ++k) {
        const float exponent = (distance(k) - nearest) * inverse_noise;
        if (exponent > NEGLIGIBLE)
            continue;
        const float p = std::exp(-exponent);
        sum += p, re += p * d_i[k], im += p * d_q[k];
        energy += p * (d_i[k] * d_i[k] + d_q[k] * d_q[k]);
    }
    return {{re / sum, im / sum}, energy / sum, std::log(sum) - nearest * inverse_noise};
}

} // namespace softmod
