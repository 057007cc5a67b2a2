// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_demap_grad.h"

#include "soft_demap_grad_kernels.h"

#include <algorithm>

namespace softmod
{
namespace
{

constexpr float largest = 1e15f, least_noise = 1e-15f;

// A separable constellation is worked axis by axis, but then its points have no gradients of their own.
std::shared_ptr<const DemapTables> without_axes(const DemapTables& tables)
{
    auto plane = std::make_shared<DemapTables>(tables);
    plane->separable = plane->paired = plane->folds = false;
    return plane;
}

bool moderate(const DemapGradJob& job, unsigned bits)
{
    const auto within = demap_kernels().all_within;
    const std::size_t noises = job.noise_per_symbol ? job.n : 1;
    return within(reinterpret_cast<const float*>(job.y), 2 * job.n, largest) &&
           within(job.grad, job.n * bits, largest) &&
           (!job.priors || within(job.priors, job.n * bits, largest)) &&
           std::all_of(job.noise_var, job.noise_var + noises,
                       [](float v) { return v >= least_noise && v <= largest; });
}

} // namespace

SoftDemapGradient::SoftDemapGradient(const std::vector<std::complex<double>>& points, DemapMethod method)
    : d_tables(std::make_shared<const DemapTables>(points, method)), d_plane_tables(without_axes(*d_tables))
{
}

unsigned SoftDemapGradient::bits_per_symbol() const
{
    return d_tables->bits;
}
std::size_t SoftDemapGradient::order() const
{
    return d_tables->points.size();
}

bool SoftDemapGradient::run(const std::complex<float>* y, std::size_t n, const float* noise_var,
                            bool noise_per_symbol, const float* priors, const float* grad,
                            const DemapGradients& out) const
{
    const DemapTables& tables = out.points ? *d_plane_tables : *d_tables;
    const auto kernel = demap_grad_kernel();
    for (std::size_t at = 0; at < n; at += DemapJob::max_symbols) {
        const std::size_t llr = at * tables.bits;
        const DemapGradJob job{y + at,
                               std::min(DemapJob::max_symbols, n - at),
                               noise_var + (noise_per_symbol ? at : 0),
                               noise_per_symbol,
                               priors ? priors + llr : nullptr,
                               grad + llr,
                               {out.y ? out.y + at : nullptr, out.noise_var ? out.noise_var + at : nullptr,
                                out.priors ? out.priors + llr : nullptr, out.points}};
        if (!moderate(job, tables.bits))
            return false;
        kernel(tables, job);
    }
    return true;
}

} // namespace softmod
