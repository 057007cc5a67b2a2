// SPDX-License-Identifier: GPL-3.0-or-later
#include "mixture_likelihood.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

// One binary for all x86-64 machines: the loader picks the clone the processor can run (by feature: clones
// for an "arch=" run on that very model alone).
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) &&                 \
    !defined(__SANITIZE_ADDRESS__)
#define SOFTMOD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SOFTMOD_CLONES
#endif
#if defined(__GNUC__)
#define SOFTMOD_INLINE                                                                                       \
    inline __attribute__((always_inline)) // a clone's instructions reach its helpers this way alone
#else
#define SOFTMOD_INLINE inline
#endif

namespace softmod
{
namespace
{

constexpr std::size_t lanes = 64; // symbols handled together: plain loops over them vectorise

struct Block {
    alignas(64) float re[lanes], im[lanes];
    alignas(64) float slope[lanes], distance[lanes], nearest[lanes],
        weight[lanes]; // of the axes handled so far

    SOFTMOD_INLINE void load(const float* from_re, const float* from_im, std::size_t count, float scale)
    {
        for (std::size_t i = 0; i < lanes; ++i)
            re[i] = im[i] = slope[i] = distance[i] = nearest[i] = 0, weight[i] = 1;
        for (std::size_t i = 0; i < count; ++i)
            re[i] = from_re[i] * scale, im[i] = from_im[i] * scale;
    }
};

// 2^x for -126 <= x <= 0; relative error 2e-7 (Taylor series over a fraction of at most 1/2, exponent by
// bits).
SOFTMOD_INLINE float exp2_small(float x)
{
    x = std::max(x, -126.0f);
    const float shifted = x + 12582912.0f; // 1.5 * 2^23: rounds to the nearest integer
    const float f = x - (shifted - 12582912.0f);
    float p = 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    std::uint32_t bits, value; // unsigned: exponents are negative, and shifting those is undefined
    std::memcpy(&bits, &shifted, sizeof bits);
    const std::uint32_t exponent = (bits - 0x4B400000u) << 23;
    std::memcpy(&value, &p, sizeof value);
    value += exponent;
    float result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

// Adds the terms of one axis (real levels a) or, with b, of a plane of points a + jb.
template <bool plane>
SOFTMOD_INLINE void add_axis(Block& block, const float* x, const float* y, const float* a, const float* b,
                             std::size_t points, float gain, float log2_scale)
{
    alignas(64) float nearest[lanes], weight[lanes], distance[lanes], slope[lanes];
    for (std::size_t i = 0; i < lanes; ++i) {
        nearest[i] = std::numeric_limits<float>::max();
        weight[i] = distance[i] = slope[i] = 0;
    }
    for (std::size_t k = 0; k < points; ++k) {
        const float level_a = gain * a[k], level_b = plane ? gain * b[k] : 0;
        for (std::size_t i = 0; i < lanes; ++i) {
            const float ra = x[i] - level_a, rb = plane ? y[i] - level_b : 0;
            const float d = ra * ra + rb * rb;
            nearest[i] = d < nearest[i] ? d : nearest[i];
        }
    }
    for (std::size_t k = 0; k < points; ++k) {
        const float level_a = gain * a[k], level_b = plane ? gain * b[k] : 0;
        for (std::size_t i = 0; i < lanes; ++i) {
            const float ra = x[i] - level_a, rb = plane ? y[i] - level_b : 0;
            const float d = ra * ra + rb * rb;
            const float w = exp2_small((nearest[i] - d) * log2_scale);
            weight[i] += w;
            distance[i] += w * d;
            slope[i] += w * (level_a * ra + level_b * rb);
        }
    }
    for (std::size_t i = 0; i < lanes; ++i) {
        const float inverse = 1.0f / weight[i];
        block.weight[i] *= weight[i];
        block.nearest[i] += nearest[i];
        block.distance[i] += distance[i] * inverse;
        block.slope[i] += slope[i] * inverse;
    }
}

// The distinct values of one coordinate; values no further apart than `same` count as one.
std::vector<float> distinct_levels(std::vector<float> values, float same)
{
    std::sort(values.begin(), values.end());
    std::vector<float> distinct;
    for (float v : values)
        if (distinct.empty() || v - distinct.back() > same)
            distinct.push_back(v);
    return distinct;
}

// Whether the points are exactly all pairs of an I level and a Q level.
bool is_product(const std::vector<std::complex<float>>& points, const std::vector<float>& i_levels,
                const std::vector<float>& q_levels)
{
    if (i_levels.size() * q_levels.size() != points.size())
        return false;
    const auto index = [](const std::vector<float>& levels, float value) {
        const auto nearer = [value](float x, float y) { return std::abs(x - value) < std::abs(y - value); };
        return std::min_element(levels.begin(), levels.end(), nearer) - levels.begin();
    };
    std::vector<bool> seen(points.size(), false);
    for (const auto& p : points) {
        const auto cell = index(i_levels, p.real()) * q_levels.size() + index(q_levels, p.imag());
        if (seen[cell])
            return false;
        seen[cell] = true;
    }
    return true;
}

struct Model {
    const float *a, *b;
    std::size_t na, nb;
    bool separable;
};

SOFTMOD_CLONES
void accumulate(const Model& model, const float* re, const float* im, std::size_t n, float scale, double p,
                double r, MixtureLikelihood::Sums& sums)
{
    // snr / (1 + snr) and 1 / (1 + snr): the shares of signal and noise in the power.
    const double signal_share = 1 / (1 + std::exp(-r)), noise_share = 1 / (1 + std::exp(r));
    const double noise_var = std::exp(p) * noise_share;
    const float gain = static_cast<float>(std::sqrt(std::exp(p) * signal_share));
    const float inverse = static_cast<float>(1 / noise_var), log2_scale = 1.44269504f * inverse;
    // Products of at most 32 weights, each at most the number of points, stay below the largest double.
    constexpr unsigned products = 32;
    alignas(64) double product[lanes], nearest[lanes], pp[lanes], pr[lanes], rr[lanes], sp[lanes], sr[lanes];
    for (std::size_t i = 0; i < lanes; ++i) {
        product[i] = 1;
        nearest[i] = pp[i] = pr[i] = rr[i] = sp[i] = sr[i] = 0;
    }
    Block block;
    unsigned multiplied = 0;
    for (std::size_t start = 0; start < n; start += lanes) {
        const std::size_t count = std::min(lanes, n - start);
        block.load(re + start, im + start, count, scale);
        if (model.separable) {
            add_axis<false>(block, block.re, nullptr, model.a, nullptr, model.na, gain, log2_scale);
            add_axis<false>(block, block.im, nullptr, model.b, nullptr, model.nb, gain, log2_scale);
        } else {
            add_axis<true>(block, block.re, block.im, model.a, model.b, model.na, gain, log2_scale);
        }
        for (std::size_t i = 0; i < lanes; ++i) {
            const double used = i < count; // the last block may be part full
            // With d E|y - gain s|^2 and c = E[gain s (y - gain s)] given y, the slopes by ln gain and ln
            // noise_var are 2 c / noise_var and d / noise_var - 1; by p and r they combine as the shares say.
            const double slope_g = used * (2.0f * inverse * block.slope[i]);
            const double slope_v = used * (inverse * block.distance[i] - 1.0f);
            const double slope_p = 0.5 * slope_g + slope_v;
            const double slope_r = 0.5 * noise_share * slope_g - signal_share * slope_v;
            product[i] *= i < count ? block.weight[i] : 1.0f;
            nearest[i] += used * block.nearest[i];
            sp[i] += slope_p;
            sr[i] += slope_r;
            pp[i] += slope_p * slope_p;
            pr[i] += slope_p * slope_r;
            rr[i] += slope_r * slope_r;
        }
        if (++multiplied == products || start + lanes >= n) {
            for (std::size_t i = 0; i < lanes; ++i) {
                sums.log_likelihood += std::log(product[i]);
                product[i] = 1;
            }
            multiplied = 0;
        }
    }
    for (std::size_t i = 0; i < lanes; ++i) {
        sums.log_likelihood -= nearest[i] / noise_var;
        sums.slope_p += sp[i];
        sums.slope_r += sr[i];
        sums.square_pp += pp[i];
        sums.square_pr += pr[i];
        sums.square_rr += rr[i];
    }
    sums.log_likelihood -= static_cast<double>(n) * std::log(noise_var);
}

} // namespace

MixtureLikelihood::MixtureLikelihood(const std::vector<std::complex<float>>& points)
{
    float largest = 0;
    for (const auto& p : points) {
        largest = std::max({largest, std::abs(p.real()), std::abs(p.imag())});
        d_i.push_back(p.real());
        d_q.push_back(p.imag());
    }
    const float same = 1e-5f * largest; // points come from trigonometry: equal levels differ by rounding
    auto i_levels = distinct_levels(d_i, same), q_levels = distinct_levels(d_q, same);
    d_separable = is_product(points, i_levels, q_levels);
    if (d_separable) {
        d_i = std::move(i_levels);
        d_q = std::move(q_levels);
    }
}

MixtureLikelihood::Sums MixtureLikelihood::evaluate(const float* re, const float* im, std::size_t n,
                                                    double scale, double p, double r) const
{
    Sums sums;
    accumulate({d_i.data(), d_q.data(), d_i.size(), d_q.size(), d_separable}, re, im, n,
               static_cast<float>(scale), p, r, sums);
    return sums;
}

} // namespace softmod
