// SPDX-License-Identifier: GPL-3.0-or-later
// The soft mapper in Highway: this file is compiled once for every instruction set.
//
// Bit by bit from the last to the first, the moments of two halves of the values become those of both
// together:
//   mean = P(0) mean_0 + P(1) mean_1,
//   variance = P(0) variance_0 + P(1) variance_1 + P(0) P(1) |mean_1 - mean_0|^2
// Nothing cancels, so the variance of nearly certain bits keeps its digits.
#include "simd.h"
#include "simd_config.h"
#include "soft_map_kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "soft_map_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

#include "simd_likelihood-inl.h"
#include "soft_demap_shapes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

struct Bit {
    V zero, one, both; // P(0), P(1), their product
    HWY_INLINE Bit() {}

    // With t = exp(-|llr|), which cannot overflow, the likelier value has 1 / (1 + t), the other t / (1 + t).
    HWY_INLINE explicit Bit(V llr)
    {
        const D d;
        const V bits = hn::Mul(hn::Abs(llr), hn::Set(d, -static_cast<float>(Exact::kUnit)));
        const V least = hn::Set(d, -125.0f); // below float's normal numbers lies certainty
        const auto power = Exact::Of(hn::Max(bits, least));
        const V t = hn::IfThenElseZero(hn::Gt(bits, least), ScaleDown(power.m, power.e));
        const V likely = hn::Div(hn::Set(d, 1.0f), hn::Add(hn::Set(d, 1.0f), t));
        const V unlikely = hn::Mul(t, likely);
        const auto negative = hn::Lt(llr, hn::Zero(d));
        zero = hn::IfThenElse(negative, likely, unlikely);
        one = hn::IfThenElse(negative, unlikely, likely);
        both = hn::Mul(likely, unlikely);
    }

    HWY_INLINE V Mean(V of_zero, V of_one) const { return hn::MulAdd(one, of_one, hn::Mul(zero, of_zero)); }
    // to + P(0) P(1) |of_one - of_zero|^2
    HWY_INLINE V AddSpread(V of_zero, V of_one, V to) const
    {
        const V distance = hn::Sub(of_one, of_zero);
        return hn::MulAdd(hn::Mul(both, distance), distance, to);
    }
};

// Moments of one coordinate in a lane.
struct PairedMoments {
    using Shape = Paired;
    V mean, variance;

    HWY_INLINE PairedMoments() {}
    HWY_INLINE PairedMoments(const Coefficients& c, int v, const Bit& bit)
    {
        const V zero = BroadcastPair(c.slope + 2 * v), one = BroadcastPair(c.slope + 2 * v + 2);
        mean = bit.Mean(zero, one);
        variance = bit.AddSpread(zero, one, hn::Zero(D()));
    }
    HWY_INLINE PairedMoments(const PairedMoments& zero, const PairedMoments& one, const Bit& bit)
    {
        mean = bit.Mean(zero.mean, one.mean);
        variance = bit.AddSpread(zero.mean, one.mean, bit.Mean(zero.variance, one.variance));
    }

    HWY_INLINE void Store(float* HWY_RESTRICT symbols, float* HWY_RESTRICT of_symbols) const
    {
        const D d;
        hn::StoreU(mean, d, symbols);
        const V sums = hn::Add(variance, hn::Shuffle2301(variance));
        if (of_symbols)
            hn::StoreU(hn::LowerHalf(hn::ConcatEven(d, sums, sums)), hn::Half<D>(), of_symbols);
    }

    static Coefficients Levels(const MapTables& t) { return {t.pair_slope.data(), nullptr, nullptr}; }
};

// Moments of both coordinates.
struct PlaneMoments {
    using Shape = Plane;
    V re, im, variance;

    HWY_INLINE PlaneMoments() {}
    HWY_INLINE PlaneMoments(const Coefficients& c, int v, const Bit& bit)
    {
        const D d;
        const V re_zero = hn::Set(d, c.slope[v]), re_one = hn::Set(d, c.slope[v + 1]);
        const V im_zero = hn::Set(d, c.slope_im[v]), im_one = hn::Set(d, c.slope_im[v + 1]);
        re = bit.Mean(re_zero, re_one);
        im = bit.Mean(im_zero, im_one);
        variance = bit.AddSpread(re_zero, re_one, bit.AddSpread(im_zero, im_one, hn::Zero(d)));
    }
    HWY_INLINE PlaneMoments(const PlaneMoments& zero, const PlaneMoments& one, const Bit& bit)
    {
        re = bit.Mean(zero.re, one.re);
        im = bit.Mean(zero.im, one.im);
        const V within = bit.Mean(zero.variance, one.variance);
        variance = bit.AddSpread(zero.re, one.re, bit.AddSpread(zero.im, one.im, within));
    }

    HWY_INLINE void Store(float* HWY_RESTRICT symbols, float* HWY_RESTRICT of_symbols) const
    {
        hn::StoreInterleaved2(re, im, D(), symbols);
        if (of_symbols)
            hn::StoreU(variance, D(), of_symbols);
    }

    static Coefficients Levels(const MapTables& t) { return {t.point_re.data(), t.point_im.data(), nullptr}; }
};

// Over the values first .. first + 2^kBits - 1 of kBits bits.
template <class Moments, int kBits>
HWY_INLINE Moments MomentsOf(const Coefficients& levels, int first, const Bit* bits)
{
    if constexpr (kBits == 1)
        return Moments(levels, first, bits[0]);
    else
        return Moments(MomentsOf<Moments, kBits - 1>(levels, first, bits + 1),
                       MomentsOf<Moments, kBits - 1>(levels, first + (1 << (kBits - 1)), bits + 1), bits[0]);
}

// The same for more bits: kLow at a time, joined to the halves that wait for them.
template <class Moments, int kLow>
HWY_INLINE Moments MomentsOfMany(const Coefficients& levels, unsigned n_bits, const Bit* bits)
{
    const int high = static_cast<int>(n_bits) - kLow;
    Moments waiting[kMaxBits], joined;
    for (int leaf = 0; leaf < 1 << high; ++leaf) {
        joined = MomentsOf<Moments, kLow>(levels, leaf << kLow, bits + high);
        int k = high - 1;
        for (int rest = leaf; rest & 1; rest >>= 1, --k)
            joined = Moments(waiting[k], joined, bits[k]);
        if (k >= 0)
            waiting[k] = joined;
    }
    return joined;
}

HWY_INLINE Bit BitOf(V llr, std::size_t& nan)
{
    const auto is_nan = hn::IsNaN(llr);
    nan += hn::CountTrue(D(), is_nan);
    return Bit(hn::IfThenZeroElse(is_nan, llr));
}

// kLow bits are worked in registers; kMany: more above them.
template <class Moments, int kLow, bool kMany>
std::size_t RunMap(const MapTables& t, const MapJob& job)
{
    using Shape = typename Moments::Shape;
    const unsigned n_bits = Shape::Bits(t);
    const LlrStore<Shape> store(t, kMany);
    const Coefficients levels = Moments::Levels(t);
    std::size_t nan = 0;
    for (std::size_t i = 0; i < job.n; i += Shape::kSymbols) {
        const float* const llr = job.llr + i * t.bits;
        auto* const symbols = reinterpret_cast<float*>(job.symbols + i);
        float* const variance = job.variance ? job.variance + i : nullptr;
        Bit bits[kMany ? kMaxBits : kLow];
        if constexpr (kMany) {
            for (unsigned k = 0; k < n_bits; ++k)
                bits[k] = BitOf(store.LoadOne(llr, k), nan);
            MomentsOfMany<Moments, kLow>(levels, n_bits, bits).Store(symbols, variance);
        } else {
            V loaded[kLow];
            store.Load(llr, loaded);
            for (int k = 0; k < kLow; ++k)
                bits[k] = BitOf(loaded[k], nan);
            MomentsOf<Moments, kLow>(levels, 0, bits).Store(symbols, variance);
        }
    }
    return nan;
}

// job.n is a multiple of kLanes.
template <class Moments>
std::size_t MapWhole(const MapTables& t, const MapJob& job)
{
    switch (Moments::Shape::Bits(t)) {
    case 1:
        return RunMap<Moments, 1, false>(t, job);
    case 2:
        return RunMap<Moments, 2, false>(t, job);
    case 3:
        return RunMap<Moments, 3, false>(t, job);
    case 4:
        return RunMap<Moments, 4, false>(t, job);
    default:
        return RunMap<Moments, 3, true>(t, job);
    }
}

std::size_t Map(const MapTables& t, const MapJob& job)
{
    const auto run = t.paired ? MapWhole<PairedMoments> : MapWhole<PlaneMoments>;
    const std::size_t whole = job.n / kLanes * kLanes, rest = job.n - whole;
    std::size_t nan = 0;
    if (whole)
        nan += run(t, {job.llr, whole, job.symbols, job.variance});
    if (rest) { // padded to a whole vector
        float llr[kLanes * kMaxBits] = {}, variance[kLanes];
        std::complex<float> symbols[kLanes];
        std::copy_n(job.llr + whole * t.bits, rest * t.bits, llr);
        nan += run(t, {llr, kLanes, symbols, variance});
        std::copy_n(symbols, rest, job.symbols + whole);
        if (job.variance)
            std::copy_n(variance, rest, job.variance + whole);
    }
    return nan;
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif // neither HWY_EMU128 nor HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

MapKernel MapOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return map_generic;
#else
    return Map;
#endif
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace softmod
{
namespace
{
HWY_EXPORT(MapOfTarget);
}

MapKernel map_kernel()
{
    return simd_is_generic() ? map_generic : HWY_DYNAMIC_DISPATCH(MapOfTarget)();
}

} // namespace softmod
#endif
