// SPDX-License-Identifier: GPL-3.0-or-later
// The plain form against finite differences, every instruction set against the plain form.
#include "dense.h"
#include "simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace softmod
{
namespace
{

using Floats = std::vector<float>;

Floats normal(std::size_t n, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> distribution;
    Floats values(n);
    for (auto& value : values)
        value = distribution(random);
    return values;
}

struct Network {
    std::vector<std::size_t> widths;
    std::vector<Floats> weights, biases;

    explicit Network(std::vector<std::size_t> of) : widths(std::move(of))
    {
        for (std::size_t l = 0; l + 1 < widths.size(); ++l) {
            weights.push_back(normal(widths[l] * widths[l + 1], 10 + static_cast<unsigned>(l)));
            biases.push_back(normal(widths[l + 1], 20 + static_cast<unsigned>(l)));
        }
    }
    DenseNetwork made() const
    {
        std::vector<DenseLayer> layers;
        for (std::size_t l = 0; l + 1 < widths.size(); ++l)
            layers.push_back({widths[l], widths[l + 1], weights[l].data(), biases[l].data()});
        return DenseNetwork(layers);
    }
};

struct Result {
    Floats y, to_x;
    std::vector<Floats> to_weights, to_biases;
};

Result run(const Network& network, const Floats& x, const Floats& grad)
{
    const std::size_t n = x.size() / network.widths.front();
    Result result{Floats(n * network.widths.back()), Floats(x.size()), {}, {}};
    for (std::size_t l = 0; l < network.weights.size(); ++l) {
        result.to_weights.emplace_back(network.weights[l].size());
        result.to_biases.emplace_back(network.biases[l].size());
    }
    std::vector<DenseGradient> to_layers;
    for (std::size_t l = 0; l < network.weights.size(); ++l)
        to_layers.push_back({result.to_weights[l].data(), result.to_biases[l].data()});
    network.made().forward(x.data(), n, result.y.data());
    network.made().backward(x.data(), grad.data(), n, result.to_x.data(), to_layers);
    return result;
}

void expect_close(const Floats& got, const Floats& expected, const std::string& what)
{
    double scale = 0.0, worst = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        scale = std::max<double>(scale, std::fabs(expected[i]));
        worst = std::max<double>(worst, std::fabs(got[i] - expected[i]));
    }
    EXPECT_LE(worst, 1e-5 * scale) << what;
}

class Dense : public testing::TestWithParam<std::string>
{
protected:
    void SetUp() override { use_simd_target(GetParam()); }
    void TearDown() override { use_simd_target(simd_targets().front()); }
};

TEST_P(Dense, EqualsThePlainForm)
{
    for (const auto& widths :
         std::vector<std::vector<std::size_t>>{{3, 64, 64, 6}, {2, 5}, {1, 17, 33, 70, 1}, {20, 3, 9}})
        for (const std::size_t n : {0, 1, 130, 257}) {
            const Network network(widths);
            const auto x = normal(n * widths.front(), 1), grad = normal(n * widths.back(), 2);
            use_simd_target("generic");
            const auto expected = run(network, x, grad);
            use_simd_target(GetParam());
            const auto got = run(network, x, grad);
            expect_close(got.y, expected.y, "y");
            expect_close(got.to_x, expected.to_x, "to x");
            for (std::size_t l = 0; l < network.weights.size(); ++l) {
                expect_close(got.to_weights[l], expected.to_weights[l], "to weights");
                expect_close(got.to_biases[l], expected.to_biases[l], "to biases");
            }
        }
}

TEST_P(Dense, GradientEqualsFiniteDifferences)
{
    Network network({3, 8, 5, 2});
    auto x = normal(3, 1);
    const auto grad = normal(2, 2);
    const auto result = run(network, x, grad);
    const auto slope = [&](float& value) {
        constexpr float h = 1e-3f;
        const float kept = value;
        double loss[2];
        for (const int up : {0, 1}) {
            value = kept + (up ? h : -h);
            const auto y = run(network, x, grad).y;
            loss[up] = static_cast<double>(grad[0]) * y[0] + static_cast<double>(grad[1]) * y[1];
        }
        value = kept;
        return (loss[1] - loss[0]) / (2.0 * h);
    };
    for (std::size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(result.to_x[i], slope(x[i]), 2e-2);
    for (std::size_t l = 0; l < network.weights.size(); ++l) {
        for (std::size_t i = 0; i < network.weights[l].size(); ++i)
            EXPECT_NEAR(result.to_weights[l][i], slope(network.weights[l][i]), 2e-2);
        for (std::size_t i = 0; i < network.biases[l].size(); ++i)
            EXPECT_NEAR(result.to_biases[l][i], slope(network.biases[l][i]), 2e-2);
    }
}

TEST(DenseNetwork, RefusesWhatDoesNotFit)
{
    const Floats values(100);
    const auto layer = [&](std::size_t inputs, std::size_t outputs) {
        return DenseLayer{inputs, outputs, values.data(), values.data()};
    };
    EXPECT_THROW(DenseNetwork({}), std::invalid_argument);
    EXPECT_THROW(DenseNetwork({layer(2, 3), layer(4, 1)}), std::invalid_argument);
    EXPECT_THROW(DenseNetwork({layer(0, 3)}), std::invalid_argument);
    EXPECT_THROW(DenseNetwork({layer(2, 1)}).backward(nullptr, nullptr, 0, nullptr, {}),
                 std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Targets, Dense, testing::ValuesIn(simd_targets()),
                         [](const auto& info) { return info.param; });

} // namespace
} // namespace softmod
