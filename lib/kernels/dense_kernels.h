// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of DenseNetwork, one set for each instruction set. Internal to dense.
#pragma once

#include "dense.h"

namespace softmod
{

struct DenseKernels {
    void (*forward)(const std::vector<DenseLayer>& layers, const float* x, std::size_t n, float* y);
    void (*backward)(const std::vector<DenseLayer>& layers, const float* x, const float* grad, std::size_t n,
                     float* to_x, const std::vector<DenseGradient>& to_layers);
};

const DenseKernels& dense_kernels_generic(); // the plain form: the oracle
const DenseKernels& dense_kernels();         // for the instruction set in use, see simd.h

} // namespace softmod
