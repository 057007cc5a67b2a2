// SPDX-License-Identifier: GPL-3.0-or-later
// How symbols lie in vectors, and how their LLRs leave them. Compiled once for every instruction set.
#if defined(SOFTMOD_SOFT_DEMAP_SHAPES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOD_SOFT_DEMAP_SHAPES_INL_H
#undef SOFTMOD_SOFT_DEMAP_SHAPES_INL_H
#else
#define SOFTMOD_SOFT_DEMAP_SHAPES_INL_H
#endif

#include <hwy/highway.h>

#include "simd_interleave-inl.h"
#include "soft_demap_kernels.h"

#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kMaxBits = 16;       // of a symbol
constexpr int kMaxInterleaved = 8; // vectors that are interleaved; more are stored one by one

// By value of the bits: slopes of the metric over the sample, and what is added.
struct Coefficients {
    const float *slope, *slope_im, *offset;
};

// Two floats over and over.
HWY_INLINE V BroadcastPair(const float* pair)
{
    std::uint64_t both;
    std::memcpy(&both, pair, sizeof(both));
    return hn::BitCast(D(), hn::Set(hn::Repartition<std::uint64_t, D>(), both));
}

// Lanes are the coordinates of kLanes / 2 symbols, I and Q in turn, each with bits of its own. Coefficients
// come in pairs as well.
struct Paired {
    static constexpr int kSymbols = kLanes / 2;
    static constexpr int kCoordinates = 2;

    V y;

    HWY_INLINE explicit Paired(const float* samples) : y(hn::LoadU(D(), samples)) {}
    HWY_INLINE void Scale(V g) { y = hn::Mul(y, g); }

    HWY_INLINE V Metric(const Coefficients& c, int v) const
    {
        return hn::MulAdd(y, BroadcastPair(c.slope + 2 * v), BroadcastPair(c.offset + 2 * v));
    }
    HWY_INLINE V Metric(const Coefficients& c, int v, V g, V extra) const
    {
        return hn::MulAdd(y, BroadcastPair(c.slope + 2 * v),
                          hn::MulAdd(g, BroadcastPair(c.offset + 2 * v), extra));
    }

    // One value for each symbol.
    static HWY_INLINE V LoadBySymbol(const float* values)
    {
        const D d;
        const hn::Half<D> half;
        const auto twice = hn::IndicesFromVec(d, hn::ShiftRight<1>(hn::Iota(DI(), 0)));
        return hn::TableLookupLanes(hn::ZeroExtendVector(d, hn::LoadU(half, values)), twice);
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

    // In groups of how many lanes the LLRs are stored; 0: one by one.
    static int Group(const DemapTables& t)
    {
        if (t.bits / 2 > 6)
            return 0;
        return t.order == DemapTables::Order::alternating    ? 2
               : t.order == DemapTables::Order::axis_by_axis ? 1
                                                             : 0;
    }
};

// Lanes are symbols.
struct Plane {
    static constexpr int kSymbols = kLanes;
    static constexpr int kCoordinates = 1;

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
    HWY_INLINE V Metric(const Coefficients& c, int v, V g, V extra) const
    {
        const D d;
        const V constant = hn::MulAdd(g, hn::Set(d, c.offset[v]), extra);
        return hn::MulAdd(re, hn::Set(d, c.slope[v]), hn::MulAdd(im, hn::Set(d, c.slope_im[v]), constant));
    }

    static HWY_INLINE V LoadBySymbol(const float* values) { return hn::LoadU(D(), values); }

    static unsigned Bits(const DemapTables& t) { return t.bits; }
    static Coefficients Of(const DemapTables& t) { return {t.re.data(), t.im.data(), t.offset.data()}; }
    static unsigned Position(const DemapTables& t, int lane, unsigned k)
    {
        return static_cast<unsigned>(lane) * t.bits + k;
    }
    static int Group(const DemapTables& t) { return t.bits <= kMaxInterleaved ? 1 : 0; }
};

// Where the value of bit k in a lane lies in memory, counted from a step's first. To be prepared before its
// use.
template <class Shape>
class Positions
{
public:
    HWY_INLINE void Prepare(const DemapTables& t)
    {
        for (unsigned k = 0; k < Shape::Bits(t); ++k)
            for (int lane = 0; lane < kLanes; ++lane)
                d_at[k][lane] = static_cast<std::int32_t>(Shape::Position(t, lane, k));
    }

    HWY_INLINE V Gather(const float* values, unsigned k) const { return hn::GatherIndex(D(), values, At(k)); }
    HWY_INLINE void Scatter(V z, float* values, unsigned k) const { hn::ScatterIndex(z, D(), values, At(k)); }

private:
    HWY_INLINE hn::Vec<DI> At(unsigned k) const { return hn::Load(DI(), d_at[k]); }

    alignas(64) std::int32_t d_at[kMaxBits][kLanes];
};

// Takes a step's LLRs to memory and from there, z[k] those of bit k. kGroup: Shape::Group(t) where it is
// known beforehand.
constexpr int kAnyGroup = -1;

template <class Shape, int kGroup = kAnyGroup>
class LlrStore
{
public:
    // one_by_one: LoadOne will be called.
    HWY_INLINE explicit LlrStore(const DemapTables& t, bool one_by_one = false)
        : d_group(kGroup == kAnyGroup ? Shape::Group(t) : kGroup)
    {
        if (d_group == 0 || one_by_one)
            d_positions.Prepare(t);
    }

    HWY_INLINE V LoadOne(const float* HWY_RESTRICT llr, unsigned k) const
    {
        return d_positions.Gather(llr, k);
    }

    template <int K>
    HWY_INLINE void Load(const float* HWY_RESTRICT llr, V (&z)[K]) const
    {
        if (d_group == 1)
            return LoadInterleavedGroups<K, 1>(llr, z);
        if constexpr (Shape::kCoordinates == 2)
            if (d_group == 2)
                return LoadInterleavedGroups<K, 2>(llr, z);
        for (unsigned k = 0; k < K; ++k)
            z[k] = LoadOne(llr, k);
    }

    template <int K>
    HWY_INLINE void Store(const V (&z)[K], float* HWY_RESTRICT llr) const
    {
        if (d_group == 1)
            return StoreInterleavedGroups<K, 1>(z, llr);
        if constexpr (Shape::kCoordinates == 2)
            if (d_group == 2)
                return StoreInterleavedGroups<K, 2>(z, llr);
        for (unsigned k = 0; k < K; ++k)
            d_positions.Scatter(z[k], llr, k);
    }

    HWY_INLINE void Store(const V (&z)[kMaxBits], unsigned bits, float* HWY_RESTRICT llr) const
    {
        if (bits == 5)
            return Store<5>({z[0], z[1], z[2], z[3], z[4]}, llr);
        if (bits == 6)
            return Store<6>({z[0], z[1], z[2], z[3], z[4], z[5]}, llr);
        if constexpr (Shape::kCoordinates == 1) {
            if (bits == 7)
                return Store<7>({z[0], z[1], z[2], z[3], z[4], z[5], z[6]}, llr);
            if (bits == 8)
                return Store<8>({z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]}, llr);
        }
        for (unsigned k = 0; k < bits; ++k)
            d_positions.Scatter(z[k], llr, k);
    }

private:
    int d_group;
    Positions<Shape> d_positions;
};

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
