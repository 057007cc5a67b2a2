// SPDX-License-Identifier: GPL-3.0-or-later
#include "window_cutter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

using softmod::StreamState;
using softmod::WindowCutter;
using Answer = WindowCutter::Answer;
using std::chrono::milliseconds;

namespace
{

// Sample k of the stream is k; its LLRs are 10 k, 10 k + 1, ..
struct Stream {
    explicit Stream(std::size_t llrs_per_sample) : llrs(llrs_per_sample) {}

    void push(WindowCutter& cutter, std::size_t n)
    {
        std::vector<std::complex<float>> iq(n);
        std::vector<float> llr(n * llrs);
        for (std::size_t k = 0; k < n; ++k) {
            iq[k] = float(at + k);
            for (std::size_t b = 0; b < llrs; ++b)
                llr[k * llrs + b] = 10 * float(at + k) + float(b);
        }
        cutter.push(iq.data(), llrs ? llr.data() : nullptr, n);
        at += n;
    }

    std::size_t llrs;
    std::uint64_t at = 0;
};

void expect_is(const softmod::Window& window, std::uint64_t first, std::size_t length, std::size_t llrs)
{
    ASSERT_EQ(window.first, first);
    ASSERT_EQ(window.iq.size(), length);
    ASSERT_EQ(window.llr.size(), length * llrs);
    for (std::size_t k = 0; k < length; ++k) {
        ASSERT_EQ(window.iq[k], std::complex<float>(float(first + k)));
        for (std::size_t b = 0; b < llrs; ++b)
            ASSERT_EQ(window.llr[k * llrs + b], 10 * float(first + k) + float(b));
    }
}

class Cutter : public ::testing::TestWithParam<std::size_t> // values beside each sample
{
};

TEST_P(Cutter, PeriodicWindowsAreTheStreamHoweverItCame)
{
    std::mt19937 random(1);
    for (const std::uint64_t period : {5, 16, 40}) {
        WindowCutter cutter(64, 16, period, 4096, GetParam());
        Stream stream(GetParam());
        while (stream.at < 30000)
            stream.push(cutter, random() % 3 == 0 ? random() % 20000 : random() % 30);
        for (std::uint64_t k = 0; k * period + 16 <= stream.at && k < 4096; ++k) {
            const auto window = cutter.take(milliseconds(0));
            ASSERT_TRUE(window);
            EXPECT_EQ(window->sequence, k);
            expect_is(*window, k * period, 16, GetParam());
        }
        EXPECT_EQ(cutter.written(), stream.at);
    }
}

TEST_P(Cutter, WhatIsAskedForComesOrIsRefusedForTheRightReason)
{
    std::mt19937 random(2);
    WindowCutter cutter(100, 1, 0, 4096, GetParam());
    Stream stream(GetParam());
    std::uint64_t late = 0, accepted = 0;
    for (int round = 0; round < 2000; ++round) {
        stream.push(cutter, random() % 60);
        const auto place = static_cast<std::int64_t>(stream.at + random() % 200) - 150;
        const auto first = static_cast<std::uint64_t>(std::max<std::int64_t>(place, 0));
        const auto length = random() % 120;
        const auto answer = cutter.ask(first, length, 7);
        if (length == 0 || length > 100) {
            EXPECT_EQ(answer, Answer::too_long);
        } else if (first + 100 < stream.at) {
            EXPECT_EQ(answer, Answer::too_late);
            ++late;
        } else {
            EXPECT_EQ(answer, Answer::accepted);
            ++accepted;
        }
        while (const auto window = cutter.take(milliseconds(0))) {
            expect_is(*window, window->first, window->iq.size(), GetParam());
            EXPECT_EQ(window->id, 7u);
            --accepted;
        }
    }
    stream.push(cutter, 300);
    while (const auto window = cutter.take(milliseconds(0))) {
        expect_is(*window, window->first, window->iq.size(), GetParam());
        --accepted;
    }
    EXPECT_EQ(accepted, 0u);
    EXPECT_GT(late, 10u);
    EXPECT_EQ(cutter.counts().too_late, late);
}

INSTANTIATE_TEST_SUITE_P(Values, Cutter, ::testing::Values(0u, 1u, 3u));

TEST(WindowCutter, AFullQueueDropsCountsAndLeavesAGap)
{
    WindowCutter cutter(8, 4, 4, 3, 0);
    Stream stream(0);
    stream.push(cutter, 40); // ten windows
    EXPECT_EQ(cutter.counts().cut, 10u);
    EXPECT_EQ(cutter.counts().queue_full, 7u);
    for (std::uint64_t k = 0; k < 3; ++k)
        EXPECT_EQ(cutter.take(milliseconds(0))->sequence, k);
    EXPECT_FALSE(cutter.take(milliseconds(0)));
    stream.push(cutter, 4);
    EXPECT_EQ(cutter.take(milliseconds(0))->sequence, 10u);
}

TEST(WindowCutter, TheStateIsThatOfTheFirstSample)
{
    WindowCutter cutter(64, 4, 4, 64, 0);
    for (const std::uint64_t from : {0, 6, 8}) {
        StreamState state;
        state.from = from;
        state.frequency = double(from);
        cutter.set_state(state);
    }
    Stream stream(0);
    stream.push(cutter, 16);
    for (const double expected : {0, 0, 8, 8})
        EXPECT_EQ(cutter.take(milliseconds(0))->state.frequency, expected);
}

TEST(WindowCutter, ManyOutstandingRequestsAreBounded)
{
    WindowCutter cutter(64, 4, 0, 64, 0);
    std::size_t accepted = 0;
    while (cutter.ask(1000000, 4, 0) == Answer::accepted && accepted < 100000)
        ++accepted;
    EXPECT_LT(accepted, 5000u);
    EXPECT_EQ(cutter.ask(std::numeric_limits<std::uint64_t>::max() - 2, 4, 0), Answer::too_long);
}

TEST(WindowCutter, ArgumentsAreChecked)
{
    EXPECT_THROW(WindowCutter(0, 1, 0, 1, 0), std::invalid_argument);
    EXPECT_THROW(WindowCutter(8, 9, 0, 1, 0), std::invalid_argument);
    EXPECT_THROW(WindowCutter(8, 0, 0, 1, 0), std::invalid_argument);
    EXPECT_THROW(WindowCutter(8, 8, 0, 0, 0), std::invalid_argument);
    EXPECT_THROW(WindowCutter(8, 8, 0, 1, 17), std::invalid_argument);
}

TEST(WindowCutter, AnotherThreadTakesWhileSamplesComeAndEndsWithThem)
{
    WindowCutter cutter(1024, 64, 64, 60000, 1);
    std::uint64_t taken = 0;
    std::thread other([&] {
        while (const auto window = cutter.take(milliseconds(60000))) {
            expect_is(*window, 64 * taken, 64, 1);
            ++taken;
        }
    });
    Stream stream(1);
    for (int k = 0; k < 500; ++k)
        stream.push(cutter, 777);
    cutter.finish();
    other.join();
    EXPECT_EQ(taken, stream.at / 64);
}

} // namespace
