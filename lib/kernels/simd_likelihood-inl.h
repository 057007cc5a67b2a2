// SPDX-License-Identifier: GPL-3.0-or-later
// The two algebras of the demapper: what becomes of a metric, how two of them join and what their ratio is.
// Compiled once for every instruction set.
#if defined(SOFTMOD_SIMD_LIKELIHOOD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SOFTMOD_SIMD_LIKELIHOOD_INL_H
#undef SOFTMOD_SIMD_LIKELIHOOD_INL_H
#else
#define SOFTMOD_SIMD_LIKELIHOOD_INL_H
#endif

#include <hwy/highway.h>

#include "simd_interleave-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

// Max-log: a sum of likelihoods is its largest term, held as its logarithm.
struct MaxLog {
    using Sum = V;
    static constexpr double kUnit = 1.0; // metrics come in nepers

    static HWY_INLINE Sum Of(V metric) { return metric; }
    static HWY_INLINE Sum None() { return hn::Set(D(), -1e38f); }
    static HWY_INLINE Sum Join(Sum a, Sum b) { return hn::Max(a, b); }
    static HWY_INLINE V LogRatio(Sum one, Sum zero) { return hn::Sub(one, zero); }
};

// m * 2^e for integral e <= 0 and m in 0.5 .. 2^30; below 2^-125 anything negligible.
HWY_INLINE V ScaleDown(V m, V e)
{
#if HWY_TARGET == HWY_AVX3
    return V{_mm512_scalef_ps(m.raw, e.raw)};
#else
    const D d;
    const DI di;
    const auto exponent = hn::ConvertTo(di, hn::Max(e, hn::Set(d, -125.0f)));
    return hn::BitCast(d, hn::Add(hn::BitCast(di, m), hn::ShiftLeft<23>(exponent)));
#endif
}

// log2 of a positive normal number. Absolute error below 1e-6, relative to log2(x) near x = 1.
// Coefficients: Chebyshev interpolation of log2(1 + z) / z over sqrt(1/2) .. sqrt(2).
HWY_INLINE V Log2(V x)
{
    const D d;
    const DI di;
    const auto bits = hn::BitCast(di, x);
    const auto sqrt_half = hn::Set(di, 0x3f3504f3);
    const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, sqrt_half));
    const V z = hn::Sub(hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent))), hn::Set(d, 1.0f));
    V p = hn::Set(d, 0.168186590f);
    p = hn::MulAdd(p, z, hn::Set(d, -0.267963856f));
    p = hn::MulAdd(p, z, hn::Set(d, 0.296119571f));
    p = hn::MulAdd(p, z, hn::Set(d, -0.359524459f));
    p = hn::MulAdd(p, z, hn::Set(d, 0.480613112f));
    p = hn::MulAdd(p, z, hn::Set(d, -0.721360207f));
    p = hn::MulAdd(p, z, hn::Set(d, 1.44269657f));
    return hn::MulAdd(p, z, hn::ConvertTo(d, exponent));
}

// Exact: sums of likelihoods as m * 2^e with e a float of its own, so that a point however unlikely (2^-1e34)
// still counts where it is the likeliest of its set. An ordinary float would have lost it at e^-87.
struct Exact {
    struct Sum {
        V m, e;
        HWY_INLINE Sum() {} // an implicit one would not be compiled for the instruction set at hand
        HWY_INLINE Sum(V mantissa, V exponent) : m(mantissa), e(exponent) {}
    };
    static constexpr double kUnit = 1.4426950408889634; // metrics come in bits

    // 2^metric. Polynomial: minimax of 2^f over -0.5 .. 0.5, relative error below 1e-7.
    static HWY_INLINE Sum Of(V metric)
    {
        const D d;
        const V e = hn::Round(metric);
        const V f = hn::Sub(metric, e);
        V m = hn::Set(d, 0.00132647275f);
        m = hn::MulAdd(m, f, hn::Set(d, 0.00967151264f));
        m = hn::MulAdd(m, f, hn::Set(d, 0.0555073374f));
        m = hn::MulAdd(m, f, hn::Set(d, 0.240222421f));
        m = hn::MulAdd(m, f, hn::Set(d, 0.693146978f));
        m = hn::MulAdd(m, f, hn::Set(d, 1.0f));
        return {m, e};
    }

    static HWY_INLINE Sum None() { return {hn::Set(D(), 1.0f), hn::Set(D(), -1e38f)}; }

    static HWY_INLINE Sum Join(Sum a, Sum b)
    {
        const V e = hn::Max(a.e, b.e);
        return {hn::Add(ScaleDown(a.m, hn::Sub(a.e, e)), ScaleDown(b.m, hn::Sub(b.e, e))), e};
    }

    static HWY_INLINE V LogRatio(Sum one, Sum zero)
    {
        const V bits = hn::Add(hn::Sub(one.e, zero.e), Log2(hn::Div(one.m, zero.m)));
        return hn::Mul(bits, hn::Set(D(), 0.693147181f));
    }
};

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif
