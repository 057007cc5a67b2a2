// SPDX-License-Identifier: GPL-3.0-or-later
// The demapper's shell: takes care of every input that is not a plain number, so that the kernels need not.
#include "soft_demap.h"

#include "soft_demap_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace softmod
{
namespace
{

constexpr std::size_t chunk_symbols = DemapJob::max_symbols;
constexpr float max_prior = 1e30f;

// Bounds within which no metric comes near overflow, and no gain 2 / noise_var near denormal.
constexpr double max_gain = 1e30;   // 2 / noise_var, and times peak^2
constexpr double max_noise = 1e30;  // noise_var
constexpr double max_metric = 1e34; // |y| * 2 / noise_var, and times peak

bool valid_noise(float noise_var)
{
    return std::isfinite(noise_var) && noise_var > 0.0f;
}
bool finite(std::complex<float> y)
{
    return std::isfinite(y.real()) && std::isfinite(y.imag());
}

float clamp_noise(const DemapTables& tables, float noise_var)
{
    const double lowest = 2.0 * std::max(1.0, tables.peak * tables.peak) / max_gain;
    return static_cast<float>(std::clamp<double>(noise_var, lowest, max_noise));
}

bool tame(const DemapTables& tables, const DemapKernels& kernels, const DemapJob& job)
{
    const auto limit = static_cast<float>(max_metric / max_gain * tables.peak);
    if (!kernels.all_within(reinterpret_cast<const float*>(job.y), 2 * job.n, limit))
        return false;
    const float lowest = clamp_noise(tables, 0.0f), highest = clamp_noise(tables, INFINITY);
    bool tame_noise = true;
    for (std::size_t i = 0; i < (job.noise_per_symbol ? job.n : 1); ++i)
        tame_noise &= job.noise_var[i] >= lowest && job.noise_var[i] <= highest;
    return tame_noise && (!job.priors || kernels.all_within(job.priors, job.n * tables.bits, max_prior));
}

// A copy of a chunk with every troublesome number replaced, and which symbols were unusable.
class SafeChunk
{
public:
    SafeChunk(const DemapTables& tables, const DemapJob& job) : d_job(job), d_bits(tables.bits)
    {
        for (std::size_t i = 0; i < job.n; ++i) {
            const float noise_var = job.noise_var[job.noise_per_symbol ? i : 0];
            d_invalid[i] = !finite(job.y[i]) || !valid_noise(noise_var);
            d_noise[i] = clamp_noise(tables, d_invalid[i] ? 1.0f : noise_var);
            const double limit = std::min(max_metric / std::max(1.0, tables.peak) * 0.5 * d_noise[i], 1e37);
            const auto bounded = [&](float x) {
                return static_cast<float>(std::clamp<double>(x, -limit, limit));
            };
            d_y[i] =
                d_invalid[i] ? 0.0f : std::complex<float>(bounded(job.y[i].real()), bounded(job.y[i].imag()));
            d_count += d_invalid[i];
        }
        if (job.priors) {
            d_priors.assign(job.priors, job.priors + job.n * d_bits);
            for (std::size_t i = 0; i < job.n; ++i) {
                bool nan = false;
                for (float* p = &d_priors[i * d_bits]; p != &d_priors[i * d_bits] + d_bits; ++p) {
                    nan |= std::isnan(*p);
                    *p = std::isnan(*p) ? 0.0f : std::clamp(*p, -max_prior, max_prior);
                }
                d_count += nan && !d_invalid[i];
            }
        }
    }

    DemapJob job() const
    {
        return {d_y.data(), d_job.n, d_noise.data(), true, d_job.priors ? d_priors.data() : nullptr,
                d_job.llr};
    }

    // After the kernel has run: LLR 0 for what was unusable. Returns how many symbols were.
    std::size_t finish() const
    {
        for (std::size_t i = 0; i < d_job.n; ++i)
            if (d_invalid[i])
                std::fill_n(d_job.llr + i * d_bits, d_bits, 0.0f);
        return d_count;
    }

private:
    const DemapJob& d_job;
    unsigned d_bits;
    std::array<std::complex<float>, chunk_symbols> d_y;
    std::array<float, chunk_symbols> d_noise;
    std::array<bool, chunk_symbols> d_invalid;
    std::vector<float> d_priors;
    std::size_t d_count = 0;
};

std::size_t run_chunk(const DemapTables& tables, const DemapKernels& kernels, const DemapJob& job)
{
    if (tame(tables, kernels, job)) {
        kernels.demap(tables, job);
        return 0;
    }
    const SafeChunk safe(tables, job);
    kernels.demap(tables, safe.job());
    return safe.finish();
}

// Hands the job to run(chunk, offset of its first LLR) in chunks.
template <typename Run>
std::size_t in_chunks(const DemapJob& whole, unsigned bits, Run&& run)
{
    std::size_t invalid = 0;
    for (std::size_t at = 0; at < whole.n; at += chunk_symbols) {
        DemapJob job = whole;
        job.y += at;
        job.n = std::min(chunk_symbols, whole.n - at);
        job.noise_var += whole.noise_per_symbol ? at : 0;
        job.priors = whole.priors ? whole.priors + at * bits : nullptr;
        invalid += run(job, at * bits);
    }
    return invalid;
}

std::size_t demap_float(const DemapTables& tables, const DemapJob& whole)
{
    const auto& kernels = demap_kernels();
    return in_chunks(whole, tables.bits, [&](DemapJob& job, std::size_t offset) {
        job.llr = whole.llr + offset;
        return run_chunk(tables, kernels, job);
    });
}

std::size_t demap_to_int8(const DemapTables& tables, const DemapJob& whole, float scale, std::int8_t* out)
{
    const auto& kernels = demap_kernels();
    std::vector<float> llr(std::min(whole.n, chunk_symbols) * tables.bits);
    return in_chunks(whole, tables.bits, [&](DemapJob& job, std::size_t offset) {
        job.llr = llr.data();
        const auto invalid = run_chunk(tables, kernels, job);
        kernels.quantise(llr.data(), job.n * tables.bits, scale, out + offset);
        return invalid;
    });
}

std::vector<std::complex<double>> to_double(const std::vector<std::complex<float>>& points)
{
    return {points.begin(), points.end()};
}

} // namespace

SoftDemapper::SoftDemapper(const std::vector<std::complex<double>>& points, DemapMethod method)
    : d_tables(std::make_shared<const DemapTables>(points, method))
{
}

SoftDemapper::SoftDemapper(const std::vector<std::complex<float>>& points, DemapMethod method)
    : SoftDemapper(to_double(points), method)
{
}

unsigned SoftDemapper::bits_per_symbol() const
{
    return d_tables->bits;
}
std::size_t SoftDemapper::order() const
{
    return d_tables->points.size();
}
DemapMethod SoftDemapper::method() const
{
    return d_tables->method;
}
bool SoftDemapper::separable() const
{
    return d_tables->separable;
}

std::size_t SoftDemapper::demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr,
                                const float* priors) const
{
    return demap_float(*d_tables, {y, n, &noise_var, false, priors, llr});
}

std::size_t SoftDemapper::demap(const std::complex<float>* y, std::size_t n, const float* noise_var,
                                float* llr, const float* priors) const
{
    return demap_float(*d_tables, {y, n, noise_var, true, priors, llr});
}

std::size_t SoftDemapper::demap_int8(const std::complex<float>* y, std::size_t n, float noise_var,
                                     float scale, std::int8_t* llr, const float* priors) const
{
    return demap_to_int8(*d_tables, {y, n, &noise_var, false, priors, nullptr}, scale, llr);
}

std::size_t SoftDemapper::demap_int8(const std::complex<float>* y, std::size_t n, const float* noise_var,
                                     float scale, std::int8_t* llr, const float* priors) const
{
    return demap_to_int8(*d_tables, {y, n, noise_var, true, priors, nullptr}, scale, llr);
}

} // namespace softmod
