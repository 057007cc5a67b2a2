// SPDX-License-Identifier: GPL-3.0-or-later
// The soft mapper as plainly as it can be written; the SIMD forms are tested against it.
#include "soft_map_kernels.h"

#include <cmath>

namespace softmod
{
namespace
{

struct BitProbability {
    float of[2]; // P(0), P(1): each worked out by itself, so that the small one keeps its digits
};

// Probabilities of all values of the given bits (first bit highest), by doubling.
void value_probabilities(const std::vector<BitProbability>& bits, const std::vector<unsigned>& which,
                         std::vector<float>& out)
{
    out.assign(1, 1.0f);
    for (const unsigned k : which) {
        const auto known = out.size();
        out.resize(2 * known);
        for (std::size_t v = known; v-- > 0;) {
            const float p = out[v];
            out[2 * v] = p * bits[k].of[0];
            out[2 * v + 1] = p * bits[k].of[1];
        }
    }
}

struct Moments {
    float mean = 0.0f, variance = 0.0f;
};

template <typename Level>
Moments moments(const std::vector<float>& probability, Level&& level)
{
    Moments result;
    for (std::size_t v = 0; v < probability.size(); ++v)
        result.mean += probability[v] * level(v);
    for (std::size_t v = 0; v < probability.size(); ++v) {
        const float distance =
            level(v) - result.mean; // two passes: E|s|^2 - |E s|^2 cancels for certain bits
        result.variance += probability[v] * distance * distance;
    }
    return result;
}

} // namespace

std::size_t map_generic(const MapTables& tables, const MapJob& job)
{
    std::vector<unsigned> all_bits;
    for (unsigned k = 0; k < tables.bits; ++k)
        all_bits.push_back(k);
    std::vector<BitProbability> bits(tables.bits);
    std::vector<float> probability;
    std::size_t nan = 0;
    for (std::size_t i = 0; i < job.n; ++i) {
        for (unsigned k = 0; k < tables.bits; ++k) {
            float x = job.llr[i * tables.bits + k];
            if (std::isnan(x)) {
                x = 0.0f;
                ++nan;
            }
            bits[k] = {{1.0f / (1.0f + std::exp(x)), 1.0f / (1.0f + std::exp(-x))}};
        }
        Moments of[2];
        if (tables.separable) {
            for (int axis = 0; axis < 2; ++axis) {
                value_probabilities(bits, tables.axes[axis].bit, probability);
                const auto& level = tables.axes[axis].level;
                of[axis] = moments(probability, [&](std::size_t v) { return static_cast<float>(level[v]); });
            }
        } else {
            value_probabilities(bits, all_bits, probability);
            of[0] = moments(probability, [&](std::size_t v) { return tables.point_re[v]; });
            of[1] = moments(probability, [&](std::size_t v) { return tables.point_im[v]; });
        }
        job.symbols[i] = {of[0].mean, of[1].mean};
        if (job.variance)
            job.variance[i] = of[0].variance + of[1].variance;
    }
    return nan;
}

} // namespace softmod
