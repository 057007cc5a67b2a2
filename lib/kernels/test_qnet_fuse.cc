// SPDX-License-Identifier: GPL-3.0-or-later
// A fused offset gives what two roundings give, for every sum there can be.
#include "qnet_fuse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace softmod
{
namespace
{

// For every sum.
bool is_same(float scale, float offset, float fused, std::int32_t largest, const ByteRange& to)
{
    const auto clamped = [&](float value) {
        return std::clamp(std::rint(value), static_cast<float>(to.low - to.zero),
                          static_cast<float>(to.high - to.zero));
    };
    for (std::int32_t a = -largest; a <= largest; ++a) {
        const volatile float product = static_cast<float>(a) * scale; // a rounding of its own
        if (clamped(std::fma(static_cast<float>(a), scale, fused)) != clamped(product + offset))
            return false;
    }
    return true;
}

TEST(FusedOffset, GivesTheSameIntegers)
{
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    int found = 0;
    for (int i = 0; i < 200; ++i) {
        const int bits = 2 + i % 7;
        const auto to = i % 2 ? ByteRange::of(0, (1 << bits) - 1)
                              : ByteRange::of(1 - (1 << (bits - 1)), (1 << (bits - 1)) - 1);
        const float scale = uniform(random) * std::exp2(static_cast<float>(-i % 11));
        const float offset = 20.0f * uniform(random);
        const std::int32_t largest = 1 + i * i / 4;
        if (const auto fused = fused_offset(scale, offset, largest, to)) {
            ++found;
            EXPECT_TRUE(is_same(scale, offset, *fused, largest, to)) << scale << " " << offset;
        }
    }
    EXPECT_GT(found, 150);
}

TEST(FusedOffset, MendsWhatOneRoundingLessChanges)
{
    // Sums so large that the rounding of the product matters.
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(1.0f, 2.0f);
    const auto to = ByteRange::of(0, 15);
    int mended = 0;
    for (int i = 0; i < 60; ++i) {
        const float scale = uniform(random) / 8192.0f, offset = -50.0f * uniform(random);
        const std::int32_t largest = 900000;
        const auto fused = fused_offset(scale, offset, largest, to);
        if (fused && !is_same(scale, offset, offset, largest, to)) {
            ++mended;
            EXPECT_TRUE(is_same(scale, offset, *fused, largest, to)) << scale << " " << offset;
        }
    }
    EXPECT_GT(mended, 0);
}

TEST(FusedOffset, TiesAndNothing)
{
    const auto to = ByteRange::of(-7, 7);
    for (const float scale : {0.5f, -0.5f, 0.25f, 1.0f, 3.0f, 0.0f})
        for (const float offset : {0.0f, 0.5f, -0.5f, 100.0f, -100.0f}) {
            const auto fused = fused_offset(scale, offset, 1000, to);
            EXPECT_TRUE(!fused || is_same(scale, offset, *fused, 1000, to)) << scale << " " << offset;
        }
}

TEST(IntegerSum, IsFoundWhereItCanBe)
{
    Step step;
    step.from = step.from2 = step.to = ByteRange::of(0, 63);
    step.scale = {0.613947f, 0.370811f};
    EXPECT_TRUE(integer_sum(step));
    step.scale = {2.5f, 0.37f};
    EXPECT_FALSE(integer_sum(step));
    step.scale = {0.5f, 0.5f}; // ties, which go to the even integer
    EXPECT_FALSE(integer_sum(step));
}

} // namespace
} // namespace softmod
