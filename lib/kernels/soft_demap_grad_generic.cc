// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's gradient as plainly as it can be written, in double precision; the SIMD forms are tested
// against it.
#include "soft_demap_grad_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace softmod
{
namespace
{

unsigned bit_of(std::size_t label, unsigned bits, unsigned k)
{
    return (label >> (bits - 1 - k)) & 1;
}

// w_i = sum_k grad_k dllr_k / dmetric_i
std::vector<double> weights_of(DemapMethod method, const std::vector<double>& metric, unsigned bits,
                               const float* grad)
{
    std::vector<double> weight(metric.size(), 0.0);
    for (unsigned k = 0; k < bits; ++k)
        for (unsigned b = 0; b < 2; ++b) {
            const double sign = b ? grad[k] : -grad[k];
            std::size_t best = metric.size();
            for (std::size_t i = 0; i < metric.size(); ++i)
                if (bit_of(i, bits, k) == b && (best == metric.size() || metric[i] > metric[best]))
                    best = i;
            if (method == DemapMethod::maxlog) {
                weight[best] += sign;
                continue;
            }
            double sum = 0.0;
            for (std::size_t i = 0; i < metric.size(); ++i)
                if (bit_of(i, bits, k) == b)
                    sum += std::exp(metric[i] - metric[best]);
            for (std::size_t i = 0; i < metric.size(); ++i)
                if (bit_of(i, bits, k) == b)
                    weight[i] += sign * std::exp(metric[i] - metric[best]) / sum;
        }
    return weight;
}

} // namespace

void demap_grad_generic(const DemapTables& tables, const DemapGradJob& job)
{
    const unsigned m = tables.bits;
    const std::size_t order = tables.points.size();
    std::vector<double> metric(order);
    for (std::size_t n = 0; n < job.n; ++n) {
        const double noise_var = job.noise_var[job.noise_per_symbol ? n : 0];
        const std::complex<double> y = job.y[n];
        for (std::size_t i = 0; i < order; ++i) {
            const auto s = tables.points[i];
            metric[i] = (2.0 * std::real(y * std::conj(s)) - std::norm(s)) / noise_var;
            for (unsigned k = 0; job.priors && k < m; ++k)
                metric[i] += bit_of(i, m, k) * static_cast<double>(job.priors[n * m + k]);
        }
        const auto weight = weights_of(tables.method, metric, m, job.grad + n * m);
        std::complex<double> to_y = 0.0;
        double to_noise_var = 0.0;
        std::vector<double> to_priors(m, 0.0);
        for (std::size_t i = 0; i < order; ++i) {
            const auto s = tables.points[i];
            to_y += 2.0 / noise_var * weight[i] * s;
            to_noise_var -=
                weight[i] * (2.0 * std::real(y * std::conj(s)) - std::norm(s)) / (noise_var * noise_var);
            for (unsigned k = 0; k < m; ++k)
                to_priors[k] += bit_of(i, m, k) * weight[i];
            if (job.out.points)
                job.out.points[i] += 2.0 / noise_var * weight[i] * (y - s);
        }
        if (job.out.y)
            job.out.y[n] = std::complex<float>(to_y);
        if (job.out.noise_var)
            job.out.noise_var[n] = static_cast<float>(to_noise_var);
        if (job.out.priors)
            std::copy(to_priors.begin(), to_priors.end(), job.out.priors + n * m);
    }
}

} // namespace softmod
