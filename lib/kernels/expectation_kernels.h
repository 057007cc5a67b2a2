// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of Expectation, one set for each instruction set. Internal to expectation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

struct ExpectationJob {
    const std::vector<float>& table;
    const std::vector<std::uint32_t>& bits;
    std::size_t per_symbol, n, stride;
    const float* probabilities;
};

struct ExpectationKernels {
    void (*run)(const ExpectationJob& job, float* out);
    void (*backward)(const ExpectationJob& job, const float* grad, float* to_probabilities, double* to_table);
};

const ExpectationKernels& expectation_kernels_generic(); // the plain form: the oracle
const ExpectationKernels& expectation_kernels();         // for the instruction set in use, see simd.h

} // namespace softmod
