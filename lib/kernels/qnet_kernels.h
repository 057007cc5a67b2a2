// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of a quantised network, one set for each instruction set. Internal to qnet.
#pragma once

#include "qnet_pack.h"
#include "qnet_plan.h"

namespace softmod
{

// Each runs one step on an arena; `logits` is where a step that gives logits puts them.
struct QnetKernels {
    const char* name;
    PackFormat format; // how weights are packed for these
    void (*conv)(const Step& step, std::uint8_t* arena, float* logits);
    void (*depthwise)(const Step& step, std::uint8_t* arena);
    void (*add)(const Step& step, std::uint8_t* arena);
    void (*max_pool)(const Step& step, std::uint8_t* arena);
    void (*rescale)(const Step& step, std::uint8_t* arena);
    // bytes[i] = clamp(rint((x[i] - mean[i % 2]) * gain * scale)): n of them
    void (*quantise)(const float* x, std::size_t n, const float* mean, float gain, float scale,
                     const ByteRange& to, std::uint8_t* bytes);
    // of x[i] - mean[i % 2], the squares and their sum in double precision
    double (*sum_of_squares)(const float* x, std::size_t n, const float* mean);
    // For benchmarks: as many products of bytes as the core can make; returns how many.
    std::size_t (*dot_products)(std::size_t rounds);
};

const QnetKernels& qnet_kernels_generic(); // the plain form: the oracle
const QnetKernels& qnet_kernels();         // for the instruction set in use, see simd.h

} // namespace softmod
