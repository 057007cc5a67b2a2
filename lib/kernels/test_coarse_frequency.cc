// SPDX-License-Identifier: GPL-3.0-or-later
#include "coarse_frequency.h"

#include "fft.h"
#include "test_signals.h"

#include <gtest/gtest.h>

#include <limits>

namespace softmod
{
namespace
{

struct Output {
    Samples samples;
    std::vector<CoarseFrequency::Mark> marks;
};

Output run(CoarseFrequency& coarse, const Samples& samples)
{
    Output output;
    coarse.process(samples.data(), samples.size(), output.samples, output.marks);
    return output;
}

Samples signal(const Points& points, unsigned samples_per_symbol, double offset, double esn0_db,
               std::size_t symbols = 1100)
{
    const Points clean = shaped(random_symbols(points, symbols), samples_per_symbol, 0, 0.35, true);
    return received(clean, samples_per_symbol * std::pow(10, -esn0_db / 10), offset / samples_per_symbol);
}

} // namespace

TEST(CoarseFrequency, OneLookFindsAnyConstellationAnywhere)
{
    for (const Points& points : {psk(1), square_qam(2), square_qam(6)})
        for (const unsigned samples_per_symbol : {4u, 8u})
            for (const double offset : {-1.3, -0.4, 0.0, 0.1, 0.77, 1.3}) {
                CoarseFrequency coarse({samples_per_symbol, 0.35, 1, 1.3, 0});
                run(coarse, signal(points, samples_per_symbol, offset, 10));
                EXPECT_TRUE(coarse.found()) << offset;
                EXPECT_NEAR(coarse.frequency(), offset, 0.04);
            }
}

TEST(CoarseFrequency, FrequenciesAreInTheUnitOfTheSymbolRate)
{
    CoarseFrequency coarse({4, 0.35, 9600, 4800, 0});
    const Output output = run(coarse, signal(square_qam(2), 4, 0.3, 20));
    EXPECT_NEAR(coarse.frequency(), 2880, 200);
    EXPECT_EQ(output.marks.front().frequency, coarse.frequency());
}

TEST(CoarseFrequency, PiecesGiveWhatTheWholeGives)
{
    Samples samples = signal(square_qam(4), 4, 0.4, 8, 3000);
    for (const Samples& more : {noise_alone(20000), signal(square_qam(4), 4, -0.6, 8, 3000)})
        samples.insert(samples.end(), more.begin(), more.end());
    CoarseFrequency whole({}), pieces({});
    const Output expected = run(whole, samples);
    Output output;
    in_pieces(samples.size(), [&](std::size_t at, std::size_t n) {
        pieces.process(samples.data() + at, n, output.samples, output.marks);
    });
    EXPECT_EQ(output.samples, expected.samples);
    ASSERT_EQ(output.marks.size(), expected.marks.size());
    for (std::size_t k = 0; k < output.marks.size(); ++k) {
        EXPECT_EQ(output.marks[k].sample, expected.marks[k].sample);
        EXPECT_EQ(output.marks[k].frequency, expected.marks[k].frequency);
    }
}

TEST(CoarseFrequency, SamplesAreOnlyTurned)
{
    const Samples samples = signal(square_qam(2), 4, 0.4, 10, 4000);
    CoarseFrequency coarse({});
    const Output output = run(coarse, samples);
    ASSERT_LE(samples.size() - output.samples.size(), 4 * 512u);
    for (std::size_t k = 0; k < output.samples.size(); ++k)
        ASSERT_NEAR(std::abs(output.samples[k]), std::abs(samples[k]), 1e-5) << k;
}

TEST(CoarseFrequency, NothingIsFoundInNoiseSilenceOrATone)
{
    Points tone(20000, 1);
    for (const Samples& samples : {noise_alone(200000), Samples(20000), received(tone, 1e-4, 0.3)}) {
        CoarseFrequency coarse({});
        run(coarse, samples);
        EXPECT_FALSE(coarse.found());
        EXPECT_EQ(coarse.frequency(), 0);
    }
}

TEST(CoarseFrequency, BadSettingsAreOneSentence)
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const CoarseFrequencyConfig bad[] = {
        {3, 0.35, 1, 0.5, 0}, {16, 0.35, 1, 0.5, 0}, {4, 0, 1, 0.5, 0},        {4, 1.1, 1, 0.5, 0},
        {4, nan, 1, 0.5, 0},  {4, 0.35, 0, 0.5, 0},  {4, 0.35, nan, 1, 0},     {4, 0.35, 1, 0, 0},
        {4, 0.35, 1, nan, 0}, {4, 0.35, 1, 1.33, 0}, {4, 0.35, 1, 0.5, -1e-9}, {4, 0.35, 1, 0.5, nan}};
    for (const auto& config : bad)
        EXPECT_THROW(CoarseFrequency{config}, std::invalid_argument);
}

TEST(Fft, EqualsItsDefinition)
{
    for (const std::size_t n : {1u, 2u, 8u, 128u}) {
        const Samples x = noise_alone(n);
        Samples transformed = x;
        fft(transformed);
        for (std::size_t k = 0; k < n; ++k) {
            std::complex<double> sum = 0;
            for (std::size_t i = 0; i < n; ++i)
                sum += std::complex<double>(x[i]) *
                       std::polar(1.0, -2 * M_PI * static_cast<double>(i * k % n) / static_cast<double>(n));
            EXPECT_NEAR(std::abs(std::complex<double>(transformed[k]) - sum), 0,
                        1e-5 * static_cast<double>(n));
        }
    }
}

} // namespace softmod
