// SPDX-License-Identifier: GPL-3.0-or-later
// The network as plainly as it can be written, in double precision; the SIMD forms are tested against it.
#include "neural_demap_kernels.h"

#include <algorithm>
#include <cmath>

namespace softmod
{
namespace
{

std::vector<double> layer_of(const DemapperLayer& layer, const std::vector<double>& x, bool last)
{
    std::vector<double> y(layer.bias.begin(), layer.bias.end());
    for (std::size_t o = 0; o < layer.outputs; ++o) {
        const std::size_t row = o * layer.inputs;
        double sum = 0.0;
        for (std::size_t i = 0; i < layer.inputs; ++i)
            sum += layer.integer()
                       ? layer.weight8[row + i] *
                             std::min(std::nearbyint(x[i] * static_cast<double>(layer.input_scale)), 255.0)
                       : static_cast<double>(layer.weight[row + i]) * x[i];
        y[o] += layer.integer() ? sum * static_cast<double>(layer.scale[o]) : sum;
        if (!last)
            y[o] = std::max(0.0, y[o]);
    }
    return y;
}

} // namespace

std::size_t neural_demap_generic(const std::vector<DemapperLayer>& layers, float noise_var,
                                 const DemapperCall& call)
{
    const std::size_t m = layers.back().outputs;
    const double feature = -std::log10(std::max(static_cast<double>(noise_var), 1e-30));
    std::size_t invalid = 0;
    for (std::size_t s = 0; s < call.n; ++s) {
        const float re = call.y[2 * s], im = call.y[2 * s + 1];
        float* llr = call.llr + s * m;
        if (!std::isfinite(re) || !std::isfinite(im)) {
            std::fill_n(llr, m, 0.0f);
            ++invalid;
            continue;
        }
        std::vector<double> row{re, im, feature};
        for (const auto& layer : layers)
            row = layer_of(layer, row, &layer == &layers.back());
        for (std::size_t k = 0; k < m; ++k)
            llr[k] = static_cast<float>(row[k] * static_cast<double>(call.gain) +
                                        (call.priors ? static_cast<double>(call.priors[s * m + k]) : 0.0));
    }
    return invalid;
}

} // namespace softmod
