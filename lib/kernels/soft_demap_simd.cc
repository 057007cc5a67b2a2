// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's kernels in Highway: this file is compiled once for every instruction set.
//
// A step takes as many symbols as fill one vector with axis coordinates (I and Q in turn) or, where the bits
// do not belong to axes, as many as a vector has lanes. For each value v of the bits it works out a metric,
// an affine function of the sample; joins the metrics to one sum for each bit and bit value; and stores the
// log ratios of these.
#include "simd.h"
#include "simd_config.h"
#include "soft_demap_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "soft_demap_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
#include "soft_demap_kernels-inl.h"
#endif

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
