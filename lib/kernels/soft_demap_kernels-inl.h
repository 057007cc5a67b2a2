// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's kernels. Compiled once for every instruction set.
//
// A kernel's Step(i) takes the symbols from the i-th of its job on that fill a vector. For each value v of
// the bits it works out a metric, an affine function of the sample; joins the metrics to one sum for each bit
// and value of it, as the algebra says; and stores the logarithms of the sums' ratios.
#if defined(SOFTMOD_SOFT_DEMAP_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOD_SOFT_DEMAP_KERNELS_INL_H
#undef SOFTMOD_SOFT_DEMAP_KERNELS_INL_H
#else
#define SOFTMOD_SOFT_DEMAP_KERNELS_INL_H
#endif

#include <hwy/highway.h>

#include "simd_interleave-inl.h"
#include "simd_likelihood-inl.h"
#include "soft_demap_kernels.h"
#include "soft_demap_shapes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

// ------------------------------------------------------------------------------------------------- sums over
// bits

// of[k][b]: the sum over the values first .. first + 2^kBits - 1 whose bit k (0 = highest) is b; total: over
// all.
template <class Algebra, int kBits, class Metric>
HWY_INLINE void SumUp(const Metric& metric, int first, typename Algebra::Sum (&of)[kBits][2],
                      typename Algebra::Sum& total)
{
    if constexpr (kBits == 1) {
        of[0][0] = Algebra::Of(metric(first));
        of[0][1] = Algebra::Of(metric(first + 1));
    } else {
        typename Algebra::Sum lower[2][kBits - 1][2];
        SumUp<Algebra, kBits - 1>(metric, first, lower[0], of[0][0]);
        SumUp<Algebra, kBits - 1>(metric, first + (1 << (kBits - 1)), lower[1], of[0][1]);
        for (int k = 1; k < kBits; ++k)
            for (int b = 0; b < 2; ++b)
                of[k][b] = Algebra::Join(lower[0][k - 1][b], lower[1][k - 1][b]);
    }
    total = Algebra::Join(of[0][0], of[0][1]);
}

// Metric, a stretch of whose values begins at first, with the same extra summand for all of it.
template <class Metric>
struct Stretch {
    const Metric& metric;
    int first;
    V extra;
    HWY_INLINE V operator()(int v) const { return metric(first + v, v, extra); }
};

// The LLRs of a step from its metrics. kLow: bits worked in registers; kMany: there are more above them, in a
// loop.
template <class Algebra, int kLow, bool kMany, class Metric, class Store>
HWY_INLINE void LlrsOf(const Metric& metric, unsigned bits, const Store& store, float* HWY_RESTRICT llr)
{
    using Sum = typename Algebra::Sum;
    Sum of[kLow][2], total;
    if constexpr (!kMany) {
        SumUp<Algebra, kLow>(Stretch<Metric>{metric, 0, hn::Zero(D())}, 0, of, total);
        V z[kLow];
        for (int k = 0; k < kLow; ++k)
            z[k] = Algebra::LogRatio(of[k][1], of[k][0]);
        store.Store(z, llr);
    } else {
        const unsigned high = bits - kLow;
        Sum all[kMaxBits][2];
        for (unsigned k = 0; k < bits; ++k)
            all[k][0] = all[k][1] = Algebra::None();
        for (unsigned leaf = 0; leaf < 1u << high; ++leaf) {
            const auto first = static_cast<int>(leaf << kLow);
            SumUp<Algebra, kLow>(Stretch<Metric>{metric, first, metric.ExtraOf(leaf, high)}, 0, of, total);
            for (unsigned k = 0; k < high; ++k) {
                Sum& sum = all[k][leaf >> (high - 1 - k) & 1];
                sum = Algebra::Join(sum, total);
            }
            for (unsigned k = 0; k < kLow; ++k)
                for (int b = 0; b < 2; ++b)
                    all[high + k][b] = Algebra::Join(all[high + k][b], of[k][b]);
        }
        V z[kMaxBits];
        for (unsigned k = 0; k < bits; ++k)
            z[k] = Algebra::LogRatio(all[k][1], all[k][0]);
        store.Store(z, bits, llr);
    }
}

// -------------------------------------------------------------------------------- one noise variance, no
// priors

// Coefficients times 2 / noise_var, worked out once.
template <class Shape>
class ScaledCoefficients
{
public:
    static constexpr std::size_t kMaxValues = 256;

    HWY_INLINE ScaledCoefficients(const Coefficients& c, std::size_t values, float noise_var)
    {
        const float g = 2.0f / noise_var;
        for (std::size_t v = 0; v < values * Shape::kCoordinates; ++v) {
            d_slope[v] = g * c.slope[v];
            d_slope_im[v] = c.slope_im ? g * c.slope_im[v] : 0.0f;
            d_offset[v] = g * c.offset[v];
        }
    }
    HWY_INLINE Coefficients Get() const { return {d_slope, d_slope_im, d_offset}; }

private:
    float d_slope[kMaxValues * Shape::kCoordinates], d_slope_im[kMaxValues * Shape::kCoordinates],
        d_offset[kMaxValues * Shape::kCoordinates];
};

// Max-log over all points.
template <int kLow, bool kMany>
class PlainKernel
{
public:
    using Shape = Plane;

    HWY_INLINE PlainKernel(const DemapTables& t, const DemapJob& job)
        : d_job(job), d_bits(t.bits), d_store(t), d_scaled(Plane::Of(t), t.points.size(), *job.noise_var)
    {
    }

    HWY_INLINE void Step(std::size_t i) const
    {
        const Metric metric{Plane(reinterpret_cast<const float*>(d_job.y + i)), d_scaled.Get()};
        LlrsOf<MaxLog, kLow, kMany>(metric, d_bits, d_store, d_job.llr + i * d_bits);
    }

private:
    struct Metric {
        Plane sample;
        Coefficients c;
        HWY_INLINE V operator()(int v, int, V) const { return sample.Metric(c, v); }
        HWY_INLINE V ExtraOf(unsigned, unsigned) const { return hn::Zero(D()); }
    };

    const DemapJob& d_job;
    unsigned d_bits;
    LlrStore<Plane, 1> d_store;
    ScaledCoefficients<Plane> d_scaled;
};

// Max-log where the first bit of each axis is the sign of its level and the others belong to the magnitude
// (DemapTables::folds): half of the levels do. kBits: of an axis.
template <int kBits, int kGroup>
class FoldedKernel
{
public:
    using Shape = Paired;

    HWY_INLINE FoldedKernel(const DemapTables& t, const DemapJob& job)
        : d_job(job), d_store(t),
          d_scaled({t.fold_slope.data(), nullptr, t.fold_offset.data()}, kHalf + 1, *job.noise_var),
          d_side(hn::And(BroadcastPair(t.fold_sign), hn::SignBit(D())))
    {
    }

    HWY_INLINE void Step(std::size_t i) const
    {
        const D d;
        const V sample = hn::LoadU(d, reinterpret_cast<const float*>(d_job.y + i));
        const Metric metric{hn::Abs(sample), d_scaled.Get()};
        V near, z[kBits];
        if constexpr (kBits == 1) {
            near = metric(0);
        } else {
            V of[kBits - 1][2];
            SumUp<MaxLog, kBits - 1>(metric, 0, of, near);
            for (int k = 1; k < kBits; ++k)
                z[k] = hn::Sub(of[k - 1][1], of[k - 1][0]);
        }
        // Far less near is the LLR where y lies on the side of bit 0, and minus it on the other.
        const V side = hn::Xor(hn::And(sample, hn::SignBit(d)), d_side);
        z[0] = hn::Xor(hn::Sub(metric(kHalf), near), side);
        d_store.Store(z, d_job.llr + i * 2 * kBits);
    }

private:
    static constexpr int kHalf = 1 << (kBits - 1);

    struct Metric {
        V magnitude;
        Coefficients c;
        HWY_INLINE V operator()(int v) const
        {
            return hn::MulAdd(magnitude, BroadcastPair(c.slope + 2 * v), BroadcastPair(c.offset + 2 * v));
        }
    };

    const DemapJob& d_job;
    LlrStore<Paired, kGroup> d_store;
    ScaledCoefficients<Paired> d_scaled;
    V d_side;
};

// --------------------------------------------------------------------------------------------------- all
// else

// Noise by symbol or for all, priors or none, exact or max-log.
template <class Shape_, class Algebra, int kLow, bool kMany>
class GeneralKernel
{
public:
    using Shape = Shape_;

    HWY_INLINE GeneralKernel(const DemapTables& t, const DemapJob& job)
        : d_job(job), d_bits(Shape::Bits(t)), d_bits_per_symbol(t.bits), d_store(t, kMany && job.priors),
          d_coefficients(Shape::Of(t)), d_unit(hn::Set(D(), static_cast<float>(2.0 * Algebra::kUnit))),
          d_gain(hn::Div(d_unit, hn::Set(D(), *job.noise_var)))
    {
    }

    HWY_INLINE void Step(std::size_t i) const
    {
        const V gain =
            d_job.noise_per_symbol ? hn::Div(d_unit, Shape::LoadBySymbol(d_job.noise_var + i)) : d_gain;
        Shape sample(reinterpret_cast<const float*>(d_job.y + i));
        sample.Scale(gain);
        float* const llr = d_job.llr + i * d_bits_per_symbol;
        if (d_job.priors) {
            Costs costs;
            TakePriors(d_job.priors + i * d_bits_per_symbol, costs);
            LlrsOf<Algebra, kLow, kMany>(Metric{sample, d_coefficients, gain, costs}, d_bits, d_store, llr);
        } else {
            LlrsOf<Algebra, kLow, kMany>(FreeMetric{sample, d_coefficients, gain}, d_bits, d_store, llr);
        }
    }

private:
    // Without priors.
    struct FreeMetric {
        const Shape& sample;
        const Coefficients& c;
        V gain;
        HWY_INLINE V operator()(int v, int, V) const { return sample.Metric(c, v, gain, hn::Zero(D())); }
        HWY_INLINE V ExtraOf(unsigned, unsigned) const { return hn::Zero(D()); }
    };

    // What priors add to metrics: for each value of the low bits, and for each bit above them by its value.
    struct Costs {
        V of_low[1 << kLow];
        V of_bit[kMany ? kMaxBits : 1][2];
        HWY_INLINE Costs() {} // an implicit one would not be compiled for the instruction set at hand
    };

    struct Metric {
        const Shape& sample;
        const Coefficients& c;
        V gain;
        const Costs& costs;

        HWY_INLINE V operator()(int v, int low, V extra) const
        {
            return sample.Metric(c, v, gain, kMany ? hn::Add(costs.of_low[low], extra) : costs.of_low[low]);
        }

        HWY_INLINE V ExtraOf(unsigned leaf, unsigned high) const
        {
            V sum = hn::Zero(D());
            for (unsigned k = 0; k < high; ++k)
                sum = hn::Add(sum, costs.of_bit[k][leaf >> (high - 1 - k) & 1]);
            return sum;
        }
    };

    // A prior costs the bit value that it contradicts, so that values which agree with a strong prior keep
    // their full precision.
    HWY_INLINE void TakePriors(const float* HWY_RESTRICT priors, Costs& costs) const
    {
        costs.of_low[0] = hn::Zero(D());
        if constexpr (kMany) {
            const unsigned high = d_bits - kLow;
            for (unsigned k = 0; k < high; ++k)
                CostsOf(d_store.LoadOne(priors, k), costs.of_bit[k]);
            for (unsigned k = 0; k < kLow; ++k)
                AddBit(d_store.LoadOne(priors, high + k), k, costs);
        } else {
            V prior[kLow];
            d_store.Load(priors, prior);
            for (unsigned k = 0; k < kLow; ++k)
                AddBit(prior[k], k, costs);
        }
    }

    static HWY_INLINE void CostsOf(V prior, V (&cost)[2])
    {
        const V zero = hn::Zero(D()),
                scaled = hn::Mul(prior, hn::Set(D(), static_cast<float>(Algebra::kUnit)));
        cost[0] = hn::Neg(hn::Max(scaled, zero));
        cost[1] = hn::Min(scaled, zero);
    }

    // Bit k of the low ones doubles the values.
    static HWY_INLINE void AddBit(V prior, unsigned k, Costs& costs)
    {
        V cost[2];
        CostsOf(prior, cost);
        for (int v = (1 << k) - 1; v >= 0; --v) {
            costs.of_low[2 * v + 1] = hn::Add(costs.of_low[v], cost[1]);
            costs.of_low[2 * v] = hn::Add(costs.of_low[v], cost[0]);
        }
    }

    const DemapJob& d_job;
    unsigned d_bits, d_bits_per_symbol;
    LlrStore<Shape> d_store;
    Coefficients d_coefficients;
    V d_unit, d_gain;
};

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
