// SPDX-License-Identifier: GPL-3.0-or-later
// Soft bits in Highway: this file is compiled once for every instruction set.
#include "soft_bits.h"

#include "simd.h"
#include "simd_config.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "soft_bits.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

#include "simd_likelihood-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

// With t = exp(-|x|), which cannot overflow: 1 / (1 + t) of positive x, t / (1 + t) of negative.
HWY_INLINE V SoftBit(V x)
{
    const D d;
    const V one = hn::Set(d, 1.0f);
    const auto power = Exact::Of(hn::Max(hn::Mul(hn::Abs(x), hn::Set(d, -1.44269504f)), hn::Set(d, -125.0f)));
    const V t = ScaleDown(power.m, power.e);
    const V p = hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), t, one), hn::Add(one, t));
    return hn::IfThenElse(hn::IsNaN(x), x, p);
}

void SoftBits(float* llr, std::size_t n)
{
    const D d;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        hn::StoreU(SoftBit(hn::LoadU(d, llr + i)), d, llr + i);
    if (i == n)
        return;
    alignas(64) float rest[kLanes] = {};
    std::copy(llr + i, llr + n, rest);
    hn::Store(SoftBit(hn::Load(d, rest)), d, rest);
    std::copy_n(rest, n - i, llr + i);
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif // neither HWY_EMU128 nor HWY_SCALAR

#if HWY_ONCE
namespace softmod
{
namespace
{

// The plain form, the oracle of the others.
void soft_bits_generic(float* llr, std::size_t n)
{
    for (std::size_t i = 0; i < n; ++i)
        llr[i] = static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(llr[i]))));
}

} // namespace
} // namespace softmod
#endif

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

using SoftBitsKernel = void (*)(float*, std::size_t);

SoftBitsKernel SoftBitsOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return nullptr;
#else
    return SoftBits;
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
HWY_EXPORT(SoftBitsOfTarget);
}

void soft_bits(float* llr, std::size_t n)
{
    const auto kernel = simd_is_generic() ? nullptr : HWY_DYNAMIC_DISPATCH(SoftBitsOfTarget)();
    kernel ? kernel(llr, n) : soft_bits_generic(llr, n);
}

} // namespace softmod
#endif
