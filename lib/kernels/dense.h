// SPDX-License-Identifier: GPL-3.0-or-later
// A small multi-layer perceptron on many rows, for training: forward, and back through it.
#pragma once

#include <cstddef>
#include <vector>

namespace softmod
{

// One layer, y = W x + b, in the caller's memory.
struct DenseLayer {
    std::size_t inputs, outputs;
    const float* weight; // [outputs * inputs], row by row
    const float* bias;   // [outputs]
};

// Where the gradients of a layer are added to.
struct DenseGradient {
    float* weight;
    float* bias;
};

// Between two layers stands max(0, x). Rows are worked in blocks whose activations stay in the cache, on the
// way back once more from the input, so that a pass needs no memory but for its result.
class DenseNetwork
{
public:
    // Layers keep pointing to the caller's weights. Throws std::invalid_argument where there is no layer or
    // the widths do not fit.
    explicit DenseNetwork(std::vector<DenseLayer> layers);

    std::size_t inputs() const { return d_layers.front().inputs; }
    std::size_t outputs() const { return d_layers.back().outputs; }
    std::size_t depth() const { return d_layers.size(); }

    // x[n * inputs] -> y[n * outputs], row by row.
    void forward(const float* x, std::size_t n, float* y) const;

    // From grad[n * outputs]: to_x[n * inputs] unless nullptr, and adds to those of the layers.
    void backward(const float* x, const float* grad, std::size_t n, float* to_x,
                  const std::vector<DenseGradient>& to_layers) const;

private:
    std::vector<DenseLayer> d_layers;
};

} // namespace softmod
