// SPDX-License-Identifier: GPL-3.0-or-later
// Envelope and half rate in Highway: this file is compiled once for every instruction set.
#include "frame_features_kernels.h"
#include "frame_octave_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "frame_octave_simd.cc"
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

// power_at(i): the powers of samples i .. i + kLanes - 1, plus tiny. whole: a multiple of kLanes.
template <class PowerAt>
HWY_INLINE void AddTriangles(const PowerAt& power_at, std::size_t whole, double* sums)
{
    const D d;
    const V one = hn::Set(d, 1.0f), first = hn::Set(d, envelope_first / envelope_step);
    for (std::size_t begin = 0; begin < whole; begin += kFlush) {
        V held[envelope_bins];
        for (auto& sum : held)
            sum = hn::Zero(d);
        for (std::size_t i = begin; i < std::min(whole, begin + kFlush); i += kLanes) {
            const V place = hn::MulSub(hn::Sqrt(power_at(i)), hn::Set(d, 1.0f / envelope_step), first);
            for (std::size_t bin = 0; bin < envelope_bins; ++bin) {
                const V away = hn::AbsDiff(place, hn::Set(d, static_cast<float>(bin)));
                held[bin] = hn::Add(held[bin], hn::Max(hn::Sub(one, away), hn::Zero(d)));
            }
        }
        for (std::size_t bin = 0; bin < envelope_bins; ++bin)
            sums[bin] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, held[bin])));
    }
}

void EnvelopeOf(const float* x, std::size_t n, const float* mean, float gain, double* sums)
{
    const D d;
    const V mean_i = hn::Set(d, mean[0]), mean_q = hn::Set(d, mean[1]), g = hn::Set(d, gain);
    const std::size_t whole = n / kLanes * kLanes;
    const auto power_at = [&](std::size_t i) {
        V re, im;
        hn::LoadInterleaved2(d, x + 2 * i, re, im);
        re = hn::Mul(hn::Sub(re, mean_i), g);
        im = hn::Mul(hn::Sub(im, mean_q), g);
        return hn::MulAdd(re, re, hn::MulAdd(im, im, hn::Set(d, tiny)));
    };
    AddTriangles(power_at, whole, sums);
    envelope_generic(x + 2 * whole, n - whole, mean, gain, sums);
}

void EnvelopeOfPowers(const float* powers, std::size_t n, float scale, double* sums)
{
    const D d;
    const std::size_t whole = n / kLanes * kLanes;
    const auto power_at = [&](std::size_t i) {
        return hn::MulAdd(hn::LoadU(d, powers + i), hn::Set(d, scale), hn::Set(d, tiny));
    };
    AddTriangles(power_at, whole, sums);
    envelope_of_powers_generic(powers + whole, n - whole, scale, sums);
}

double HalfOf(const float* x, std::size_t n, const float* mean, float gain, float* out)
{
    const D d;
    // Two samples are four floats: even and odd ones come apart, m counts pairs.
    const auto pairs = [&](std::size_t m, V& even_i, V& even_q, V& odd_i, V& odd_q) {
        hn::LoadInterleaved4(d, x + 4 * m, even_i, even_q, odd_i, odd_q);
    };
    const V middle = hn::Set(d, half_band[0] * gain), near = hn::Set(d, half_band[1] * gain),
            far = hn::Set(d, half_band[2] * gain);
    const V mean_i = hn::Set(d, mean[0] * gain), mean_q = hn::Set(d, mean[1] * gain); // the taps sum to 1
    const std::size_t half = n / 2, first = std::min<std::size_t>(2, half);
    double energy = halve_some(x, n, mean, gain, out, 0, first);
    std::size_t m = first;
    V squares = hn::Zero(d);
    for (; m + kLanes + 1 <= half; m += kLanes) {
        V i, q, unused, unused_too, before_i, before_q, far_before_i, far_before_q, after_i, after_q, odd_i,
            odd_q;
        pairs(m, i, q, odd_i, odd_q);
        pairs(m - 1, unused, unused_too, before_i, before_q);
        pairs(m - 2, unused, unused_too, far_before_i, far_before_q);
        pairs(m + 1, unused, unused_too, after_i, after_q);
        const V y_i = hn::MulAdd(far, hn::Add(far_before_i, after_i),
                                 hn::MulAdd(near, hn::Add(before_i, odd_i), hn::MulSub(middle, i, mean_i)));
        const V y_q = hn::MulAdd(far, hn::Add(far_before_q, after_q),
                                 hn::MulAdd(near, hn::Add(before_q, odd_q), hn::MulSub(middle, q, mean_q)));
        hn::StoreInterleaved2(y_i, y_q, d, out + 2 * m);
        squares = hn::MulAdd(y_i, y_i, hn::MulAdd(y_q, y_q, squares));
    }
    energy += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
    return energy + halve_some(x, n, mean, gain, out, m, half);
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

OctaveKernels OctavesOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return {envelope_generic, envelope_of_powers_generic, halve_generic};
#else
    return {EnvelopeOf, EnvelopeOfPowers, HalfOf};
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
HWY_EXPORT(OctavesOfTarget);
}

OctaveKernels octave_kernels()
{
    return simd_is_generic() ? OctaveKernels{envelope_generic, envelope_of_powers_generic, halve_generic}
                             : HWY_DYNAMIC_DISPATCH(OctavesOfTarget)();
}

} // namespace softmod
#endif
