// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols to log-likelihood ratios by a small trained network, in float32 or with hidden layers in int8.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace softmod
{

// One layer, y = W x + b; max(0, y) but for the last. In float32, or in integers where weight8 is given:
//     q = min(rint(x * input_scale), 255),  y = (weight8 q) * scale + b
// which asks for x >= 0, so not for the first layer.
struct DemapperLayer {
    std::size_t inputs = 0, outputs = 0;
    std::vector<float> weight;        // [outputs, inputs]
    std::vector<std::int8_t> weight8; // [outputs, inputs], instead
    std::vector<float> bias;          // [outputs]
    float input_scale = 1.0f;         // of an integer layer
    std::vector<float> scale;         // [outputs], of an integer layer

    bool integer() const { return !weight8.empty(); }
};

// The network of gr_softmod.modem.NeuralDemapper: (Re y, Im y, -log10(noise_var)) to m LLRs.
class NeuralDemapper
{
public:
    // llr_unit: the LLR is the network's output times llr_unit / noise_var; 0: the output as it is.
    // Throws std::invalid_argument with one sentence.
    NeuralDemapper(std::vector<DemapperLayer> layers, float llr_unit);
    ~NeuralDemapper();
    NeuralDemapper(NeuralDemapper&&) noexcept;
    NeuralDemapper& operator=(NeuralDemapper&&) noexcept;

    unsigned bits_per_symbol() const { return static_cast<unsigned>(d_layers.back().outputs); }
    const std::vector<DemapperLayer>& layers() const { return d_layers; }
    float llr_unit() const { return d_llr_unit; }

    // y[n] -> llr[n * m], first bit of a symbol first. priors: nullptr or n * m LLRs that are added.
    // Returns how many samples were not finite (their LLRs are 0). Precondition: noise_var finite and > 0.
    std::size_t demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr,
                      const float* priors = nullptr) const;

private:
    std::vector<DemapperLayer> d_layers;
    float d_llr_unit;
    std::unique_ptr<const struct PackedDemapper> d_packed;
};

} // namespace softmod
