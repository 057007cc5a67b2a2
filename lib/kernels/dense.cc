// SPDX-License-Identifier: GPL-3.0-or-later
#include "dense.h"

#include "dense_kernels.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace softmod
{

DenseNetwork::DenseNetwork(std::vector<DenseLayer> layers) : d_layers(std::move(layers))
{
    if (d_layers.empty())
        throw std::invalid_argument("a network has at least one layer");
    for (std::size_t i = 0; i < d_layers.size(); ++i) {
        const auto& layer = d_layers[i];
        if (layer.inputs == 0 || layer.outputs == 0)
            throw std::invalid_argument("layer " + std::to_string(i) + " has no inputs or no outputs");
        if (i > 0 && layer.inputs != d_layers[i - 1].outputs)
            throw std::invalid_argument("layer " + std::to_string(i) + " takes " +
                                        std::to_string(layer.inputs) + " inputs, but the one before has " +
                                        std::to_string(d_layers[i - 1].outputs) + " outputs");
    }
}

void DenseNetwork::forward(const float* x, std::size_t n, float* y) const
{
    dense_kernels().forward(d_layers, x, n, y);
}

void DenseNetwork::backward(const float* x, const float* grad, std::size_t n, float* to_x,
                            const std::vector<DenseGradient>& to_layers) const
{
    if (to_layers.size() != d_layers.size())
        throw std::invalid_argument("gradients of " + std::to_string(to_layers.size()) + " layers for " +
                                    std::to_string(d_layers.size()));
    dense_kernels().backward(d_layers, x, grad, n, to_x, to_layers);
}

} // namespace softmod
