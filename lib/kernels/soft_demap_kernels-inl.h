// SPDX-License-Identifier: GPL-3.0-or-later
// Body of soft_demap_simd.cc, compiled once for every instruction set.
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

#include <algorithm>
#include <cmath>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kMaxBits = 16; // of a symbol

// --------------------------------------------------------------------------------------------------------
// shapes

HWY_INLINE V BroadcastPair(const float* p)
{
    std::uint64_t pair;
    std::memcpy(&pair, p, sizeof(pair));
    return hn::BitCast(D(), hn::Set(hn::Repartition<std::uint64_t, D>(), pair));
}

// Coefficients of the metrics by value of the bits: slopes, and what is added.
struct Coefficients {
    const float *slope, *slope_im, *offset;
};

// Lanes are axis coordinates: I and Q of kLanes / 2 symbols in turn. Coefficients come in pairs as well.
struct Paired {
    static constexpr int kSymbols = kLanes / 2;
    static constexpr int kPerLevel = 2;

    V y;
    HWY_INLINE explicit Paired(const float* samples) : y(hn::LoadU(D(), samples)) {}
    HWY_INLINE void Scale(V g) { y = hn::Mul(y, g); }
    HWY_INLINE V Metric(const Coefficients& c, int v) const
    {
        return hn::MulAdd(y, BroadcastPair(c.slope + 2 * v), BroadcastPair(c.offset + 2 * v));
    }
    HWY_INLINE V Metric(const Coefficients& c, int v, V g) const
    {
        return hn::MulAdd(y, BroadcastPair(c.slope + 2 * v), hn::Mul(g, BroadcastPair(c.offset + 2 * v)));
    }

    static unsigned Bits(const DemapTables& t) { return t.bits / 2; }
    static Coefficients Of(const DemapTables& t)
    {
        return {t.pair_slope.data(), nullptr, t.pair_offset.data()};
    }
    static unsigned Position(const DemapTables& t, int lane, unsigned k)
    {
        return static_cast<unsigned>(lane / 2) * t.bits + t.axes[lane % 2].bit[k];
    }
};

// Lanes are symbols.
struct Plane {
    static constexpr int kSymbols = kLanes;
    static constexpr int kPerLevel = 1;

    V re, im;
    HWY_INLINE explicit Plane(const float* samples) { hn::LoadInterleaved2(D(), samples, re, im); }
    HWY_INLINE void Scale(V g)
    {
        re = hn::Mul(re, g);
        im = hn::Mul(im, g);
    }
    HWY_INLINE V Metric(const Coefficients& c, int v) const
    {
        const D d;
        const V from_im = hn::MulAdd(im, hn::Set(d, c.slope_im[v]), hn::Set(d, c.offset[v]));
        return hn::MulAdd(re, hn::Set(d, c.slope[v]), from_im);
    }
    HWY_INLINE V Metric(const Coefficients& c, int v, V g) const
    {
        const D d;
        const V from_im = hn::MulAdd(im, hn::Set(d, c.slope_im[v]), hn::Mul(g, hn::Set(d, c.offset[v])));
        return hn::MulAdd(re, hn::Set(d, c.slope[v]), from_im);
    }

    static unsigned Bits(const DemapTables& t) { return t.bits; }
    static Coefficients Of(const DemapTables& t) { return {t.re.data(), t.im.data(), t.offset.data()}; }
    static unsigned Position(const DemapTables& t, int lane, unsigned k)
    {
        return static_cast<unsigned>(lane) * t.bits + k;
    }
};

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
        total = Algebra::Join(of[0][0], of[0][1]);
    } else {
        typename Algebra::Sum lower[2][kBits - 1][2];
        SumUp<Algebra, kBits - 1>(metric, first, lower[0], of[0][0]);
        SumUp<Algebra, kBits - 1>(metric, first + (1 << (kBits - 1)), lower[1], of[0][1]);
        for (int k = 1; k < kBits; ++k)
            for (int b = 0; b < 2; ++b)
                of[k][b] = Algebra::Join(lower[0][k - 1][b], lower[1][k - 1][b]);
        total = Algebra::Join(of[0][0], of[0][1]);
    }
}

// ----------------------------------------------------------------------------------------------------------
// output

// Where the LLR of bit k in a lane goes, counted from a step's first.
template <class Shape>
struct Positions {
    alignas(64) std::int32_t at[kMaxBits][kLanes];

    explicit Positions(const DemapTables& t)
    {
        for (unsigned k = 0; k < Shape::Bits(t); ++k)
            for (int lane = 0; lane < kLanes; ++lane)
                at[k][lane] = static_cast<std::int32_t>(Shape::Position(t, lane, k));
    }
};

// How a step's LLRs are stored: in groups of this many lanes, or 0: each by itself.
template <class Shape>
int GroupOf(const DemapTables& t)
{
    if constexpr (Shape::kPerLevel == 1)
        return t.bits <= 8 ? 1 : 0;
    switch (t.order) {
    case DemapTables::Order::alternating:
        return 2;
    case DemapTables::Order::axis_by_axis:
        return 1;
    default:
        return 0;
    }
}

template <class Shape, int K>
HWY_INLINE void StoreLlrs(const V (&z)[K], int group, const Positions<Shape>& positions,
                          float* HWY_RESTRICT llr)
{
    if (group == 1)
        return StoreInterleavedGroups<K, 1>(z, llr);
    if constexpr (Shape::kPerLevel == 2)
        if (group == 2)
            return StoreInterleavedGroups<K, 2>(z, llr);
    for (int k = 0; k < K; ++k)
        hn::ScatterIndex(z[k], D(), llr, hn::Load(DI(), positions.at[k]));
}

template <class Shape>
HWY_INLINE void StoreLlrs(unsigned bits, const V (&z)[kMaxBits], int group, const Positions<Shape>& positions,
                          float* HWY_RESTRICT llr)
{
    if (bits == 5)
        return StoreLlrs<Shape, 5>({z[0], z[1], z[2], z[3], z[4]}, group, positions, llr);
    if (bits == 6)
        return StoreLlrs<Shape, 6>({z[0], z[1], z[2], z[3], z[4], z[5]}, group, positions, llr);
    if constexpr (Shape::kPerLevel == 1) {
        if (bits == 7)
            return StoreLlrs<Shape, 7>({z[0], z[1], z[2], z[3], z[4], z[5], z[6]}, group, positions, llr);
        if (bits == 8)
            return StoreLlrs<Shape, 8>({z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]}, group, positions,
                                       llr);
    }
    for (unsigned k = 0; k < bits; ++k)
        hn::ScatterIndex(z[k], D(), llr, hn::Load(DI(), positions.at[k]));
}

// ----------------------------------------------------------------------------------------------------------
// kernel

// kLow bits are worked in registers; kMany: more bits above them, in a loop. kRich: noise by symbol, or
// priors, or more points than are worth scaling beforehand; else coefficients hold the noise already.
template <class Shape, class Algebra, int kLow, bool kMany, bool kRich>
class Kernel
{
public:
    explicit Kernel(const DemapTables& t)
        : d_tables(t), d_bits(Shape::Bits(t)), d_group(GroupOf<Shape>(t)), d_positions(t)
    {
    }

    HWY_INLINE void Step(const Coefficients& c, const float* HWY_RESTRICT y, const float* HWY_RESTRICT gain,
                         const float* HWY_RESTRICT priors, float* HWY_RESTRICT llr) const
    {
        const D d;
        Shape sample(y);
        V g = hn::Zero(d);
        if constexpr (kRich) {
            g = hn::LoadU(d, gain);
            sample.Scale(g);
        }
        V cost[kRich ? 1 << kLow : 1];
        V prior[kRich ? kMaxBits : 1];
        if constexpr (kRich)
            Costs(priors, cost, prior);
        if constexpr (kMany) {
            const unsigned high = d_bits - kLow;
            Sum acc[kMaxBits][2];
            for (unsigned k = 0; k < d_bits; ++k)
                acc[k][0] = acc[k][1] = Algebra::None();
            for (unsigned leaf = 0; leaf < 1u << high; ++leaf) {
                Sum of[kLow][2], total;
                V leaf_cost = hn::Zero(d);
                if (kRich && priors)
                    for (unsigned k = 0; k < high; ++k)
                        leaf_cost = hn::Add(leaf_cost, CostOf(prior[k], leaf >> (high - 1 - k) & 1));
                SumUp<Algebra, kLow>(Metric{sample, c, g, cost, leaf_cost, priors != nullptr, leaf << kLow},
                                     0, of, total);
                for (int k = 0; k < kLow; ++k)
                    for (int b = 0; b < 2; ++b)
                        acc[high + k][b] = Algebra::Join(acc[high + k][b], of[k][b]);
                for (unsigned k = 0; k < high; ++k) {
                    Sum& sum = acc[k][leaf >> (high - 1 - k) & 1];
                    sum = Algebra::Join(sum, total);
                }
            }
            V z[kMaxBits];
            for (unsigned k = 0; k < d_bits; ++k)
                z[k] = Algebra::LogRatio(acc[k][1], acc[k][0]);
            StoreLlrs<Shape>(d_bits, z, d_group, d_positions, llr);
        } else {
            Sum of[kLow][2], total;
            SumUp<Algebra, kLow>(Metric{sample, c, g, cost, hn::Zero(d), priors != nullptr, 0}, 0, of, total);
            V z[kLow];
            for (int k = 0; k < kLow; ++k)
                z[k] = Algebra::LogRatio(of[k][1], of[k][0]);
            StoreLlrs<Shape, kLow>(z, d_group, d_positions, llr);
        }
    }

private:
    using Sum = typename Algebra::Sum;

    struct Metric {
        const Shape& sample;
        const Coefficients& c;
        V g;
        const V* cost;
        V leaf_cost;
        bool has_priors;
        unsigned first;

        HWY_INLINE V operator()(int v) const
        {
            if constexpr (!kRich)
                return sample.Metric(c, static_cast<int>(first) + v);
            V metric = sample.Metric(c, static_cast<int>(first) + v, g);
            if (has_priors)
                metric = hn::Add(metric, kMany ? hn::Add(cost[v], leaf_cost) : cost[v]);
            return metric;
        }
    };

    // A prior costs the bit value that it contradicts, so that values in agreement with a strong prior keep
    // their full precision.
    static HWY_INLINE V CostOf(V prior, unsigned bit)
    {
        const V zero = hn::Zero(D());
        return bit ? hn::Min(prior, zero) : hn::Neg(hn::Max(prior, zero));
    }

    HWY_INLINE void Costs(const float* HWY_RESTRICT priors, V (&cost)[kRich ? 1 << kLow : 1],
                          V (&prior)[kRich ? kMaxBits : 1]) const
    {
        if (!priors)
            return;
        const D d;
        for (unsigned k = 0; k < d_bits; ++k)
            prior[k] = hn::Mul(hn::GatherIndex(d, priors, hn::Load(DI(), d_positions.at[k])),
                               hn::Set(d, static_cast<float>(Algebra::kUnit)));
        cost[0] = hn::Zero(d);
        for (int k = 0; k < kLow; ++k)
            for (int v = (1 << k) - 1; v >= 0; --v) {
                const V p = prior[d_bits - kLow + static_cast<unsigned>(k)];
                cost[2 * v + 1] = hn::Add(cost[v], CostOf(p, 1));
                cost[2 * v] = hn::Add(cost[v], CostOf(p, 0));
            }
    }

    const DemapTables& d_tables;
    unsigned d_bits;
    int d_group;
    Positions<Shape> d_positions;
};

// Max-log where the first bit of an axis is the sign of the level and the others belong to its magnitude: on
// |y| the levels of the far side lose for every bit but the first, and there the innermost is their best. So
// half of the metrics do. kBits: bits of an axis.
template <int kBits>
class FoldedKernel
{
public:
    explicit FoldedKernel(const DemapTables& t) : d_group(GroupOf<Paired>(t)), d_positions(t)
    {
        alignas(64) float flip[kLanes];
        for (int lane = 0; lane < kLanes; ++lane)
            flip[lane] = t.fold_sign[lane % 2];
        d_flip = hn::And(hn::Load(D(), flip), hn::SignBit(D()));
    }

    HWY_INLINE void Step(const Coefficients& c, const float* HWY_RESTRICT y, const float*, const float*,
                         float* HWY_RESTRICT llr) const
    {
        const D d;
        const V sample = hn::LoadU(d, y);
        Folded metric{hn::Abs(sample), c};
        V of[kBits - 1][2], near, z[kBits];
        SumUp<MaxLog, kBits - 1>(metric, 0, of, near);
        const V far = metric(1 << (kBits - 1));
        // Bit 0 is nearer where y is on its side, so the LLR is negative there.
        z[0] = hn::Xor(hn::Sub(far, near), hn::Xor(hn::And(sample, hn::SignBit(d)), d_flip));
        for (int k = 1; k < kBits; ++k)
            z[k] = hn::Sub(of[k - 1][1], of[k - 1][0]);
        StoreLlrs<Paired, kBits>(z, d_group, d_positions, llr);
    }

private:
    struct Folded {
        V magnitude;
        const Coefficients& c;
        HWY_INLINE V operator()(int v) const
        {
            return hn::MulAdd(magnitude, BroadcastPair(c.slope + 2 * v), BroadcastPair(c.offset + 2 * v));
        }
    };

    int d_group;
    Positions<Paired> d_positions;
    V d_flip;
};

// ------------------------------------------------------------------------------------------------------------
// runs

constexpr std::size_t kMaxScaled = 256; // points whose coefficients are scaled by the noise beforehand

// All steps of a job; the last, where symbols do not fill it, by way of padded copies.
template <class Shape, class K>
HWY_INLINE void RunSteps(const K& kernel, const Coefficients& c, const float* gain, const DemapTables& t,
                         const DemapJob& job)
{
    constexpr std::size_t step = Shape::kSymbols;
    const std::size_t m = t.bits;
    const auto* y = reinterpret_cast<const float*>(job.y);
    std::size_t i = 0;
    for (; i + step <= job.n; i += step)
        kernel.Step(c, y + 2 * i, gain + i * Shape::kPerLevel, job.priors ? job.priors + i * m : nullptr,
                    job.llr + i * m);
    const std::size_t rest = job.n - i;
    if (rest == 0)
        return;
    float samples[2 * step] = {}, priors[step * kMaxBits] = {}, llr[step * kMaxBits];
    std::copy_n(y + 2 * i, 2 * rest, samples);
    if (job.priors)
        std::copy_n(job.priors + i * m, rest * m, priors);
    kernel.Step(c, samples, gain + i * Shape::kPerLevel, job.priors ? priors : nullptr, llr);
    std::copy_n(llr, rest * m, job.llr + i * m);
}

template <class Shape, class Algebra, class K>
HWY_NOINLINE void RunRich(const DemapTables& t, const DemapJob& job)
{
    // One more step than symbols, for the padded one.
    float gain[(DemapJob::max_symbols + Shape::kSymbols) * Shape::kPerLevel];
    const auto unit = static_cast<float>(2.0 * Algebra::kUnit);
    for (std::size_t i = 0; i < job.n + Shape::kSymbols; ++i) {
        const float g = i < job.n ? unit / job.noise_var[job.noise_per_symbol ? i : 0] : 0.0f;
        for (int k = 0; k < Shape::kPerLevel; ++k)
            gain[i * Shape::kPerLevel + static_cast<std::size_t>(k)] = g;
    }
    RunSteps<Shape>(K(t), Shape::Of(t), gain, t, job);
}

template <class Shape, class Algebra, class K>
HWY_NOINLINE void RunScaled(const DemapTables& t, const DemapJob& job, const Coefficients& plain,
                            std::size_t values)
{
    const auto gain = static_cast<float>(2.0 * Algebra::kUnit / job.noise_var[0]);
    float scaled[3][kMaxScaled * Shape::kPerLevel];
    for (std::size_t v = 0; v < values * Shape::kPerLevel; ++v) {
        scaled[0][v] = plain.slope[v] * gain;
        scaled[1][v] = plain.slope_im ? plain.slope_im[v] * gain : 0.0f;
        scaled[2][v] = plain.offset[v] * gain;
    }
    RunSteps<Shape>(K(t), Coefficients{scaled[0], scaled[1], scaled[2]}, scaled[0], t, job);
}

template <class Shape, class Algebra, int kLow, bool kMany>
void RunEither(const DemapTables& t, const DemapJob& job)
{
    const std::size_t values = std::size_t{1} << Shape::Bits(t);
    if (job.noise_per_symbol || job.priors || values > kMaxScaled)
        RunRich<Shape, Algebra, Kernel<Shape, Algebra, kLow, kMany, true>>(t, job);
    else
        RunScaled<Shape, Algebra, Kernel<Shape, Algebra, kLow, kMany, false>>(t, job, Shape::Of(t), values);
}

template <class Shape, class Algebra>
void RunBits(const DemapTables& t, const DemapJob& job)
{
    switch (Shape::Bits(t)) {
    case 1: // the methods agree
        return RunEither<Shape, MaxLog, 1, false>(t, job);
    case 2:
        return RunEither<Shape, Algebra, 2, false>(t, job);
    case 3:
        return RunEither<Shape, Algebra, 3, false>(t, job);
    case 4:
        return RunEither<Shape, Algebra, 4, false>(t, job);
    default:
        return RunEither<Shape, Algebra, 4, true>(t, job);
    }
}

template <int kBits>
void RunFolded(const DemapTables& t, const DemapJob& job)
{
    const Coefficients c{t.fold_slope.data(), nullptr, t.fold_offset.data()};
    RunScaled<Paired, MaxLog, FoldedKernel<kBits>>(t, job, c, (std::size_t{1} << (kBits - 1)) + 1);
}

void Demap(const DemapTables& t, const DemapJob& job)
{
    const bool exact = t.method == DemapMethod::exact;
    if (!t.paired)
        return exact ? RunBits<Plane, Exact>(t, job) : RunBits<Plane, MaxLog>(t, job);
    if (!exact && t.folds && !job.noise_per_symbol && !job.priors) {
        switch (t.bits / 2) {
        case 2:
            return RunFolded<2>(t, job);
        case 3:
            return RunFolded<3>(t, job);
        case 4:
            return RunFolded<4>(t, job);
        case 5:
            return RunFolded<5>(t, job);
        case 6:
            return RunFolded<6>(t, job);
        }
    }
    return exact ? RunBits<Paired, Exact>(t, job) : RunBits<Paired, MaxLog>(t, job);
}

// ---------------------------------------------------------------------------------------------- before and
// after

bool AllWithin(const float* x, std::size_t n, float limit)
{
    // As integers, magnitudes of floats keep their order, and NaN is above all.
    const D d;
    const DI di;
    const auto magnitude = hn::Set(di, 0x7fffffff);
    auto largest = hn::Zero(di);
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        largest = hn::Max(largest, hn::And(hn::BitCast(di, hn::LoadU(d, x + i)), magnitude));
    bool within = hn::AllFalse(di, hn::Gt(largest, hn::BitCast(di, hn::Set(d, limit))));
    for (; i < n; ++i)
        within &= std::fabs(x[i]) <= limit;
    return within;
}

void Quantise(const float* llr, std::size_t n, float scale, std::int8_t* out)
{
    const D d;
    const hn::Rebind<std::int8_t, D> d8;
    const V top = hn::Set(d, 127.0f), factor = hn::Set(d, scale);
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const V x = hn::Clamp(hn::Mul(hn::LoadU(d, llr + i), factor), hn::Neg(top), top);
        hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(x)), d8, out + i);
    }
    for (; i < n; ++i)
        out[i] = static_cast<std::int8_t>(std::nearbyint(std::clamp(llr[i] * scale, -127.0f, 127.0f)));
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
