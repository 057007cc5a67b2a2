// SPDX-License-Identifier: GPL-3.0-or-later
#include "simd.h"
#include "soft_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace softmod
{
namespace
{

class SoftBits : public testing::TestWithParam<std::string>
{
protected:
    void SetUp() override { use_simd_target(GetParam()); }
    void TearDown() override { use_simd_target(simd_targets().front()); }
};

TEST_P(SoftBits, AreTheLogisticFunction)
{
    std::vector<float> llr = {0.0f, -0.0f};
    for (float x = 1e-6f; x < 80.0f; x *= 1.07f) {
        llr.push_back(x);
        llr.push_back(-x);
    }
    auto p = llr;
    soft_bits(p.data(), p.size());
    for (std::size_t i = 0; i < llr.size(); ++i) {
        const double expected = 1.0 / (1.0 + std::exp(-static_cast<double>(llr[i])));
        EXPECT_NEAR(p[i], expected, (1e-6 + 1e-7 * std::fabs(llr[i])) * expected) << llr[i];
    }
}

TEST_P(SoftBits, EndsAndNan)
{
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> p = {1e30f, -1e30f, infinity, -infinity, std::nanf(""), 200.0f, -200.0f};
    soft_bits(p.data(), p.size());
    EXPECT_EQ(p[0], 1.0f);
    EXPECT_EQ(p[2], 1.0f);
    EXPECT_EQ(p[5], 1.0f);
    for (const int i : {1, 3, 6}) {
        EXPECT_GE(p[i], 0.0f);
        EXPECT_LT(p[i], 1e-37f);
    }
    EXPECT_TRUE(std::isnan(p[4]));
}

INSTANTIATE_TEST_SUITE_P(Targets, SoftBits, testing::ValuesIn(simd_targets()),
                         [](const auto& info) { return info.param; });

} // namespace
} // namespace softmod
