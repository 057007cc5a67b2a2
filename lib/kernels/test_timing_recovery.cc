// SPDX-License-Identifier: GPL-3.0-or-later
#include "timing_recovery.h"

#include "test_signals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace softmod
{
namespace
{

struct Output {
    Samples symbols;
    std::vector<double> instants;
};

Output run(TimingRecovery& timing, const Samples& samples)
{
    Output output;
    timing.process(samples.data(), samples.size(), output.symbols, output.instants);
    return output;
}

struct Clock {
    double error, first;
};

class Clocks : public testing::TestWithParam<Clock>
{
};

} // namespace

// Instants against those the symbols were sent at, and the symbols themselves, from the first one on.
TEST_P(Clocks, InstantsAreThoseOfTheSymbols)
{
    const auto [error, first] = GetParam();
    const double period = 4 * (1 + error);
    const Points sent = random_symbols(square_qam(2), 6000);
    const Samples samples = received(shaped(sent, period, first, 0.35, false), 0.03);
    TimingRecovery timing({});
    const Output output = run(timing, samples);
    ASSERT_TRUE(timing.locked());
    EXPECT_NEAR(timing.clock_error(), error, 2e-4);
    ASSERT_EQ(output.symbols.size(), output.instants.size());

    double late = 0, wrong = 0;
    std::size_t count = 0;
    for (std::size_t k = 0; k < output.symbols.size(); ++k) {
        const double position = (output.instants[k] - first) / period;
        const auto symbol = static_cast<std::ptrdiff_t>(std::round(position));
        if (symbol < 4 || symbol + 4 >= static_cast<std::ptrdiff_t>(sent.size()))
            continue;
        late += std::pow(position - static_cast<double>(symbol), 2);
        wrong += std::norm(std::complex<double>(output.symbols[k]) - sent[static_cast<std::size_t>(symbol)]);
        ++count;
    }
    ASSERT_GT(count, sent.size() - 64);
    EXPECT_LT(std::sqrt(late / static_cast<double>(count)), 0.02); // of a symbol
    EXPECT_LT(wrong / static_cast<double>(count), 0.03 * 1.1);
}

INSTANTIATE_TEST_SUITE_P(TimingRecovery, Clocks,
                         testing::Values(Clock{0, 0}, Clock{0, 1.5}, Clock{0, 3.9}, Clock{5e-5, 0.3},
                                         Clock{-1e-3, 2}, Clock{4.5e-3, 0.7}, Clock{-4.5e-3, 0.7}));

TEST(TimingRecovery, EverySymbolComesOnceAndInOrder)
{
    Samples samples = noise_alone(9000);
    const Samples burst = received(shaped(random_symbols(square_qam(2), 3000), 4.001, 1, 0.35, false), 0.05);
    samples.insert(samples.end(), burst.begin(), burst.end());
    const Samples more = noise_alone(20000, 5);
    samples.insert(samples.end(), more.begin(), more.end());
    TimingRecovery timing({});
    const Output output = run(timing, samples);
    for (std::size_t k = 1; k < output.instants.size(); ++k)
        ASSERT_NEAR(output.instants[k] - output.instants[k - 1], 4, 2.1) << k;
    EXPECT_FALSE(timing.locked());
}

TEST(TimingRecovery, PiecesGiveWhatTheWholeGives)
{
    Samples samples = received(shaped(random_symbols(psk(3), 9000), 4.0004, 2, 0.5, false), 0.1);
    const Samples pause = noise_alone(12000);
    samples.insert(samples.end(), pause.begin(), pause.end());
    for (const unsigned outputs : {1u, 2u}) {
        TimingRecoveryConfig config;
        config.excess_bandwidth = 0.5;
        config.outputs_per_symbol = outputs;
        TimingRecovery whole(config), pieces(config);
        const Output expected = run(whole, samples);
        Output output;
        in_pieces(samples.size(), [&](std::size_t at, std::size_t n) {
            pieces.process(samples.data() + at, n, output.symbols, output.instants);
        });
        EXPECT_EQ(output.symbols, expected.symbols);
        EXPECT_EQ(output.instants, expected.instants);
        EXPECT_EQ(output.symbols.size(), outputs * output.instants.size());
    }
}

TEST(TimingRecovery, DoesNotLockToNoiseOrSilence)
{
    for (const Samples& samples : {noise_alone(100000), Samples(20000), Samples(20000, {1, 0})}) {
        TimingRecovery timing({});
        const Output output = run(timing, samples);
        EXPECT_FALSE(timing.locked());
        EXPECT_EQ(timing.clock_error(), 0);
        EXPECT_GT(output.symbols.size(), samples.size() / 4 - 2 * 1024 - 16);
    }
}

TEST(TimingRecovery, BadSettingsAreOneSentence)
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const TimingRecoveryConfig bad[] = {
        {0, 0.002, 0.005, 1, 0},     {1.1, 0.002, 0.005, 1, 0},     {nan, 0.002, 0.005, 1, 0},
        {0.35, 0, 0.005, 1, 0},      {0.35, 0.2, 0.005, 1, 0},      {0.35, 0.002, 0, 1, 0},
        {0.35, 0.002, 0.1, 1, 0},    {0.35, 0.002, 0.005, 0, 0},    {0.35, 0.002, 0.005, 3, 0},
        {0.35, 0.002, 0.005, 1, 64}, {0.35, 0.002, 0.005, 1, 1000}, {0.35, 0.002, 0.005, 1, 32768}};
    for (const auto& config : bad)
        EXPECT_THROW(TimingRecovery{config}, std::invalid_argument);
}

} // namespace softmod
