// SPDX-License-Identifier: GPL-3.0-or-later
// The steps in Highway. Included by qnet_simd.cc inside a namespace of its own, for every instruction set
// once with dot products of bytes (SOFTMOD_DOT 1) and once without: so no include guard, and no includes but
// its parts.

namespace hn = hwy::HWY_NAMESPACE;

using DI = hn::ScalableTag<std::int32_t>;
using DF = hn::ScalableTag<float>;
using DS = hn::ScalableTag<std::int16_t>;
using DB = hn::ScalableTag<std::uint8_t>;
using VI = hn::Vec<DI>;
using VF = hn::Vec<DF>;
using VS = hn::Vec<DS>;
using VB = hn::Vec<DB>;
constexpr std::size_t kLanes = hn::MaxLanes(DI());
constexpr std::size_t kBytes = hn::MaxLanes(DB());
constexpr std::size_t kUnit = 4; // vectors of a unit of output channels, at most
constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3;

// Calls f with 0, ..., n - 1 as constants: what f finds at those places of an array can lie in registers.
template <typename F, std::size_t... i>
HWY_INLINE void EachOf(const F& f, std::index_sequence<i...>)
{
    (f(std::integral_constant<std::size_t, i>()), ...);
}
template <std::size_t n, typename F>
HWY_INLINE void Each(const F& f)
{
    EachOf(f, std::make_index_sequence<n>());
}

#include "qnet_products-inl.h"

#include "qnet_conv-inl.h"

#include "qnet_depthwise-inl.h"

#include "qnet_bytes-inl.h"

// Nothing but dot products, each sum waiting for none of the others.
std::size_t DotProducts(std::size_t rounds)
{
    constexpr std::size_t kSums = 10;
    HWY_ALIGN std::uint8_t bytes[kBytes] = {};
    HWY_ALIGN std::int8_t weight[2 * kBytes] = {};
    for (std::size_t i = 0; i < kBytes; ++i)
        bytes[i] = static_cast<std::uint8_t>(rounds + i);
    const Input input = Prepare(hn::Load(DB(), bytes));
    VI sum[kSums];
    for (auto& s : sum)
        s = hn::Zero(DI());
    for (std::size_t r = 0; r < rounds; ++r)
        for (auto& s : sum)
            s = Dot(s, input, weight);
    for (std::size_t i = 1; i < kSums; ++i)
        sum[0] = hn::Add(sum[0], sum[i]);
    const bool none = hn::GetLane(hn::SumOfLanes(DI(), sum[0])) == 0; // always, but no compiler knows
    return none ? rounds * kSums * 4 * kLanes : 0;
}

constexpr const char* kName =
#if HWY_ARCH_ARM
    SOFTMOD_DOT ? "neon dot" : "neon";
#elif HWY_TARGET == HWY_AVX3
    SOFTMOD_DOT ? "avx512 vnni" : "avx512";
#elif HWY_TARGET == HWY_AVX2
    SOFTMOD_DOT ? "avx2 vnni" : "avx2";
#else
    "sse4";
#endif

const QnetKernels& Kernels()
{
    static constexpr PackFormat format{kLanes,       kUnit,          kManyRegisters ? kUnit : 2,
                                       !SOFTMOD_DOT, HWY_NATIVE_FMA, SOFTMOD_DOT && HWY_ARCH_ARM};
    static constexpr QnetKernels kernels{kName,   format,  Conv,     Depthwise,    Add,
                                         MaxPool, Rescale, Quantise, SumOfSquares, DotProducts};
    return kernels;
}
