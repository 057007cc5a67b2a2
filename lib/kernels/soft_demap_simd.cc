// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper in Highway: this file is compiled once for every instruction set.
#include "simd.h"
#include "simd_config.h"
#include "soft_demap_kernels.h"

#include <algorithm>
#include <cmath>
#include <complex>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "soft_demap_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

#include "soft_demap_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

template <class Kernel>
void Run(const DemapTables& t, const DemapJob& job)
{
    const Kernel kernel(t, job);
    for (std::size_t i = 0; i < job.n; i += Kernel::Shape::kSymbols)
        kernel.Step(i);
}

template <class Shape, class Algebra>
void RunGeneral(const DemapTables& t, const DemapJob& job)
{
    switch (Shape::Bits(t)) {
    case 1: // the methods agree
        return Run<GeneralKernel<Shape, MaxLog, 1, false>>(t, job);
    case 2:
        return Run<GeneralKernel<Shape, Algebra, 2, false>>(t, job);
    case 3:
        return Run<GeneralKernel<Shape, Algebra, 3, false>>(t, job);
    case 4:
        return Run<GeneralKernel<Shape, Algebra, 4, false>>(t, job);
    default:
        return Run<GeneralKernel<Shape, Algebra, 4, true>>(t, job);
    }
}

template <int kGroup>
void RunFolded(const DemapTables& t, const DemapJob& job)
{
    switch (t.bits / 2) {
    case 1:
        return Run<FoldedKernel<1, kGroup>>(t, job);
    case 2:
        return Run<FoldedKernel<2, kGroup>>(t, job);
    case 3:
        return Run<FoldedKernel<3, kGroup>>(t, job);
    case 4:
        return Run<FoldedKernel<4, kGroup>>(t, job);
    case 5:
        return Run<FoldedKernel<5, kGroup>>(t, job);
    default:
        return Run<FoldedKernel<6, kGroup>>(t, job);
    }
}

void RunPlain(const DemapTables& t, const DemapJob& job)
{
    switch (t.bits) {
    case 1:
        return Run<PlainKernel<1, false>>(t, job);
    case 2:
        return Run<PlainKernel<2, false>>(t, job);
    case 3:
        return Run<PlainKernel<3, false>>(t, job);
    case 4:
        return Run<PlainKernel<4, false>>(t, job);
    default:
        return Run<PlainKernel<4, true>>(t, job);
    }
}

// job.n is a multiple of kLanes.
void RunWhole(const DemapTables& t, const DemapJob& job)
{
    const bool one_bit = t.bits == (t.paired ? 2 : 1); // where both methods are the same
    const bool maxlog = t.method == DemapMethod::maxlog || one_bit;
    const bool simple = maxlog && !job.noise_per_symbol && !job.priors;
    if (simple && t.folds && Paired::Group(t) != 0)
        return Paired::Group(t) == 1 ? RunFolded<1>(t, job) : RunFolded<2>(t, job);
    if (simple && !t.paired && t.points.size() <= ScaledCoefficients<Plane>::kMaxValues)
        return RunPlain(t, job);
    if (t.paired)
        return maxlog ? RunGeneral<Paired, MaxLog>(t, job) : RunGeneral<Paired, Exact>(t, job);
    return maxlog ? RunGeneral<Plane, MaxLog>(t, job) : RunGeneral<Plane, Exact>(t, job);
}

void Demap(const DemapTables& t, const DemapJob& job)
{
    const std::size_t m = t.bits, whole = job.n / kLanes * kLanes, rest = job.n - whole;
    if (whole) {
        DemapJob part = job;
        part.n = whole;
        RunWhole(t, part);
    }
    if (rest == 0)
        return;
    // The symbols left over, padded to a whole vector.
    std::complex<float> y[kLanes] = {};
    float noise_var[kLanes], priors[kLanes * kMaxBits] = {}, llr[kLanes * kMaxBits];
    std::copy_n(job.y + whole, rest, y);
    std::fill_n(noise_var, kLanes, job.noise_var[0]);
    if (job.noise_per_symbol)
        std::copy_n(job.noise_var + whole, rest, noise_var);
    if (job.priors)
        std::copy_n(job.priors + whole * m, rest * m, priors);
    RunWhole(t, {y, kLanes, noise_var, job.noise_per_symbol, job.priors ? priors : nullptr, llr});
    std::copy_n(llr, rest * m, job.llr + whole * m);
}

bool AllWithin(const float* x, std::size_t n, float limit)
{
    // As integers, magnitudes of floats keep their order, and NaN is above all.
    const D d;
    const DI di;
    const auto magnitude = hn::Set(di, 0x7fffffff);
    auto even = hn::Zero(di), odd = even; // two, so that one need not wait for the other
    std::size_t i = 0;
    for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
        even = hn::Max(even, hn::And(hn::BitCast(di, hn::LoadU(d, x + i)), magnitude));
        odd = hn::Max(odd, hn::And(hn::BitCast(di, hn::LoadU(d, x + i + kLanes)), magnitude));
    }
    bool within = hn::AllFalse(di, hn::Gt(hn::Max(even, odd), hn::BitCast(di, hn::Set(d, limit))));
    for (; i < n; ++i)
        within &= std::fabs(x[i]) <= limit;
    return within;
}

#if HWY_TARGET == HWY_AVX3
// Four vectors at a time into one. Returns how many values that were.
std::size_t QuantiseByFour(const float* llr, std::size_t n, float scale, std::int8_t* out)
{
    const __m512 factor = _mm512_set1_ps(scale), top = _mm512_set1_ps(127.0f);
    // Packing works within 128 bits, which leaves the words of 4 bytes out of order.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    std::size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i rounded[4]; // far below: -2^31, which packing takes to -128
        for (int k = 0; k < 4; ++k) {
            const __m512 x = _mm512_mul_ps(_mm512_loadu_ps(llr + i + 16 * k), factor);
            rounded[k] = _mm512_cvtps_epi32(_mm512_min_ps(x, top));
        }
        const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(rounded[0], rounded[1]),
                                                  _mm512_packs_epi32(rounded[2], rounded[3]));
        const __m512i bounded = _mm512_max_epi8(packed, _mm512_set1_epi8(-127));
        _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(order, bounded));
    }
    return i;
}
#endif

void Quantise(const float* llr, std::size_t n, float scale, std::int8_t* out)
{
    const D d;
    const hn::Rebind<std::int8_t, D> d8;
    const V factor = hn::Set(d, scale), top = hn::Set(d, 127.0f);
    std::size_t i = 0;
#if HWY_TARGET == HWY_AVX3
    i = QuantiseByFour(llr, n, scale, out);
#endif
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

#endif // neither HWY_EMU128 nor HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

const DemapKernels* Kernels()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return &demap_kernels_generic();
#else
    static constexpr DemapKernels kernels{Demap, AllWithin, Quantise};
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
HWY_EXPORT(Kernels);
}

const DemapKernels& demap_kernels()
{
    return simd_is_generic() ? demap_kernels_generic() : *HWY_DYNAMIC_DISPATCH(Kernels)();
}

} // namespace softmod
#endif
