// SPDX-License-Identifier: GPL-3.0-or-later
// The matched filters in Highway: this file is compiled once for every instruction set.
//
// I and Q stay interleaved: the taps are real, so a neighbour lies two floats away. All filters share what is
// loaded and the sums of the samples either side.
#include "frame_band_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "frame_band_simd.cc"
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
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::size_t kFlush = 64 * kLanes; // samples whose sums stay in float32

// Behind each filter: a vector of floats, half as many samples. window: band_reach samples before the first.
HWY_INLINE void Filter(const float* window, V (&y)[band_count])
{
    const D d;
    const V middle = hn::LoadU(d, window + 2 * band_reach);
    for (std::size_t band = 0; band < band_count; ++band)
        y[band] = hn::Mul(middle, hn::Set(d, matched[band][0]));
    for (std::size_t k = 1; k <= band_reach; ++k) {
        const V sides =
            hn::Add(hn::LoadU(d, window + 2 * (band_reach - k)), hn::LoadU(d, window + 2 * (band_reach + k)));
        for (std::size_t band = 0; band < band_count; ++band)
            y[band] = hn::MulAdd(sides, hn::Set(d, matched[band][k]), y[band]);
    }
}

void BandsOf(const float* padded, std::size_t n, float* powers, double* energies)
{
    const D d;
    std::fill(energies, energies + band_count, 0.0);
    const std::size_t whole = n / kLanes * kLanes;
    for (std::size_t begin = 0; begin < whole; begin += kFlush) {
        V held[band_count];
        for (auto& sum : held)
            sum = hn::Zero(d);
        for (std::size_t i = begin; i < std::min(whole, begin + kFlush); i += kLanes) {
            V low[band_count], high[band_count];
            Filter(padded + 2 * i, low);
            Filter(padded + 2 * i + kLanes, high);
            for (std::size_t band = 0; band < band_count; ++band) {
                const V below = hn::Mul(low[band], low[band]), above = hn::Mul(high[band], high[band]);
                const V power = hn::Add(hn::ConcatEven(d, above, below), hn::ConcatOdd(d, above, below));
                hn::StoreU(power, d, powers + band * n + i);
                held[band] = hn::Add(held[band], power);
            }
        }
        for (std::size_t band = 0; band < band_count; ++band)
            energies[band] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, held[band])));
    }
    bands_some(padded, n, powers, energies, whole, n);
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

BandKernel BandsOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return bands_generic;
#else
    return BandsOf;
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
HWY_EXPORT(BandsOfTarget);
}

BandKernel band_kernel()
{
    return simd_is_generic() ? bands_generic : HWY_DYNAMIC_DISPATCH(BandsOfTarget)();
}

} // namespace softmod
#endif
