// SPDX-License-Identifier: GPL-3.0-or-later
// Expectation in Highway: this file is compiled once for every instruction set. Lanes are symbols.
#include "expectation_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "expectation_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

#include "simd_interleave-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kMaxBits = 16;

// A function's arrays of vectors, as floats: 2^kSmall of them on the stack, more on the heap.
constexpr std::size_t kSmall = 64;

HWY_INLINE V Load(const float* p, std::size_t i)
{
    return hn::LoadU(D(), p + i * kLanes);
}
HWY_INLINE void Store(V v, float* p, std::size_t i)
{
    hn::StoreU(v, D(), p + i * kLanes);
}

// Not low + p (high - low), which misses high by a rounding error at p = 1.
HWY_INLINE V Between(V p, V low, V high)
{
    return hn::MulAdd(p, high, hn::Mul(hn::Sub(hn::Set(D(), 1.0f), p), low));
}

// One after the other where in memory every stride-th is meant.
HWY_INLINE V Gather(const float* from, std::size_t stride, std::size_t count)
{
    alignas(64) float lanes[kLanes] = {};
    for (std::size_t lane = 0; lane < count; ++lane)
        lanes[lane] = from[lane * stride];
    return hn::Load(D(), lanes);
}

template <int K>
HWY_INLINE void LoadBits(const ExpectationJob& job, std::size_t i, V (&p)[kMaxBits])
{
    V planes[K];
    LoadInterleavedGroups<K, 1>(job.probabilities + i * K, planes);
    for (std::size_t k = 0; k < job.bits.size(); ++k)
        p[k] = planes[job.bits[k]];
}

// The probabilities of up to kLanes symbols from the i-th on.
HWY_INLINE void GatherAll(const ExpectationJob& job, std::size_t i, V (&p)[kMaxBits])
{
    const std::size_t count = std::min<std::size_t>(kLanes, job.n - i);
    switch (count == kLanes ? job.per_symbol : 0) {
    case 1:
        return LoadBits<1>(job, i, p);
    case 2:
        return LoadBits<2>(job, i, p);
    case 3:
        return LoadBits<3>(job, i, p);
    case 4:
        return LoadBits<4>(job, i, p);
    case 5:
        return LoadBits<5>(job, i, p);
    case 6:
        return LoadBits<6>(job, i, p);
    case 7:
        return LoadBits<7>(job, i, p);
    case 8:
        return LoadBits<8>(job, i, p);
    default:
        for (std::size_t k = 0; k < job.bits.size(); ++k)
            p[k] = Gather(job.probabilities + i * job.per_symbol + job.bits[k], job.per_symbol, count);
    }
}

// Halves the table bit by bit; level k, of 2^(bits - 1 - k) vectors, at levels + offset(k).
HWY_INLINE V Fold(const ExpectationJob& job, const V (&p)[kMaxBits], float* levels, bool keep)
{
    const D d;
    std::size_t half = job.table.size() / 2;
    for (std::size_t v = 0; v < half; ++v)
        Store(Between(p[0], hn::Set(d, job.table[v]), hn::Set(d, job.table[half + v])), levels, v);
    for (std::size_t k = 1; k < job.bits.size(); ++k) {
        float* const next = keep ? levels + half * kLanes : levels;
        half /= 2;
        for (std::size_t v = 0; v < half; ++v)
            Store(Between(p[k], Load(levels, v), Load(levels, half + v)), next, v);
        levels = next;
    }
    return Load(levels, 0);
}

// The same depth first: no more vectors at a time than there are bits, which stay in registers.
template <std::size_t kBits>
HWY_INLINE V Mean(const float* table, const V* p, const V* q)
{
    if constexpr (kBits == 0) {
        return hn::Set(D(), *table);
    } else {
        const V low = Mean<kBits - 1>(table, p + 1, q + 1);
        return hn::MulAdd(*p, Mean<kBits - 1>(table + (1u << (kBits - 1)), p + 1, q + 1), hn::Mul(*q, low));
    }
}

template <std::size_t kBits>
void RunBits(const ExpectationJob& job, float* out)
{
    for (std::size_t i = 0; i < job.n; i += kLanes) {
        V p[kMaxBits], q[kBits];
        GatherAll(job, i, p);
        for (std::size_t k = 0; k < kBits; ++k)
            q[k] = hn::Sub(hn::Set(D(), 1.0f), p[k]);
        alignas(64) float lanes[kLanes];
        hn::Store(Mean<kBits>(job.table.data(), p, q), D(), lanes);
        for (std::size_t lane = 0; lane < std::min<std::size_t>(kLanes, job.n - i); ++lane)
            out[(i + lane) * job.stride] = lanes[lane];
    }
}

void Run(const ExpectationJob& job, float* out)
{
    switch (job.bits.size()) {
    case 1:
        return RunBits<1>(job, out);
    case 2:
        return RunBits<2>(job, out);
    case 3:
        return RunBits<3>(job, out);
    case 4:
        return RunBits<4>(job, out);
    case 5:
        return RunBits<5>(job, out);
    case 6:
        return RunBits<6>(job, out);
    default:
        break;
    }
    const std::size_t size = job.table.size();
    float small[kSmall * kLanes];
    std::vector<float> large(size > kSmall ? size * kLanes : 0);
    float* const levels = large.empty() ? small : large.data();
    for (std::size_t i = 0; i < job.n; i += kLanes) {
        V p[kMaxBits];
        GatherAll(job, i, p);
        alignas(64) float lanes[kLanes];
        hn::Store(Fold(job, p, levels, false), D(), lanes);
        for (std::size_t lane = 0; lane < std::min<std::size_t>(kLanes, job.n - i); ++lane)
            out[(i + lane) * job.stride] = lanes[lane];
    }
}

void Backward(const ExpectationJob& job, const float* grad, float* to_probabilities, double* to_table)
{
    const D d;
    const std::size_t size = job.table.size(), bits = job.bits.size();
    float small[3 * kSmall * kLanes];
    std::vector<float> large(size > kSmall ? 3 * size * kLanes : 0);
    float* const levels = large.empty() ? small : large.data();
    float* const adjoint = levels + size * kLanes;
    std::vector<float> sums(to_table ? size * kLanes : 0);
    for (std::size_t i = 0; i < job.n; i += kLanes) {
        const std::size_t count = std::min<std::size_t>(kLanes, job.n - i);
        V p[kMaxBits];
        GatherAll(job, i, p);
        Fold(job, p, levels, true);
        Store(Gather(grad + i * job.stride, job.stride, count), adjoint, 0);
        // From the last bit to the first: adjoint, of half vectors at that, to twice as many one level down.
        // There it overwrites itself, upper half first.
        std::size_t half = 1;
        const float* level = levels + (size - 2) * kLanes; // the last, of one vector
        for (std::size_t k = bits; k-- > 0; half *= 2) {
            const bool first = k == 0;
            if (!first)
                level -= 2 * half * kLanes;
            const V q = hn::Sub(hn::Set(d, 1.0f), p[k]);
            V slope = hn::Zero(d);
            for (std::size_t v = half; v-- > 0;) {
                const V a = Load(adjoint, v);
                const V low = first ? hn::Set(d, job.table[v]) : Load(level, v);
                const V high = first ? hn::Set(d, job.table[half + v]) : Load(level, half + v);
                slope = hn::MulAdd(a, hn::Sub(high, low), slope);
                Store(hn::Mul(p[k], a), adjoint, half + v);
                Store(hn::Mul(q, a), adjoint, v);
            }
            if (to_probabilities) {
                alignas(64) float lanes[kLanes];
                hn::Store(slope, d, lanes);
                for (std::size_t lane = 0; lane < count; ++lane)
                    to_probabilities[(i + lane) * job.per_symbol + job.bits[k]] += lanes[lane];
            }
        }
        for (std::size_t v = 0; to_table && v < size; ++v)
            Store(hn::Add(Load(sums.data(), v), Load(adjoint, v)), sums.data(), v);
    }
    for (std::size_t v = 0; to_table && v < size; ++v)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            to_table[v] += sums[v * kLanes + lane];
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

const ExpectationKernels* ExpectationOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return &expectation_kernels_generic();
#else
    static constexpr ExpectationKernels kernels{Run, Backward};
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
HWY_EXPORT(ExpectationOfTarget);
}

const ExpectationKernels& expectation_kernels()
{
    return simd_is_generic() ? expectation_kernels_generic() : *HWY_DYNAMIC_DISPATCH(ExpectationOfTarget)();
}

} // namespace softmod
#endif
