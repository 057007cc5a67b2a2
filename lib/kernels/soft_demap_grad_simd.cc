// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's gradient in Highway: this file is compiled once for every instruction set.
#include "simd.h"
#include "simd_config.h"
#include "soft_demap_grad_kernels.h"

#include <algorithm>
#include <complex>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "soft_demap_grad_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

#include "soft_demap_grad_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

template <class Shape, class Share, int kLow, bool kMany>
void RunGrad(const DemapTables& t, const DemapGradJob& job)
{
    GradKernel<Shape, Share, kLow, kMany> kernel(t, job);
    for (std::size_t i = 0; i < job.n; i += Shape::kSymbols)
        kernel.Step(i);
    kernel.Finish();
}

template <class Shape, class Share>
void RunGradBits(const DemapTables& t, const DemapGradJob& job)
{
    switch (Shape::Bits(t)) {
    case 1:
        return RunGrad<Shape, Share, 1, false>(t, job);
    case 2:
        return RunGrad<Shape, Share, 2, false>(t, job);
    case 3:
        return RunGrad<Shape, Share, 3, false>(t, job);
    case 4:
        return RunGrad<Shape, Share, 4, false>(t, job);
    default:
        return RunGrad<Shape, Share, 4, true>(t, job);
    }
}

// job.n is a multiple of kLanes.
void RunGradWhole(const DemapTables& t, const DemapGradJob& job)
{
    const bool exact = t.method == DemapMethod::exact;
    if (t.paired)
        return exact ? RunGradBits<Paired, ExactShare>(t, job) : RunGradBits<Paired, MaxLogShare>(t, job);
    return exact ? RunGradBits<Plane, ExactShare>(t, job) : RunGradBits<Plane, MaxLogShare>(t, job);
}

void DemapGrad(const DemapTables& t, const DemapGradJob& job)
{
    const std::size_t m = t.bits, whole = job.n / kLanes * kLanes, rest = job.n - whole;
    if (whole) {
        DemapGradJob part = job;
        part.n = whole;
        RunGradWhole(t, part);
    }
    if (rest == 0)
        return;
    // The symbols left over, padded to a whole vector. The padding's gradient is 0, so it adds nothing to the
    // points'.
    std::complex<float> y[kLanes] = {}, to_y[kLanes];
    float noise_var[kLanes], to_noise_var[kLanes];
    float priors[kLanes * kMaxBits] = {}, grad[kLanes * kMaxBits] = {}, to_priors[kLanes * kMaxBits];
    std::copy_n(job.y + whole, rest, y);
    std::fill_n(noise_var, kLanes, job.noise_var[0]);
    if (job.noise_per_symbol)
        std::copy_n(job.noise_var + whole, rest, noise_var);
    if (job.priors)
        std::copy_n(job.priors + whole * m, rest * m, priors);
    std::copy_n(job.grad + whole * m, rest * m, grad);
    const auto& out = job.out;
    RunGradWhole(t, {y,
                     kLanes,
                     noise_var,
                     job.noise_per_symbol,
                     job.priors ? priors : nullptr,
                     grad,
                     {out.y ? to_y : nullptr, out.noise_var ? to_noise_var : nullptr,
                      out.priors ? to_priors : nullptr, out.points}});
    if (out.y)
        std::copy_n(to_y, rest, out.y + whole);
    if (out.noise_var)
        std::copy_n(to_noise_var, rest, out.noise_var + whole);
    if (out.priors)
        std::copy_n(to_priors, rest * m, out.priors + whole * m);
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

DemapGradKernel GradKernelOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return demap_grad_generic;
#else
    return DemapGrad;
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
HWY_EXPORT(GradKernelOfTarget);
}

DemapGradKernel demap_grad_kernel()
{
    return simd_is_generic() ? demap_grad_generic : HWY_DYNAMIC_DISPATCH(GradKernelOfTarget)();
}

} // namespace softmod
#endif
