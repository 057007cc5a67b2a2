// SPDX-License-Identifier: GPL-3.0-or-later
// Expectation as the sum over all entries that it is; the SIMD forms are tested against it.
#include "expectation_kernels.h"

namespace softmod
{
namespace
{

// P(v) of symbol i, leaving out bit number without (none where that is no bit).
double probability(const ExpectationJob& job, std::size_t i, std::size_t v, std::size_t without)
{
    double product = 1.0;
    const std::size_t count = job.bits.size();
    for (std::size_t k = 0; k < count; ++k) {
        const double p = job.probabilities[i * job.per_symbol + job.bits[k]];
        if (k != without)
            product *= (v >> (count - 1 - k)) & 1 ? p : 1.0 - p;
    }
    return product;
}

void run(const ExpectationJob& job, float* out)
{
    for (std::size_t i = 0; i < job.n; ++i) {
        double sum = 0.0;
        for (std::size_t v = 0; v < job.table.size(); ++v)
            sum += probability(job, i, v, job.bits.size()) * static_cast<double>(job.table[v]);
        out[i * job.stride] = static_cast<float>(sum);
    }
}

void backward(const ExpectationJob& job, const float* grad, float* to_probabilities, double* to_table)
{
    const std::size_t count = job.bits.size();
    for (std::size_t i = 0; i < job.n; ++i) {
        const double g = grad[i * job.stride];
        for (std::size_t v = 0; v < job.table.size(); ++v) {
            if (to_table)
                to_table[v] += g * probability(job, i, v, count);
            for (std::size_t k = 0; to_probabilities && k < count; ++k) {
                const double slope = probability(job, i, v, k) * static_cast<double>(job.table[v]);
                to_probabilities[i * job.per_symbol + job.bits[k]] +=
                    static_cast<float>((v >> (count - 1 - k)) & 1 ? g * slope : -g * slope);
            }
        }
    }
}

} // namespace

const ExpectationKernels& expectation_kernels_generic()
{
    static constexpr ExpectationKernels kernels{run, backward};
    return kernels;
}

} // namespace softmod
