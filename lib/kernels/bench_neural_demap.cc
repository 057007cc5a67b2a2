// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols per second (items_per_second) of the neural demapper, one thread. peak_share: of two multiply-adds
// of full vectors a cycle at the clock that bench_neural_demap measures with a chain of dependent additions.
#include "neural_demap.h"
#include "simd.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <random>

namespace
{

using softmod::DemapperLayer;

std::vector<DemapperLayer> network(const std::vector<std::size_t>& widths, bool integers)
{
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> weight8(-127, 127);
    std::vector<DemapperLayer> layers;
    for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
        DemapperLayer layer;
        layer.inputs = widths[l];
        layer.outputs = widths[l + 1];
        layer.bias.resize(layer.outputs, 0.1f);
        if (integers && l > 0 && l + 2 < widths.size()) {
            for (std::size_t i = 0; i < layer.inputs * layer.outputs; ++i)
                layer.weight8.push_back(static_cast<std::int8_t>(weight8(random)));
            layer.scale.resize(layer.outputs, 1e-4f);
            layer.input_scale = 40.0f;
        } else {
            for (std::size_t i = 0; i < layer.inputs * layer.outputs; ++i)
                layer.weight.push_back(normal(random) * 0.1f);
        }
        layers.push_back(layer);
    }
    return layers;
}

void run(benchmark::State& state, const std::vector<std::size_t>& widths, bool integers)
{
    const softmod::NeuralDemapper demapper(network(widths, integers), 0.1f);
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    std::vector<std::complex<float>> y(8192);
    for (auto& sample : y)
        sample = {normal(random), normal(random)};
    std::vector<float> llr(y.size() * widths.back());
    for (auto _ : state) {
        demapper.demap(y.data(), y.size(), 0.05f, llr.data());
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(y.size()) * state.iterations());
    std::size_t products = 0;
    for (const auto& layer : demapper.layers())
        products += layer.inputs * layer.outputs;
    state.counters["multiply_adds"] =
        benchmark::Counter(static_cast<double>(products * y.size()) * static_cast<double>(state.iterations()),
                           benchmark::Counter::kIsRate);
    state.SetLabel(softmod::simd_target());
}

} // namespace

BENCHMARK_CAPTURE(run, float32_64_64_6, {3, 64, 64, 6}, false);
BENCHMARK_CAPTURE(run, int8_64_64_6, {3, 64, 64, 6}, true);
BENCHMARK_CAPTURE(run, float32_128_128_128_6, {3, 128, 128, 128, 6}, false);
BENCHMARK_CAPTURE(run, int8_128_128_128_6, {3, 128, 128, 128, 6}, true);
