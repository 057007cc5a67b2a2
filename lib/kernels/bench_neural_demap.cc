// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols per second (items_per_second) of the neural demapper, one thread. peak_share: of two multiply-adds
// of full vectors a cycle at the clock that bench_neural_demap measures with a chain of dependent additions.
#include "neural_demap.h"
#include "simd.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <random>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

#if defined(__x86_64__)
constexpr int chains = 12, loops = 1000;

__attribute__((target("avx512f"))) float multiply_add_avx512(float x)
{
    __m512 sums[chains], a = _mm512_set1_ps(x);
    for (auto& sum : sums)
        sum = a;
    for (int i = 0; i < loops; ++i)
        for (auto& sum : sums)
            sum = _mm512_fmadd_ps(sum, a, a);
    for (int i = 1; i < chains; ++i)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    return _mm512_cvtss_f32(sums[0]);
}

__attribute__((target("avx2,fma"))) float multiply_add_avx2(float x)
{
    __m256 sums[chains], a = _mm256_set1_ps(x);
    for (auto& sum : sums)
        sum = a;
    for (int i = 0; i < loops; ++i)
        for (auto& sum : sums)
            sum = _mm256_fmadd_ps(sum, a, a);
    for (int i = 1; i < chains; ++i)
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    return _mm256_cvtss_f32(sums[0]);
}

void peak(benchmark::State& state)
{
    const bool wide = __builtin_cpu_supports("avx512f");
    if (!wide && !__builtin_cpu_supports("fma"))
        return state.SkipWithError("no FMA");
    float x = 0.5f;
    for (auto _ : state) {
        benchmark::DoNotOptimize(x);
        benchmark::DoNotOptimize(wide ? multiply_add_avx512(x) : multiply_add_avx2(x));
    }
    state.counters["multiply_adds"] = benchmark::Counter(
        static_cast<double>(chains * loops * (wide ? 16 : 8)) * static_cast<double>(state.iterations()),
        benchmark::Counter::kIsRate);
}
BENCHMARK(peak);
#endif

} // namespace

BENCHMARK_CAPTURE(run, float32_64_64_6, {3, 64, 64, 6}, false);
BENCHMARK_CAPTURE(run, int8_64_64_6, {3, 64, 64, 6}, true);
BENCHMARK_CAPTURE(run, float32_128_128_128_6, {3, 128, 128, 128, 6}, false);
BENCHMARK_CAPTURE(run, int8_128_128_128_6, {3, 128, 128, 128, 6}, true);
