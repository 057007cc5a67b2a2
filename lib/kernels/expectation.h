// SPDX-License-Identifier: GPL-3.0-or-later
// What a table of values has for its mean when the bits of the index are independent and uncertain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

// E[table[v]] with v's bit k (first is highest) 1 with probability p_k: a soft modulator, one axis at a time.
// For certain bits exactly the table's entry. With a table of levels t over bits of which p_0 is the first,
//   E(t) = (1 - p_0) E(lower half of t) + p_0 E(upper half of t),
// so its derivatives are differences of such halves.
class Expectation
{
public:
    // bits: which of the probabilities of a symbol index the table, first highest; table size 2^bits.size(),
    // up to 65536. probabilities lie per_symbol apart. Throws std::invalid_argument where these do not fit.
    Expectation(std::vector<float> table, std::vector<std::uint32_t> bits, std::uint32_t per_symbol);

    // out[i * stride] of symbol i of probabilities[n * per_symbol].
    void run(const float* probabilities, std::size_t n, float* out, std::size_t stride) const;

    // grad[i * stride] to out[i * stride]. Adds to to_probabilities[n * per_symbol] and to_table (double, of
    // the table's size) where these are not nullptr.
    void backward(const float* grad, std::size_t stride, const float* probabilities, std::size_t n,
                  float* to_probabilities, double* to_table) const;

private:
    std::vector<float> d_table;
    std::vector<std::uint32_t> d_bits;
    std::uint32_t d_per_symbol;
};

} // namespace softmod
