// SPDX-License-Identifier: GPL-3.0-or-later
// Interleaves vectors on their way to memory. Compiled once for every instruction set.
#if defined(SOFTMOD_SIMD_INTERLEAVE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOD_SIMD_INTERLEAVE_INL_H
#undef SOFTMOD_SIMD_INTERLEAVE_INL_H
#else
#define SOFTMOD_SIMD_INTERLEAVE_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));

// K planes, vectors by bit, and K vectors of memory, in which groups of G lanes of the planes take turns:
// lane l of plane k lies at ((l / G) K + k) G + l % G. A table says for lane l of the r-th result of the way
// there (or, kBack, from memory to planes) that it is lane[r][l] of input source[r][l].
template <int K, int G, bool kBack>
struct InterleaveTable {
    alignas(64) std::int32_t lane[K][kLanes];
    alignas(64) std::int32_t source[K][kLanes];
    // For permutations of two vectors, the result so far and input k: lanes not from k stay.
    alignas(64) std::int32_t pick[K][K][kLanes];

    constexpr InterleaveTable() : lane{}, source{}, pick{}
    {
        for (int k = 0; k < K; ++k)
            for (int l = 0; l < kLanes; ++l) {
                const int place = ((l / G) * K + k) * G + l % G;
                if (kBack)
                    Set(k, l, place / kLanes, place % kLanes);
                else
                    Set(place / kLanes, place % kLanes, k, l);
            }
    }

private:
    constexpr void Set(int r, int l, int from, int from_lane)
    {
        source[r][l] = from;
        lane[r][l] = from_lane;
        for (int k = 1; k < K; ++k)
            pick[r][k][l] = from == k ? from_lane + kLanes : (k == 1 ? from_lane : l);
    }
};

template <class Table>
struct TableConstant {
    static constexpr Table value{};
};

// K - 1 or K permutations for each result.
template <int K, class Table>
HWY_INLINE void PermuteByTable(const V (&in)[K], V (&out)[K])
{
    const DI di;
    constexpr const auto& table = TableConstant<Table>::value;
    for (int r = 0; r < K; ++r) {
#if HWY_TARGET == HWY_AVX3
        out[r] = in[0];
        for (int k = 1; k < K; ++k)
            out[r] = V{_mm512_permutex2var_ps(out[r].raw, hn::Load(di, table.pick[r][k]).raw, in[k].raw)};
#else
        const D d;
        const auto lane = hn::IndicesFromVec(d, hn::Load(di, table.lane[r]));
        const auto source = hn::Load(di, table.source[r]);
        out[r] = hn::TableLookupLanes(in[0], lane);
        for (int k = 1; k < K; ++k) {
            const auto from_k = hn::RebindMask(d, hn::Eq(source, hn::Set(di, k)));
            out[r] = hn::IfThenElse(from_k, hn::TableLookupLanes(in[k], lane), out[r]);
        }
#endif
    }
}

// K = 2, for which vectors of one or two blocks of 128 bits have cheaper ways.
template <int G>
HWY_INLINE void InterleaveTwo(V a, V b, V& lower, V& upper)
{
    static_assert(G <= kLanes, "a group must fit in a vector");
    if constexpr (G == kLanes) {
        lower = a;
        upper = b;
    } else if constexpr (kLanes > 8) {
        V out[2];
        PermuteByTable<2, InterleaveTable<2, G, false>>({a, b}, out);
        lower = out[0];
        upper = out[1];
    } else if constexpr (G == 4) {
        const D d;
        lower = hn::ConcatLowerLower(d, b, a);
        upper = hn::ConcatUpperUpper(d, b, a);
    } else {
        // Blockwise; then the blocks.
        const D d;
        V low, high;
        if constexpr (G == 1) {
            low = hn::InterleaveLower(d, a, b);
            high = hn::InterleaveUpper(d, a, b);
        } else {
            const hn::Repartition<std::uint64_t, D> pairs;
            low = hn::BitCast(d, hn::InterleaveLower(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
            high = hn::BitCast(d, hn::InterleaveUpper(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
        }
        InterleaveTwo<4>(low, high, lower, upper);
    }
}

// Groups of G lanes of z[0], z[1], .. in turn.
template <int K, int G>
HWY_INLINE void Interleave(const V (&z)[K], V (&out)[K])
{
    if constexpr (K == 1) {
        out[0] = z[0];
    } else if constexpr (K % 2 == 1) {
        PermuteByTable<K, InterleaveTable<K, G, false>>(z, out);
    } else {
        // Neighbours first; what they give are groups of 2 G from half as many vectors, twice.
        constexpr int H = K / 2;
        V lower[H], upper[H], out_lower[H], out_upper[H];
        for (int k = 0; k < H; ++k)
            InterleaveTwo<G>(z[2 * k], z[2 * k + 1], lower[k], upper[k]);
        Interleave<H, 2 * G>(lower, out_lower);
        Interleave<H, 2 * G>(upper, out_upper);
        for (int k = 0; k < H; ++k) {
            out[k] = out_lower[k];
            out[H + k] = out_upper[k];
        }
    }
}

template <int K, int G>
HWY_INLINE void StoreInterleavedGroups(const V (&z)[K], float* HWY_RESTRICT out)
{
    V interleaved[K];
    Interleave<K, G>(z, interleaved);
    for (int k = 0; k < K; ++k)
        hn::StoreU(interleaved[k], D(), out + k * kLanes);
}

template <int K, int G>
HWY_INLINE void LoadInterleavedGroups(const float* HWY_RESTRICT in, V (&z)[K])
{
    V interleaved[K];
    for (int k = 0; k < K; ++k)
        interleaved[k] = hn::LoadU(D(), in + k * kLanes);
    if constexpr (K == 1)
        z[0] = interleaved[0];
    else
        PermuteByTable<K, InterleaveTable<K, G, true>>(interleaved, z);
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
