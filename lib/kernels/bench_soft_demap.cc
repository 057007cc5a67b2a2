// SPDX-License-Identifier: GPL-3.0-or-later
// Symbols per second (items_per_second) of the demapper, one thread, buffers that stay in the L2 cache.
// bench_soft_demap --benchmark_filter=64qam; SOFTMOD_SIMD=avx2 and the like choose the instruction set.
#include "simd.h"
#include "soft_demap.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <complex>
#include <random>
#include <string>
#include <vector>

namespace
{

using softmod::DemapMethod;

// Gray-labelled square QAM of 2^bits points: first bit I, second Q, and so on, as in TS 38.211 5.1.
std::vector<std::complex<double>> square_qam(unsigned bits)
{
    std::vector<std::complex<double>> points;
    for (unsigned label = 0; label < 1u << bits; ++label) {
        double axis[2] = {0.0, 0.0};
        for (unsigned k = bits; k-- > 0;) { // last bit innermost
            const double sign = (label >> (bits - 1 - k)) & 1 ? -1.0 : 1.0;
            const double reach = std::ldexp(1.0, static_cast<int>((bits - 1 - k) / 2));
            axis[k % 2] = sign * (reach - axis[k % 2]);
        }
        points.emplace_back(axis[0], axis[1]);
    }
    double energy = 0.0;
    for (const auto& point : points)
        energy += std::norm(point);
    for (auto& point : points)
        point /= std::sqrt(energy / static_cast<double>(points.size()));
    return points;
}

std::vector<std::complex<double>> arbitrary(unsigned bits)
{
    std::mt19937 random(7);
    std::normal_distribution<double> normal(0.0, std::sqrt(0.5));
    std::vector<std::complex<double>> points;
    for (unsigned label = 0; label < 1u << bits; ++label)
        points.emplace_back(normal(random), normal(random));
    return points;
}

struct Buffers {
    static constexpr std::size_t n = 8192;
    std::vector<std::complex<float>> y;
    std::vector<float> llr, noise_var, priors;
    std::vector<std::int8_t> llr8;

    explicit Buffers(unsigned bits)
        : y(n), llr(n * bits), noise_var(n, 0.05f), priors(n * bits, 0.5f), llr8(n * bits)
    {
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0f, std::sqrt(0.5f));
        for (auto& sample : y)
            sample = {normal(random), normal(random)};
    }
};

enum class Mode { floats, int8, per_symbol, with_priors };

void run(benchmark::State& state, const std::vector<std::complex<double>>& points, DemapMethod method,
         Mode mode)
{
    const softmod::SoftDemapper demapper(points, method);
    Buffers b(demapper.bits_per_symbol());
    for (auto _ : state) {
        switch (mode) {
        case Mode::floats:
            demapper.demap(b.y.data(), b.n, 0.05f, b.llr.data());
            break;
        case Mode::int8:
            demapper.demap_int8(b.y.data(), b.n, 0.05f, 4.0f, b.llr8.data());
            break;
        case Mode::per_symbol:
            demapper.demap(b.y.data(), b.n, b.noise_var.data(), b.llr.data());
            break;
        case Mode::with_priors:
            demapper.demap(b.y.data(), b.n, 0.05f, b.llr.data(), b.priors.data());
            break;
        }
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * b.n));
    state.SetLabel(softmod::simd_target());
}

const bool registered = [] {
    struct Case {
        std::string name;
        std::vector<std::complex<double>> points;
    };
    const Case cases[] = {
        {"qpsk", square_qam(2)},      {"16qam", square_qam(4)},      {"64qam", square_qam(6)},
        {"256qam", square_qam(8)},    {"1024qam", square_qam(10)},   {"4096qam", square_qam(12)},
        {"arbitrary8", arbitrary(3)}, {"arbitrary16", arbitrary(4)}, {"arbitrary64", arbitrary(6)},
    };
    const std::pair<const char*, Mode> modes[] = {{"float", Mode::floats},
                                                  {"int8", Mode::int8},
                                                  {"per_symbol", Mode::per_symbol},
                                                  {"priors", Mode::with_priors}};
    for (const auto& c : cases)
        for (const auto method : {DemapMethod::maxlog, DemapMethod::exact})
            for (const auto& [mode_name, mode] : modes) {
                const auto name =
                    c.name + (method == DemapMethod::exact ? "/exact/" : "/maxlog/") + mode_name;
                benchmark::RegisterBenchmark(
                    name.c_str(), [=](benchmark::State& state, Mode m) { run(state, c.points, method, m); },
                    mode);
            }
    return true;
}();

} // namespace
