// SPDX-License-Identifier: GPL-3.0-or-later
// The plain form against finite differences, every instruction set against the plain form, certain bits
// exactly.
#include "expectation.h"
#include "simd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace softmod
{
namespace
{

using Floats = std::vector<float>;

Floats uniform(std::size_t n, unsigned seed)
{
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> distribution;
    Floats values(n);
    for (auto& value : values)
        value = distribution(random);
    return values;
}

struct Case {
    std::vector<std::uint32_t> bits;
    std::uint32_t per_symbol;
};

const Case cases[] = {{{0}, 1},
                      {{1}, 2},
                      {{0, 2, 4}, 6},
                      {{5, 3, 1}, 6},
                      {{0, 1, 2, 3, 4, 5}, 6},
                      {{7, 0, 3, 4}, 8},
                      {{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9}};

struct Result {
    Floats out, to_probabilities;
    std::vector<double> to_table;
};

Result run(const Case& c, const Floats& table, const Floats& p, const Floats& grad)
{
    const std::size_t n = p.size() / c.per_symbol;
    const Expectation expectation(table, c.bits, c.per_symbol);
    Result result{Floats(2 * n, -7.0f), Floats(p.size()), std::vector<double>(table.size())};
    expectation.run(p.data(), n, result.out.data(), 2);
    expectation.backward(grad.data(), 2, p.data(), n, result.to_probabilities.data(), result.to_table.data());
    return result;
}

class ExpectationKernel : public testing::TestWithParam<std::string>
{
protected:
    void SetUp() override { use_simd_target(GetParam()); }
    void TearDown() override { use_simd_target(simd_targets().front()); }
};

TEST_P(ExpectationKernel, EqualsThePlainForm)
{
    for (const auto& c : cases)
        for (const std::size_t n : {1, 16, 37}) {
            const auto table = uniform(std::size_t{1} << c.bits.size(), 1), p = uniform(n * c.per_symbol, 2),
                       grad = uniform(2 * n, 3);
            use_simd_target("generic");
            const auto expected = run(c, table, p, grad);
            use_simd_target(GetParam());
            const auto got = run(c, table, p, grad);
            for (std::size_t i = 0; i < 2 * n; ++i)
                EXPECT_NEAR(got.out[i], expected.out[i], 1e-6) << "odd ones stay as they are";
            for (std::size_t i = 0; i < p.size(); ++i)
                EXPECT_NEAR(got.to_probabilities[i], expected.to_probabilities[i], 1e-5);
            for (std::size_t v = 0; v < table.size(); ++v)
                EXPECT_NEAR(got.to_table[v], expected.to_table[v], 1e-5);
        }
}

TEST_P(ExpectationKernel, CertainBitsGiveEntriesExactly)
{
    for (const auto& c : cases) {
        const auto table = uniform(std::size_t{1} << c.bits.size(), 4);
        Floats p;
        for (std::size_t v = 0; v < table.size(); ++v) {
            Floats symbol(c.per_symbol, 0.5f);
            for (std::size_t k = 0; k < c.bits.size(); ++k)
                symbol[c.bits[k]] = static_cast<float>((v >> (c.bits.size() - 1 - k)) & 1);
            p.insert(p.end(), symbol.begin(), symbol.end());
        }
        Floats out(table.size());
        Expectation(table, c.bits, c.per_symbol).run(p.data(), out.size(), out.data(), 1);
        EXPECT_EQ(out, table);
    }
}

TEST_P(ExpectationKernel, GradientEqualsFiniteDifferences)
{
    const Case& c = cases[2];
    auto table = uniform(8, 5), p = uniform(c.per_symbol, 6);
    const auto result = run(c, table, p, {2.0f, 0.0f});
    const auto slope = [&](float& value) {
        const float kept = value, h = 0.25f;
        const auto at = [&](float x) {
            value = x;
            return run(c, table, p, {2.0f, 0.0f}).out[0];
        };
        const float difference = at(kept + h) - at(kept - h);
        value = kept;
        return 2.0f * difference / (2.0f * h); // linear in each, so exact but for rounding
    };
    for (std::size_t k = 0; k < p.size(); ++k)
        EXPECT_NEAR(result.to_probabilities[k], slope(p[k]), 1e-5);
    for (std::size_t v = 0; v < table.size(); ++v)
        EXPECT_NEAR(result.to_table[v], slope(table[v]), 1e-5);
}

TEST(Expectation, RefusesWhatDoesNotFit)
{
    EXPECT_THROW(Expectation(Floats(3), {0, 1}, 2), std::invalid_argument);
    EXPECT_THROW(Expectation(Floats(1), {}, 2), std::invalid_argument);
    EXPECT_THROW(Expectation(Floats(2), {2}, 2), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Targets, ExpectationKernel, testing::ValuesIn(simd_targets()),
                         [](const auto& info) { return info.param; });

} // namespace
} // namespace softmod
