// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper as plainly as it can be written; the SIMD forms are tested against it.
#include "soft_demap_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace softmod
{
namespace
{

// metric[v], v a value of the given bits (first bit highest): adds what the priors say. Each prior costs the
// values that contradict it, so values that agree with a strong prior keep their full precision.
void add_priors(std::vector<float>& metric, const unsigned* bit, std::size_t bits, const float* priors)
{
    for (std::size_t k = 0; k < bits; ++k) {
        const float prior = priors[bit[k]];
        const float of_zero = -std::max(prior, 0.0f);
        const float of_one = std::min(prior, 0.0f);
        for (std::size_t v = 0; v < metric.size(); ++v)
            metric[v] += (v >> (bits - 1 - k)) & 1 ? of_one : of_zero;
    }
}

void llr_of_metric(DemapMethod method, const std::vector<float>& metric, const unsigned* bit,
                   std::size_t bits, float* llr)
{
    for (std::size_t k = 0; k < bits; ++k) {
        const auto value_of_bit = [&](std::size_t v) { return (v >> (bits - 1 - k)) & 1; };
        float best[2] = {std::numeric_limits<float>::lowest(), std::numeric_limits<float>::lowest()};
        for (std::size_t v = 0; v < metric.size(); ++v)
            best[value_of_bit(v)] = std::max(best[value_of_bit(v)], metric[v]);
        float result = best[1] - best[0];
        if (method == DemapMethod::exact) {
            float sum[2] = {0.0f, 0.0f};
            for (std::size_t v = 0; v < metric.size(); ++v)
                sum[value_of_bit(v)] += std::exp(metric[v] - best[value_of_bit(v)]);
            result += std::log(sum[1] / sum[0]);
        }
        llr[bit[k]] = result;
    }
}

void demap(const DemapTables& tables, const DemapJob& job)
{
    const auto m = tables.bits;
    std::vector<unsigned> all_bits(m);
    for (unsigned k = 0; k < m; ++k)
        all_bits[k] = k;
    std::vector<float> metric;
    for (std::size_t i = 0; i < job.n; ++i) {
        const float g = 2.0f / job.noise_var[job.noise_per_symbol ? i : 0];
        const float re = job.y[i].real() * g, im = job.y[i].imag() * g;
        const float* priors = job.priors ? job.priors + i * m : nullptr;
        const auto finish = [&](const std::vector<unsigned>& bit) {
            if (priors)
                add_priors(metric, bit.data(), bit.size(), priors);
            llr_of_metric(tables.method, metric, bit.data(), bit.size(), job.llr + i * m);
        };
        if (tables.separable) {
            for (int axis = 0; axis < 2; ++axis) {
                const auto& levels = tables.axes[axis];
                metric.resize(levels.level.size());
                for (std::size_t v = 0; v < metric.size(); ++v)
                    metric[v] = (axis == 0 ? re : im) * levels.slope[v] + g * levels.offset[v];
                finish(levels.bit);
            }
        } else {
            metric.resize(tables.points.size());
            for (std::size_t v = 0; v < metric.size(); ++v)
                metric[v] = re * tables.re[v] + im * tables.im[v] + g * tables.offset[v];
            finish(all_bits);
        }
    }
}

bool all_within(const float* x, std::size_t n, float limit)
{
    bool within = true;
    for (std::size_t i = 0; i < n; ++i)
        within &= std::fabs(x[i]) <= limit;
    return within;
}

void quantise(const float* llr, std::size_t n, float scale, std::int8_t* out)
{
    for (std::size_t i = 0; i < n; ++i)
        out[i] = static_cast<std::int8_t>(std::nearbyint(std::clamp(llr[i] * scale, -127.0f, 127.0f)));
}

} // namespace

const DemapKernels& demap_kernels_generic()
{
    static constexpr DemapKernels kernels{demap, all_within, quantise};
    return kernels;
}

} // namespace softmod
