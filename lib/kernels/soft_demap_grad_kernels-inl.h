// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's gradient. Compiled once for every instruction set.
//
// As on the way forward a step takes the symbols that fill a vector and sums likelihoods for each bit and
// value of it. Then it goes through the points a second time: a point's weight is the sum over the bits of
// +-grad times its share in the sum it is part of, and weights times coordinates, energies and bits add up to
// the gradients.
#if defined(SOFTMOD_SOFT_DEMAP_GRAD_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOD_SOFT_DEMAP_GRAD_KERNELS_INL_H
#undef SOFTMOD_SOFT_DEMAP_GRAD_KERNELS_INL_H
#else
#define SOFTMOD_SOFT_DEMAP_GRAD_KERNELS_INL_H
#endif

#include <hwy/highway.h>

#include "simd_likelihood-inl.h"
#include "soft_demap_grad_kernels.h"
#include "soft_demap_kernels-inl.h"
#include "soft_demap_shapes-inl.h"

#include <vector>

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

// A point's metric, and its value as a number to know it by.
struct Candidate {
    V metric, value;
    // Implicit constructors would not be compiled for the instruction set at hand; here and below.
    HWY_INLINE Candidate() {}
    HWY_INLINE Candidate(V metric_, V value_) : metric(metric_), value(value_) {}
};

// The algebras of the demapper, and what share a point has in a sum: Add gives weight + grad * share.
struct ExactShare {
    using Sum = Exact::Sum;
    static constexpr double kUnit = Exact::kUnit;

    static HWY_INLINE Sum Of(const Candidate& point) { return Exact::Of(point.metric); }
    static HWY_INLINE Sum None() { return Exact::None(); }
    static HWY_INLINE Sum Join(Sum a, Sum b) { return Exact::Join(a, b); }

    struct Part {
        V factor, e;
        HWY_INLINE Part() {}
        HWY_INLINE Part(V factor_, V e_) : factor(factor_), e(e_) {}
    };
    static HWY_INLINE Part Divide(V grad, Sum sum) { return {hn::Div(grad, sum.m), sum.e}; }
    static HWY_INLINE V Add(V weight, Sum point, Part part)
    {
        return hn::MulAdd(part.factor, ScaleDown(point.m, hn::Sub(point.e, part.e)), weight);
    }
};

struct MaxLogShare {
    using Sum = Candidate; // the likeliest point
    static constexpr double kUnit = MaxLog::kUnit;

    static HWY_INLINE Sum Of(const Candidate& point) { return point; }
    static HWY_INLINE Sum None() { return {MaxLog::None(), hn::Set(D(), -1.0f)}; }
    static HWY_INLINE Sum Join(Sum a, Sum b)
    {
        const auto first = hn::Ge(a.metric, b.metric);
        return {hn::Max(a.metric, b.metric), hn::IfThenElse(first, a.value, b.value)};
    }

    struct Part {
        V grad, value;
        HWY_INLINE Part() {}
        HWY_INLINE Part(V grad_, V value_) : grad(grad_), value(value_) {}
    };
    static HWY_INLINE Part Divide(V grad, Sum sum) { return {grad, sum.value}; }
    static HWY_INLINE V Add(V weight, Sum point, Part part)
    {
        return hn::Add(weight, hn::IfThenElseZero(hn::Eq(point.value, part.value), part.grad));
    }
};

// Sums over the points of weight times what the metric multiplies, and what they say of samples and noise.
template <class Shape>
struct Moments;

template <>
struct Moments<Paired> {
    V slope, offset;

    HWY_INLINE Moments() : slope(hn::Zero(D())), offset(hn::Zero(D())) {}

    HWY_INLINE void Add(V weight, const Coefficients& c, int v)
    {
        slope = hn::MulAdd(weight, BroadcastPair(c.slope + 2 * v), slope);
        offset = hn::MulAdd(weight, BroadcastPair(c.offset + 2 * v), offset);
    }
    HWY_INLINE void StoreY(V g, float* y) const { hn::StoreU(hn::Mul(g, slope), D(), y); }
    HWY_INLINE void StoreNoise(V g, const Paired& sample, float* noise_var) const
    {
        const D d;
        const V by_lane = hn::Mul(hn::Mul(g, g), hn::MulAdd(sample.y, slope, offset));
        alignas(64) float lanes[kLanes];
        hn::Store(hn::Mul(by_lane, hn::Set(d, -0.5f)), d, lanes);
        for (int i = 0; i < kLanes / 2; ++i)
            noise_var[i] = lanes[2 * i] + lanes[2 * i + 1];
    }
};

template <>
struct Moments<Plane> {
    V re, im, offset;

    HWY_INLINE Moments() : re(hn::Zero(D())), im(hn::Zero(D())), offset(hn::Zero(D())) {}

    HWY_INLINE void Add(V weight, const Coefficients& c, int v)
    {
        const D d;
        re = hn::MulAdd(weight, hn::Set(d, c.slope[v]), re);
        im = hn::MulAdd(weight, hn::Set(d, c.slope_im[v]), im);
        offset = hn::MulAdd(weight, hn::Set(d, c.offset[v]), offset);
    }
    HWY_INLINE void StoreY(V g, float* y) const
    {
        hn::StoreInterleaved2(hn::Mul(g, re), hn::Mul(g, im), D(), y);
    }
    HWY_INLINE void StoreNoise(V g, const Plane& sample, float* noise_var) const
    {
        const D d;
        const V affine = hn::MulAdd(sample.re, re, hn::MulAdd(sample.im, im, offset));
        hn::StoreU(hn::Mul(hn::Mul(hn::Set(d, -0.5f), hn::Mul(g, g)), affine), d, noise_var);
    }
};

// Sums over symbols for the gradient of each point: of g weight y, real and imaginary, and of g weight.
class PointSums
{
public:
    explicit PointSums(std::size_t order) : d_sums(3 * order * kLanes, 0.0f) {}

    HWY_INLINE void Add(int v, V scaled_weight, const Plane& sample)
    {
        AddTo(3 * v, hn::Mul(scaled_weight, sample.re));
        AddTo(3 * v + 1, hn::Mul(scaled_weight, sample.im));
        AddTo(3 * v + 2, scaled_weight);
    }
    void Finish(const DemapTables& t, std::complex<double>* out) const
    {
        for (std::size_t v = 0; v < t.points.size(); ++v)
            out[v] += std::complex<double>(Total(3 * v), Total(3 * v + 1)) - Total(3 * v + 2) * t.points[v];
    }

private:
    HWY_INLINE void AddTo(int row, V value)
    {
        const D d;
        float* const at = d_sums.data() + row * kLanes;
        hn::StoreU(hn::Add(hn::LoadU(d, at), value), d, at);
    }
    double Total(std::size_t row) const
    {
        double total = 0.0;
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            total += d_sums[row * kLanes + lane];
        return total;
    }

    std::vector<float> d_sums;
};

// kLow bits of a point's value are summed in registers; kMany: there are more above them, in a loop.
template <class Shape_, class Share, int kLow, bool kMany>
class GradKernel
{
public:
    using Shape = Shape_;

    GradKernel(const DemapTables& t, const DemapGradJob& job)
        : d_tables(t), d_job(job), d_bits(Shape::Bits(t)), d_bits_per_symbol(t.bits),
          d_coefficients(Shape::Of(t)), d_point_sums(job.out.points ? t.points.size() : 0)
    {
        d_positions.Prepare(t);
    }

    HWY_INLINE void Step(std::size_t i)
    {
        const D d;
        const V noise_var =
            d_job.noise_per_symbol ? Shape::LoadBySymbol(d_job.noise_var + i) : hn::Set(d, *d_job.noise_var);
        const V g = hn::Div(hn::Set(d, 2.0f), noise_var);
        const V gain = hn::Mul(g, hn::Set(d, static_cast<float>(Share::kUnit)));
        const Shape sample(reinterpret_cast<const float*>(d_job.y + i));
        Metric metric{sample, d_coefficients, gain, d_bits, d_job.priors != nullptr, {}};
        metric.sample.Scale(gain);
        if (d_job.priors)
            metric.TakePriors(d_positions, d_job.priors + i * d_bits_per_symbol);

        Sum sum[kMaxBits][2];
        SumAll(metric, sum);
        Part part[kMaxBits][2];
        const float* const grads = d_job.grad + i * d_bits_per_symbol;
        for (unsigned k = 0; k < d_bits; ++k) {
            const V grad = d_positions.Gather(grads, k);
            part[k][0] = Share::Divide(hn::Neg(grad), sum[k][0]);
            part[k][1] = Share::Divide(grad, sum[k][1]);
        }

        Moments<Shape> moments;
        V prior[kMaxBits];
        for (unsigned k = 0; k < d_bits; ++k)
            prior[k] = hn::Zero(d);
        for (int v = 0; v < 1 << d_bits; ++v) {
            const Sum point = Share::Of(metric(v));
            V weight = hn::Zero(d);
            for (unsigned k = 0; k < d_bits; ++k)
                weight = Share::Add(weight, point, part[k][Bit(v, k)]);
            moments.Add(weight, d_coefficients, v);
            if (d_job.out.priors)
                for (unsigned k = 0; k < d_bits; ++k)
                    if (Bit(v, k))
                        prior[k] = hn::Add(prior[k], weight);
            if constexpr (Shape::kCoordinates == 1)
                if (d_job.out.points)
                    d_point_sums.Add(v, hn::Mul(g, weight), sample);
        }

        if (d_job.out.y)
            moments.StoreY(g, reinterpret_cast<float*>(d_job.out.y + i));
        if (d_job.out.noise_var)
            moments.StoreNoise(g, sample, d_job.out.noise_var + i);
        if (d_job.out.priors)
            for (unsigned k = 0; k < d_bits; ++k)
                d_positions.Scatter(prior[k], d_job.out.priors + i * d_bits_per_symbol, k);
    }

    void Finish() const
    {
        if (d_job.out.points)
            d_point_sums.Finish(d_tables, d_job.out.points);
    }

private:
    using Sum = typename Share::Sum;
    using Part = typename Share::Part;

    struct Metric {
        Shape sample; // times gain
        const Coefficients& c;
        V gain;
        unsigned bits;
        bool has_priors;
        V cost[kMaxBits][2]; // of each bit by its value, see GeneralKernel

        HWY_INLINE void TakePriors(const Positions<Shape>& positions, const float* priors)
        {
            const D d;
            const V zero = hn::Zero(d), unit = hn::Set(d, static_cast<float>(Share::kUnit));
            for (unsigned k = 0; k < bits; ++k) {
                const V prior = hn::Mul(positions.Gather(priors, k), unit);
                cost[k][0] = hn::Neg(hn::Max(prior, zero));
                cost[k][1] = hn::Min(prior, zero);
            }
        }

        HWY_INLINE Candidate operator()(int v) const
        {
            V extra = hn::Zero(D());
            if (has_priors)
                for (unsigned k = 0; k < bits; ++k)
                    extra = hn::Add(extra, cost[k][v >> (bits - 1 - k) & 1]);
            return {sample.Metric(c, v, gain, extra), hn::Set(D(), static_cast<float>(v))};
        }
    };

    HWY_INLINE unsigned Bit(int v, unsigned k) const { return v >> (d_bits - 1 - k) & 1; }

    HWY_INLINE void SumAll(const Metric& metric, Sum (&sum)[kMaxBits][2]) const
    {
        Sum of[kLow][2], total;
        const unsigned high = d_bits - kLow;
        for (unsigned k = 0; kMany && k < d_bits; ++k)
            sum[k][0] = sum[k][1] = Share::None();
        for (unsigned leaf = 0; leaf < (kMany ? 1u << high : 1u); ++leaf) {
            SumUp<Share, kLow>(metric, static_cast<int>(leaf << kLow), of, total);
            for (unsigned k = 0; kMany && k < high; ++k) {
                Sum& all = sum[k][leaf >> (high - 1 - k) & 1];
                all = Share::Join(all, total);
            }
            for (unsigned k = 0; k < kLow; ++k)
                for (int b = 0; b < 2; ++b)
                    sum[kMany ? high + k : k][b] = kMany ? Share::Join(sum[high + k][b], of[k][b]) : of[k][b];
        }
    }

    const DemapTables& d_tables;
    const DemapGradJob& d_job;
    unsigned d_bits, d_bits_per_symbol;
    Positions<Shape> d_positions;
    Coefficients d_coefficients;
    PointSums d_point_sums;
};

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
