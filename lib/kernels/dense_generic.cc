// SPDX-License-Identifier: GPL-3.0-or-later
// The network as plainly as it can be written, in double precision; the SIMD forms are tested against it.
#include "dense_kernels.h"

#include <algorithm>

namespace softmod
{
namespace
{

using Row = std::vector<double>;

// What goes into each layer, and last what comes out.
std::vector<Row> activations(const std::vector<DenseLayer>& layers, const float* x)
{
    std::vector<Row> rows{Row(x, x + layers.front().inputs)};
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto& layer = layers[l];
        Row next(layer.outputs);
        for (std::size_t o = 0; o < layer.outputs; ++o) {
            next[o] = layer.bias[o];
            for (std::size_t i = 0; i < layer.inputs; ++i)
                next[o] += static_cast<double>(layer.weight[o * layer.inputs + i]) * rows.back()[i];
            if (l + 1 < layers.size())
                next[o] = next[o] <= 0.0 ? 0.0 : next[o]; // NaN stays
        }
        rows.push_back(next);
    }
    return rows;
}

void forward(const std::vector<DenseLayer>& layers, const float* x, std::size_t n, float* y)
{
    for (std::size_t r = 0; r < n; ++r) {
        const Row out = activations(layers, x + r * layers.front().inputs).back();
        std::copy(out.begin(), out.end(), y + r * out.size());
    }
}

void backward(const std::vector<DenseLayer>& layers, const float* x, const float* grad, std::size_t n,
              float* to_x, const std::vector<DenseGradient>& to_layers)
{
    const std::size_t inputs = layers.front().inputs, outputs = layers.back().outputs;
    for (std::size_t r = 0; r < n; ++r) {
        const auto rows = activations(layers, x + r * inputs);
        Row from(grad + r * outputs, grad + (r + 1) * outputs);
        for (std::size_t l = layers.size(); l-- > 0;) {
            const auto& layer = layers[l];
            Row to(layer.inputs, 0.0);
            for (std::size_t o = 0; o < layer.outputs; ++o) {
                to_layers[l].bias[o] += static_cast<float>(from[o]);
                for (std::size_t i = 0; i < layer.inputs; ++i) {
                    to_layers[l].weight[o * layer.inputs + i] += static_cast<float>(from[o] * rows[l][i]);
                    if (l == 0 || !(rows[l][i] <= 0.0))
                        to[i] += from[o] * static_cast<double>(layer.weight[o * layer.inputs + i]);
                }
            }
            from = to;
        }
        if (to_x)
            std::copy(from.begin(), from.end(), to_x + r * inputs);
    }
}

} // namespace

const DenseKernels& dense_kernels_generic()
{
    static constexpr DenseKernels kernels{forward, backward};
    return kernels;
}

} // namespace softmod
