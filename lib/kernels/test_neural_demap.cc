// SPDX-License-Identifier: GPL-3.0-or-later
// Every instruction set against the plain form in double precision; what is refused.
#include "neural_demap.h"
#include "neural_demap_kernels.h"
#include "simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace softmod
{
namespace
{

using Symbols = std::vector<std::complex<float>>;

Symbols symbols(std::size_t n)
{
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    Symbols y(n);
    for (auto& sample : y)
        sample = {normal(random), normal(random)};
    return y;
}

// Layers between the first and the last in integers, if so wanted.
std::vector<DemapperLayer> network(const std::vector<std::size_t>& widths, bool integers)
{
    std::mt19937 random(1);
    std::uniform_int_distribution<int> weight8(-127, 127);
    std::vector<DemapperLayer> layers;
    for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
        DemapperLayer layer;
        layer.inputs = widths[l];
        layer.outputs = widths[l + 1];
        const auto deviation = 1.0f / std::sqrt(static_cast<float>(layer.inputs));
        std::normal_distribution<float> normal(0.0f, deviation);
        for (std::size_t o = 0; o < layer.outputs; ++o)
            layer.bias.push_back(normal(random));
        for (std::size_t i = 0; i < layer.inputs * layer.outputs; ++i)
            if (integers && l > 0 && l + 2 < widths.size())
                layer.weight8.push_back(static_cast<std::int8_t>(weight8(random)));
            else
                layer.weight.push_back(normal(random));
        if (layer.integer()) {
            layer.scale.assign(layer.outputs, deviation / 64.0f / 60.0f);
            layer.input_scale = 60.0f; // activations above 4.25 are cut
        }
        layers.push_back(layer);
    }
    return layers;
}

std::vector<float> plain(const NeuralDemapper& demapper, const Symbols& y, float noise_var,
                         const float* priors)
{
    std::vector<float> llr(y.size() * demapper.bits_per_symbol());
    const float gain = demapper.llr_unit() > 0.0f ? demapper.llr_unit() / noise_var : 1.0f;
    neural_demap_generic(
        demapper.layers(), noise_var,
        {nullptr, gain, reinterpret_cast<const float*>(y.data()), y.size(), llr.data(), priors});
    return llr;
}

struct Case {
    std::vector<std::size_t> widths;
    bool integers;
};

class NeuralDemapperCases : public ::testing::TestWithParam<std::tuple<std::string, Case>>
{
public:
    NeuralDemapperCases() { use_simd_target(std::get<0>(GetParam())); }
    ~NeuralDemapperCases() override { use_simd_target(simd_targets().front()); }
};

TEST_P(NeuralDemapperCases, EqualsThePlainForm)
{
    const auto& [widths, integers] = std::get<1>(GetParam());
    for (const float unit : {0.0f, 0.1f}) {
        const NeuralDemapper demapper(network(widths, integers), unit);
        for (const std::size_t n : {0, 1, 15, 48, 100, 997}) {
            const auto y = symbols(n);
            const std::vector<float> priors(n * demapper.bits_per_symbol(), 0.5f);
            for (const float noise_var : {2.0f, 0.01f})
                for (const float* given : {static_cast<const float*>(nullptr), priors.data()}) {
                    std::vector<float> llr(n * demapper.bits_per_symbol() + 1, -7.0f);
                    EXPECT_EQ(demapper.demap(y.data(), n, noise_var, llr.data(), given), 0u);
                    EXPECT_EQ(llr.back(), -7.0f); // nothing is written behind the end
                    const auto expected = plain(demapper, y, noise_var, given);
                    const float gain = unit > 0.0f ? unit / noise_var : 1.0f;
                    // An activation half-way between two integers may become either of them.
                    const float step = integers ? 0.05f * gain : 0.0f;
                    double error = 0.0;
                    for (std::size_t i = 0; i < expected.size(); ++i) {
                        EXPECT_NEAR(llr[i], expected[i], 2e-5f * (gain + std::abs(expected[i])) + step);
                        error += std::abs(llr[i] - expected[i]);
                    }
                    EXPECT_LE(error,
                              1e-4 * static_cast<double>(gain + 1.0f) * static_cast<double>(expected.size()));
                }
        }
    }
}

TEST_P(NeuralDemapperCases, SamplesThatAreNotFiniteGiveZerosAndDisturbNoOther)
{
    const auto& [widths, integers] = std::get<1>(GetParam());
    const NeuralDemapper demapper(network(widths, integers), 0.1f);
    const auto m = demapper.bits_per_symbol();
    auto y = symbols(200);
    std::vector<float> whole(y.size() * m), llr(y.size() * m);
    const std::vector<float> priors(y.size() * m, 0.5f);
    demapper.demap(y.data(), y.size(), 0.1f, whole.data(), priors.data());
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    for (const auto& [at, value] : std::initializer_list<std::pair<std::size_t, std::complex<float>>>{
             {0, {nan, 0}}, {1, {0, inf}}, {50, {-inf, nan}}, {199, {0, nan}}}) {
        y[at] = value;
        std::fill_n(whole.begin() + static_cast<std::ptrdiff_t>(at * m), m, 0.0f);
    }
    EXPECT_EQ(demapper.demap(y.data(), y.size(), 0.1f, llr.data(), priors.data()), 4u);
    EXPECT_EQ(llr, whole);
}

INSTANTIATE_TEST_SUITE_P(
    All, NeuralDemapperCases,
    ::testing::Combine(::testing::ValuesIn(simd_targets()),
                       ::testing::Values(Case{{3, 64, 64, 6}, false}, Case{{3, 64, 64, 6}, true},
                                         Case{{3, 2}, false}, Case{{3, 5, 1}, false},
                                         Case{{3, 7, 9, 13, 4}, true}, Case{{3, 33, 31, 8}, true})),
    [](const auto& info) { return std::get<0>(info.param) + "_" + std::to_string(info.index); });

TEST(NeuralDemapper, RefusesLayersThatDoNotFit)
{
    const auto refused = [](auto change) {
        auto layers = network({3, 8, 8, 2}, true);
        change(layers);
        EXPECT_THROW(NeuralDemapper(layers, 0.1f), std::invalid_argument);
    };
    using Layers = std::vector<DemapperLayer>;
    refused([](Layers& l) { l.clear(); });
    refused([](Layers& l) { l[0].inputs = 2; });
    refused([](Layers& l) { l[1].inputs = 9; });
    refused([](Layers& l) { l[0].weight.pop_back(); });
    refused([](Layers& l) { l[2].bias.push_back(0.0f); });
    refused([](Layers& l) { l[1].scale.clear(); });
    refused([](Layers& l) { l[1].weight8[3] = -128; });
    refused([](Layers& l) { l[1].input_scale = 0.0f; });
    refused([](Layers& l) { l[0].weight[1] = std::numeric_limits<float>::quiet_NaN(); });
    refused([](Layers& l) { l[1].bias[1] = std::numeric_limits<float>::infinity(); });
    refused([](Layers& l) { l = network({3, 8, 17}, false); });
    const auto fine = network({3, 8, 8, 2}, true);
    EXPECT_THROW(NeuralDemapper(fine, -1.0f), std::invalid_argument);
    EXPECT_THROW(NeuralDemapper(fine, std::numeric_limits<float>::infinity()), std::invalid_argument);
    EXPECT_EQ(NeuralDemapper(fine, 0.0f).bits_per_symbol(), 2u);
}

} // namespace
} // namespace softmod
