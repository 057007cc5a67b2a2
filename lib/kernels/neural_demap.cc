// SPDX-License-Identifier: GPL-3.0-or-later
#include "neural_demap.h"

#include "neural_demap_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace softmod
{
namespace
{

constexpr std::size_t max_width = 4096;

bool all_finite(const std::vector<float>& values)
{
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

void check(bool right, std::size_t l, const std::string& what)
{
    if (!right)
        throw std::invalid_argument("layer " + std::to_string(l) + " " + what);
}

void check_layers(const std::vector<DemapperLayer>& layers)
{
    if (layers.empty())
        throw std::invalid_argument("the demapper has no layer");
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto& layer = layers[l];
        const std::size_t inputs = l == 0 ? 3 : layers[l - 1].outputs, outputs = layer.outputs;
        check(layer.inputs == inputs, l,
              "takes " + std::to_string(layer.inputs) + " inputs; it must take " + std::to_string(inputs));
        check(outputs >= 1 && outputs <= max_width, l, "has no outputs, or more than 4096");
        check((layer.integer() ? layer.weight8.size() : layer.weight.size()) == inputs * outputs, l,
              "has weights of another size than its inputs and outputs");
        check(layer.bias.size() == outputs, l, "has not one bias for each output");
        check(all_finite(layer.weight) && all_finite(layer.bias) && all_finite(layer.scale), l,
              "has a number that is not finite");
        if (layer.integer()) {
            check(l > 0, l, "takes the samples; it must be float32");
            check(layer.scale.size() == outputs, l, "has not one scale for each output");
            check(std::isfinite(layer.input_scale) && layer.input_scale > 0.0f, l,
                  "has an input scale that is not positive and finite");
            check(std::count(layer.weight8.begin(), layer.weight8.end(), -128) == 0, l,
                  "has the weight -128; they lie in -127 .. 127");
        }
    }
    if (layers.back().outputs > 16)
        throw std::invalid_argument("the demapper gives " + std::to_string(layers.back().outputs) +
                                    " LLRs a symbol; at most 16 are allowed");
}

std::size_t padded(std::size_t count, std::size_t to)
{
    return (count + to - 1) / to * to;
}

// Visits the groups of the kernels: first output and how many.
template <class Visit>
void for_groups(std::size_t outputs, Visit&& visit)
{
    std::size_t first = 0;
    for (std::size_t group = kDemapperGroup; group > 0; group /= 2)
        for (; first + group <= outputs; first += group)
            visit(first, group);
}

// The four int8 of row o from input i on, the first in the lowest byte.
std::int32_t four_weights(const DemapperLayer& layer, std::size_t o, std::size_t i)
{
    std::uint32_t four = 0;
    for (std::size_t k = 0; k < 4 && i + k < layer.inputs && o < layer.outputs; ++k)
        four |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(layer.weight8[o * layer.inputs + i + k]))
                << (8 * k);
    std::int32_t result;
    std::memcpy(&result, &four, sizeof(result));
    return result;
}

PackedLayer pack(const std::vector<DemapperLayer>& layers, std::size_t l)
{
    const auto& layer = layers[l];
    const bool last = l + 1 == layers.size(), quantised = !last && layers[l + 1].integer();
    const float factor = quantised ? layers[l + 1].input_scale : 1.0f;
    PackedLayer packed;
    packed.integer = layer.integer();
    packed.quantised = quantised;
    packed.outputs = last ? layer.outputs : padded(layer.outputs, 4);
    packed.inputs = l == 0 ? 2 : padded(layer.inputs, 4);
    packed.bias.resize(packed.outputs);
    packed.scale.resize(packed.outputs);
    for (std::size_t o = 0; o < layer.outputs; ++o) {
        packed.bias[o] = layer.bias[o] * factor;
        packed.scale[o] = layer.integer() ? layer.scale[o] * factor : 0.0f;
    }
    for_groups(packed.outputs, [&](std::size_t first, std::size_t group) {
        for (std::size_t i = 0; i < packed.inputs; i += packed.integer ? 4 : 1)
            for (std::size_t o = first; o < first + group; ++o)
                if (packed.integer)
                    packed.weight4.push_back(four_weights(layer, o, i));
                else
                    packed.weight.push_back(o < layer.outputs && i < layer.inputs
                                                ? layer.weight[o * layer.inputs + i] * factor
                                                : 0.0f);
    });
    return packed;
}

PackedDemapper pack(const std::vector<DemapperLayer>& layers)
{
    PackedDemapper packed;
    packed.bits = layers.back().outputs;
    packed.widest = 2;
    for (std::size_t l = 0; l < layers.size(); ++l) {
        packed.layers.push_back(pack(layers, l));
        packed.widest = std::max(packed.widest, packed.layers.back().outputs);
    }
    const float factor = packed.layers.front().quantised ? layers[1].input_scale : 1.0f;
    packed.noise_weight.resize(packed.layers.front().outputs);
    for (std::size_t o = 0; o < layers.front().outputs; ++o)
        packed.noise_weight[o] = layers.front().weight[o * 3 + 2] * factor;
    return packed;
}

} // namespace

NeuralDemapper::NeuralDemapper(std::vector<DemapperLayer> layers, float llr_unit)
    : d_layers(std::move(layers)), d_llr_unit(llr_unit)
{
    check_layers(d_layers);
    if (!std::isfinite(llr_unit) || llr_unit < 0.0f)
        throw std::invalid_argument("the unit of the LLRs is " + std::to_string(llr_unit) +
                                    "; it must be positive and finite, or 0 for none");
    d_packed = std::make_unique<const PackedDemapper>(pack(d_layers));
}

NeuralDemapper::~NeuralDemapper() = default;
NeuralDemapper::NeuralDemapper(NeuralDemapper&&) noexcept = default;
NeuralDemapper& NeuralDemapper::operator=(NeuralDemapper&&) noexcept = default;

std::size_t NeuralDemapper::demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr,
                                  const float* priors) const
{
    const float clamped = std::max(noise_var, 1e-30f), feature = -std::log10(clamped);
    const float gain = d_llr_unit > 0.0f ? d_llr_unit / clamped : 1.0f;
    // A complex number is two floats, by the standard.
    DemapperCall call{nullptr, gain, reinterpret_cast<const float*>(y), n, llr, priors};
    const auto* kernels = neural_demapper_kernels();
    if (!kernels)
        return neural_demap_generic(d_layers, noise_var, call);
    std::vector<float> bias = d_packed->layers.front().bias;
    for (std::size_t o = 0; o < bias.size(); ++o)
        bias[o] += d_packed->noise_weight[o] * feature;
    call.bias = bias.data();
    return kernels->demap(*d_packed, call);
}

} // namespace softmod
