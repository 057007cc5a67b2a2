// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_cutter.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <tuple>

using softmod::FrameCutter;
using Sample = FrameCutter::Sample;

namespace
{

// Sample i of channel c says where it is from.
std::vector<Sample> numbered(float channel, std::size_t n)
{
    std::vector<Sample> samples(n);
    for (std::size_t i = 0; i < n; ++i)
        samples[i] = {static_cast<float>(i), channel};
    return samples;
}

const auto first_channel = numbered(0, 5000), second_channel = numbered(1, 5000);
const std::array<const Sample*, 2> streams = {first_channel.data(), second_channel.data()};

void expect_frame(const FrameCutter& cutter, std::size_t length)
{
    std::vector<Sample> frame(2 * length);
    cutter.copy(frame.data());
    for (std::size_t c = 0; c < 2; ++c)
        for (std::size_t i = 0; i < length; ++i)
            ASSERT_EQ(frame[c * length + i],
                      Sample(static_cast<float>(cutter.start() + i), static_cast<float>(c)));
}

class Cut : public testing::TestWithParam<std::tuple<std::size_t, std::size_t, std::size_t>>
{
};

} // namespace

TEST_P(Cut, FramesAreThoseOfTheDefinitionWhateverThePieces)
{
    const auto [length, hop, room] = GetParam();
    FrameCutter cutter(2, length, hop, room);
    std::mt19937 random(1);
    std::size_t taken = 0, frames = 0;
    while (taken < 5000) {
        const std::size_t piece = std::min<std::size_t>(5000 - taken, random() % 300);
        for (std::size_t done = 0; done < piece;) {
            done += cutter.take(streams.data(), taken + done, piece - done);
            ASSERT_EQ(cutter.position(), taken + done);
            ASSERT_LE(cutter.waiting(), room);
            for (; cutter.waiting() > (done < piece ? 0 : room / 2); ++frames) {
                ASSERT_EQ(cutter.start(), frames * hop);
                expect_frame(cutter, length);
                cutter.next();
            }
        }
        taken += piece;
    }
    for (; cutter.waiting(); ++frames) {
        expect_frame(cutter, length);
        cutter.next();
    }
    EXPECT_EQ(frames, (5000 - length) / hop + 1);
}

INSTANTIATE_TEST_SUITE_P(All, Cut,
                         testing::Combine(testing::Values(1, 16, 100, 1024),
                                          testing::Values(1, 7, 16, 100, 1000), testing::Values(1, 2, 9)));

TEST(FrameCutter, AChangedLengthLosesNoSample)
{
    std::mt19937 random(2);
    for (int trial = 0; trial < 50; ++trial) {
        std::size_t length = 64, hop = 32;
        FrameCutter cutter(2, length, hop, 3);
        std::uint64_t due = 0;
        for (std::size_t taken = 0; taken < 5000;) {
            taken += cutter.take(streams.data(), taken, std::min<std::size_t>(5000 - taken, random() % 200));
            while (cutter.waiting()) {
                ASSERT_EQ(cutter.start(), due);
                expect_frame(cutter, length);
                cutter.next();
                due += hop;
                if (random() % 4 == 0) {
                    length = 1 + random() % 300;
                    hop = 1 + random() % 300;
                    cutter.set_frames(length, hop, 1 + random() % 4);
                }
            }
        }
        EXPECT_EQ(cutter.position(), 5000u);
        EXPECT_GT(due + length + 300, 5000u);
    }
}

TEST(FrameCutter, RefusesSamplesBeyondItsRoom)
{
    FrameCutter cutter(2, 100, 100, 4);
    EXPECT_EQ(cutter.take(streams.data(), 0, 5000), 400u);
    EXPECT_EQ(cutter.waiting(), 4u);
    cutter.next();
    EXPECT_EQ(cutter.take(streams.data(), 400, 5000), 100u);
}

TEST(FrameCutter, RestartsAnywhere)
{
    FrameCutter cutter(2, 100, 50);
    cutter.take(streams.data(), 0, 70);
    cutter.restart(1000);
    cutter.take(streams.data(), 1000, 100);
    EXPECT_EQ(cutter.start(), 1000u);
    expect_frame(cutter, 100);
}

TEST(FrameCutter, RefusesWhatItCannotBe)
{
    EXPECT_THROW(FrameCutter(0, 1, 1), std::invalid_argument);
    EXPECT_THROW(FrameCutter(1, 0, 1), std::invalid_argument);
    EXPECT_THROW(FrameCutter(1, 1, 0), std::invalid_argument);
    EXPECT_THROW(FrameCutter(1, 1, 1, 0), std::invalid_argument);
    EXPECT_THROW(FrameCutter(1, 1024, std::size_t(-1), 2), std::invalid_argument);
    EXPECT_THROW(FrameCutter(std::size_t(-1), 1024, 1), std::invalid_argument);
    EXPECT_NO_THROW(FrameCutter(1, 1024, std::size_t(1) << 40)); // a gap takes no memory
}
