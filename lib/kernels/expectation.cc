// SPDX-License-Identifier: GPL-3.0-or-later
#include "expectation.h"

#include "expectation_kernels.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace softmod
{

Expectation::Expectation(std::vector<float> table, std::vector<std::uint32_t> bits, std::uint32_t per_symbol)
    : d_table(std::move(table)), d_bits(std::move(bits)), d_per_symbol(per_symbol)
{
    if (d_bits.empty() || d_bits.size() > 16 || d_table.size() != std::size_t{1} << d_bits.size())
        throw std::invalid_argument("a table of " + std::to_string(d_table.size()) + " values does not fit " +
                                    std::to_string(d_bits.size()) + " bits");
    for (const auto bit : d_bits)
        if (bit >= d_per_symbol)
            throw std::invalid_argument("bit " + std::to_string(bit) + " is not among the " +
                                        std::to_string(d_per_symbol) + " of a symbol");
}

void Expectation::run(const float* probabilities, std::size_t n, float* out, std::size_t stride) const
{
    expectation_kernels().run({d_table, d_bits, d_per_symbol, n, stride, probabilities}, out);
}

void Expectation::backward(const float* grad, std::size_t stride, const float* probabilities, std::size_t n,
                           float* to_probabilities, double* to_table) const
{
    expectation_kernels().backward({d_table, d_bits, d_per_symbol, n, stride, probabilities}, grad,
                                   to_probabilities, to_table);
}

} // namespace softmod
