// SPDX-License-Identifier: GPL-3.0-or-later
// The inner kernels of NeuralDemapper, one set for each instruction set. Internal to neural_demap.
#pragma once

#include "neural_demap.h"

namespace softmod
{

// Outputs that are worked out together: weights of a group lie together, by input.
constexpr std::size_t kDemapperGroup = 8;

// A layer as the kernels read it. Outputs are padded to whole groups, or to fours behind the last whole
// group; inputs of integer layers are padded to fours. Padding is zeros.
struct PackedLayer {
    std::size_t inputs, outputs;       // with padding
    bool integer;                      // takes four uint8 of a symbol in an int32, not floats
    bool quantised;                    // gives those: its weights are scaled by the next layer's input_scale
    std::vector<float> weight;         // by group: [inputs][group]
    std::vector<std::int32_t> weight4; // by group: [inputs / 4][group], four int8 each
    std::vector<float> bias, scale;
};

struct PackedDemapper {
    std::vector<PackedLayer> layers; // the first without the noise feature
    std::vector<float> noise_weight; // of the first layer, by output
    std::size_t bits, widest;        // outputs of a layer, and the samples' two
};

// What one call works with.
struct DemapperCall {
    const float* bias; // of the first layer, with what the noise adds
    float gain;        // from the network's output to the LLR
    const float* y;    // n samples, I and Q in turn
    std::size_t n;
    float* llr;
    const float* priors; // or nullptr
};

struct NeuralDemapperKernels {
    std::size_t (*demap)(const PackedDemapper& network, const DemapperCall& call);
};

// The plain form, the oracle: from the layers as they were given, in double precision.
std::size_t neural_demap_generic(const std::vector<DemapperLayer>& layers, float noise_var,
                                 const DemapperCall& call);
// For the instruction set in use, see simd.h; nullptr for the plain form.
const NeuralDemapperKernels* neural_demapper_kernels();

} // namespace softmod
