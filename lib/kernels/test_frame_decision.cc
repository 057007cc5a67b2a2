// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_decision.h"

#include <gtest/gtest.h>

#include <limits>

using softmod::level_of;
using softmod::SmoothedDecision;
using Sample = std::complex<float>;

TEST(FrameDecision, LevelOfAFrame)
{
    const std::vector<Sample> frame = {{3, 1}, {1, 1}, {3, -1}, {1, -1}, {2, 0}};
    const auto level = level_of(frame.data(), frame.size());
    EXPECT_DOUBLE_EQ(level.power, (10 + 2 + 10 + 2 + 4) / 5.0);
    EXPECT_DOUBLE_EQ(level.mean.real(), 2.0);
    EXPECT_DOUBLE_EQ(level.mean.imag(), 0.0);
    EXPECT_NEAR(level.varying_power(), 8 / 5.0, 1e-12);
}

TEST(FrameDecision, LevelOfTheLargestAndSmallestSamplesIsExact)
{
    for (const float a : {1e-38f, 1e38f}) {
        const std::vector<Sample> frame(100, {a, 0});
        const auto level = level_of(frame.data(), frame.size());
        EXPECT_NEAR(level.power / (double(a) * double(a)), 1.0, 1e-12);
        EXPECT_LT(level.varying_power(), 1e-12 * level.power);
    }
}

TEST(FrameDecision, ASampleThatIsNotFiniteShows)
{
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const std::size_t place : {0, 6, 9}) {
            std::vector<Sample> frame(10, {1, 1});
            frame[place] = {0, bad};
            EXPECT_FALSE(std::isfinite(level_of(frame.data(), frame.size()).power));
        }
}

TEST(FrameDecision, MeanOfTheFirstFramesThenALeakyOne)
{
    SmoothedDecision decision(2);
    const float a[] = {1, 0}, b[] = {0, 1};
    decision.add(a, 3);
    EXPECT_EQ(decision.best(), 0u);
    decision.add(b, 3);
    decision.add(b, 3);
    EXPECT_FLOAT_EQ(decision.probabilities()[0], 1 / 3.0f);
    EXPECT_EQ(decision.best(), 1u);
    decision.add(b, 3);
    EXPECT_FLOAT_EQ(decision.probabilities()[0], 2 / 9.0f);
    decision.add(a, 1);
    EXPECT_EQ(decision.probabilities(), (std::vector<float>{1, 0}));
    decision.forget();
    decision.add(b, 100);
    EXPECT_EQ(decision.probabilities(), (std::vector<float>{0, 1}));
}
