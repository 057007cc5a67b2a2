// SPDX-License-Identifier: GPL-3.0-or-later
// The network in Highway: this file is compiled once for every instruction set.
//
// Lanes are symbols, and a block of them goes through all layers while it is in the L1 cache. A group of
// outputs times a few vectors of symbols stays in registers while the inputs pass by. So nothing is padded
// but the last block, activation, rounding and packing of integers happen in registers, and no lane ever
// meets another.
//
// AVX-512 comes twice, for integers: AVX3_DL has the product of four bytes with four bytes in one
// instruction.
#define HWY_WANT_AVX3_DL
#include "neural_demap_kernels.h"
#include "simd.h"
#include "simd_config.h"

#if !defined(__aarch64__) && !defined(__arm__)
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (~(HWY_AVX3_DL | HWY_AVX3 | HWY_AVX2 | HWY_SSE4 | HWY_EMU128 | HWY_SCALAR))
#endif

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "neural_demap_simd.cc"
#include <hwy/aligned_allocator.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3;  // 32 of them
constexpr std::size_t kVectors = kManyRegisters ? 3 : 1; // of symbols at a time
constexpr std::size_t kBlock = kVectors * kLanes;        // symbols
static_assert(kDemapperGroup == 8, "as in RunLayer");

// kM outputs of a block of symbols, before the activation.
template <std::size_t kM>
struct Group {
    V value[kM][kVectors];

    HWY_INLINE void FromFloats(const PackedLayer& layer, const float* HWY_RESTRICT weight,
                               const float* HWY_RESTRICT bias, const float* HWY_RESTRICT in)
    {
        const D d;
        for (std::size_t m = 0; m < kM; ++m)
            for (std::size_t v = 0; v < kVectors; ++v)
                value[m][v] = hn::Set(d, bias[m]);
        for (std::size_t i = 0; i < layer.inputs; ++i, weight += kM, in += kBlock) {
            V x[kVectors];
            for (std::size_t v = 0; v < kVectors; ++v)
                x[v] = hn::Load(d, in + v * kLanes);
            for (std::size_t m = 0; m < kM; ++m) {
                const V w = hn::Set(d, weight[m]);
                for (std::size_t v = 0; v < kVectors; ++v)
                    value[m][v] = hn::MulAdd(w, x[v], value[m][v]);
            }
        }
    }

    HWY_INLINE void FromIntegers(const PackedLayer& layer, const std::int32_t* HWY_RESTRICT weight,
                                 const float* HWY_RESTRICT scale, const float* HWY_RESTRICT bias,
                                 const float* HWY_RESTRICT in)
    {
        const D d;
        const DI di;
        VI sum[kM][kVectors];
        for (std::size_t m = 0; m < kM; ++m)
            for (std::size_t v = 0; v < kVectors; ++v)
                sum[m][v] = hn::Zero(di);
        for (std::size_t i = 0; i < layer.inputs; i += 4, weight += kM, in += kBlock) {
            VI x[kVectors];
            for (std::size_t v = 0; v < kVectors; ++v)
                x[v] = hn::BitCast(di, hn::Load(d, in + v * kLanes));
            AddProducts(weight, x, sum);
        }
        for (std::size_t m = 0; m < kM; ++m)
            for (std::size_t v = 0; v < kVectors; ++v)
                value[m][v] =
                    hn::MulAdd(hn::ConvertTo(d, sum[m][v]), hn::Set(d, scale[m]), hn::Set(d, bias[m]));
    }

    // sum += the four uint8 of x times the four int8 of a weight. Exact: the sums stay below 2^31.
    static HWY_INLINE void AddProducts(const std::int32_t* HWY_RESTRICT weight, const VI (&x)[kVectors],
                                       VI (&sum)[kM][kVectors])
    {
        const DI di;
#if HWY_TARGET == HWY_AVX3_DL
        for (std::size_t m = 0; m < kM; ++m) {
            const VI w = hn::Set(di, weight[m]);
            // Highway 1.0 does not tell the compiler that this target has VNNI, so no intrinsic.
            for (std::size_t v = 0; v < kVectors; ++v)
                asm("vpdpbusd %2, %1, %0" : "+v"(sum[m][v].raw) : "v"(x[v].raw), "v"(w.raw));
        }
#else
        // Bytes 0 and 2, and 1 and 3, as int16; those of a weight once for all vectors.
        const VI bytes = hn::Set(di, 0x00ff00ff);
        for (std::size_t v = 0; v < kVectors; ++v) {
            const VI even = hn::And(x[v], bytes), odd = hn::And(hn::ShiftRight<8>(x[v]), bytes);
            for (std::size_t m = 0; m < kM; ++m) {
                const VI w = hn::Set(di, weight[m]);
                sum[m][v] = AddPairs(even, SignedBytes(hn::ShiftLeft<8>(w)), sum[m][v]);
                sum[m][v] = AddPairs(odd, SignedBytes(w), sum[m][v]);
            }
        }
#endif
    }

    // The odd bytes as int16 with their signs.
    static HWY_INLINE VI SignedBytes(VI bytes)
    {
        const hn::Repartition<std::int16_t, DI> d16;
        return hn::BitCast(DI(), hn::ShiftRight<8>(hn::BitCast(d16, bytes)));
    }

    // sum + a.low b.low + a.high b.high, of the int16 in each int32.
    static HWY_INLINE VI AddPairs(VI a, VI b, VI sum)
    {
        const DI di;
#if HWY_ARCH_X86
        const hn::Repartition<std::int16_t, DI> d16;
        VI unused = hn::Zero(di);
        return hn::ReorderWidenMulAccumulate(di, hn::BitCast(d16, a), hn::BitCast(d16, b), sum, unused);
#else
        const VI low =
            hn::Mul(hn::ShiftRight<16>(hn::ShiftLeft<16>(a)), hn::ShiftRight<16>(hn::ShiftLeft<16>(b)));
        return hn::Add(sum, hn::Add(low, hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b))));
#endif
    }

    HWY_INLINE void StoreFloats(bool last, float* HWY_RESTRICT out) const
    {
        const D d;
        // max(0, x), and of the last layer x
        const V least = hn::Set(d, last ? -std::numeric_limits<float>::infinity() : 0.0f);
        for (std::size_t m = 0; m < kM; ++m)
            for (std::size_t v = 0; v < kVectors; ++v)
                hn::Store(hn::Max(least, value[m][v]), d, out + m * kBlock + v * kLanes);
    }

    HWY_INLINE void StoreIntegers(float* HWY_RESTRICT out) const
    {
        const D d;
        for (std::size_t m = 0; m + 3 < kM; m += 4)
            for (std::size_t v = 0; v < kVectors; ++v) {
                const VI low = hn::Or(Byte(value[m][v]), hn::ShiftLeft<8>(Byte(value[m + 1][v])));
                const VI high = hn::Or(hn::ShiftLeft<16>(Byte(value[m + 2][v])),
                                       hn::ShiftLeft<24>(Byte(value[m + 3][v])));
                hn::Store(hn::BitCast(d, hn::Or(low, high)), d, out + m / 4 * kBlock + v * kLanes);
            }
    }

    static HWY_INLINE VI Byte(V x)
    {
        const D d;
        return hn::NearestInt(hn::Min(hn::Max(x, hn::Zero(d)), hn::Set(d, 255.0f)));
    }
};

template <std::size_t kM>
HWY_INLINE void RunGroups(const PackedLayer& layer, const float* bias, bool last, const float* in, float* out,
                          std::size_t& first)
{
    for (; first + kM <= layer.outputs; first += kM) {
        Group<kM> group;
        // Groups before this one, whole ones of 8 among them, have taken inputs * first weights.
        if (layer.integer)
            group.FromIntegers(layer, layer.weight4.data() + layer.inputs / 4 * first,
                               layer.scale.data() + first, bias + first, in);
        else
            group.FromFloats(layer, layer.weight.data() + layer.inputs * first, bias + first, in);
        if (layer.quantised)
            group.StoreIntegers(out + first / 4 * kBlock);
        else
            group.StoreFloats(last, out + first * kBlock);
    }
}

HWY_NOINLINE void RunLayer(const PackedLayer& layer, const float* bias, bool last, const float* in,
                           float* out)
{
    std::size_t first = 0;
    RunGroups<8>(layer, bias, last, in, out, first);
    RunGroups<4>(layer, bias, last, in, out, first);
    RunGroups<2>(layer, bias, last, in, out, first);
    RunGroups<1>(layer, bias, last, in, out, first);
}

// I and Q of a block; zeros behind its count. Whether all are finite.
HWY_INLINE bool LoadBlock(const float* y, std::size_t count, float* HWY_RESTRICT out)
{
    float sum = 0.0f;
    for (std::size_t s = 0; s < count; ++s) {
        out[s] = y[2 * s];
        out[kBlock + s] = y[2 * s + 1];
        sum += out[s] * 0.0f + out[kBlock + s] * 0.0f; // NaN where one is not finite
    }
    for (std::size_t s = count; s < kBlock; ++s)
        out[s] = out[kBlock + s] = 0.0f;
    return sum == 0.0f;
}

std::size_t ClearInvalid(const DemapperCall& call, std::size_t at, std::size_t count, std::size_t bits)
{
    std::size_t invalid = 0;
    for (std::size_t s = at; s < at + count; ++s)
        if (!(call.y[2 * s] * 0.0f + call.y[2 * s + 1] * 0.0f == 0.0f)) {
            std::fill_n(call.llr + s * bits, bits, 0.0f);
            ++invalid;
        }
    return invalid;
}

std::size_t Demap(const PackedDemapper& network, const DemapperCall& call)
{
    // What stands between two layers: by input, one float or four uint8 of each symbol of a block.
    const std::size_t room = network.widest * kBlock;
    const auto activations = hwy::AllocateAligned<float>(2 * room);
    if (!activations)
        throw std::bad_alloc();
    float *in = activations.get(), *out = in + room;
    const std::size_t bits = network.bits;
    std::size_t invalid = 0;
    for (std::size_t at = 0; at < call.n; at += kBlock) {
        const std::size_t count = std::min(kBlock, call.n - at);
        const bool finite = LoadBlock(call.y + 2 * at, count, in);
        for (std::size_t l = 0; l < network.layers.size(); ++l) {
            const auto& layer = network.layers[l];
            RunLayer(layer, l == 0 ? call.bias : layer.bias.data(), l + 1 == network.layers.size(), in, out);
            std::swap(in, out);
        }
        float* HWY_RESTRICT llr = call.llr + at * bits;
        for (std::size_t s = 0; s < count; ++s)
            for (std::size_t k = 0; k < bits; ++k)
                llr[s * bits + k] = in[k * kBlock + s] * call.gain;
        if (call.priors)
            for (std::size_t i = 0; i < count * bits; ++i)
                llr[i] += call.priors[at * bits + i];
        if (!finite)
            invalid += ClearInvalid(call, at, count, bits);
    }
    return invalid;
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

const NeuralDemapperKernels* NeuralDemapperOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return nullptr;
#else
    static constexpr NeuralDemapperKernels kernels{Demap};
    return &kernels;
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
HWY_EXPORT(NeuralDemapperOfTarget);
}

const NeuralDemapperKernels* neural_demapper_kernels()
{
    return simd_is_generic() ? nullptr : HWY_DYNAMIC_DISPATCH(NeuralDemapperOfTarget)();
}

} // namespace softmod
#endif
