// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_estimate.h"

#include "burst_gate.h"
#include "signal_band.h"
#include "spectral_line.h"
#include "test_signals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace softmod
{
namespace
{

constexpr std::size_t LENGTH = 16384;

Samples signal(const Points& points, double period, double roll_off, double esn0_db, double frequency,
               std::size_t samples = LENGTH, unsigned seed = 1)
{
    const auto symbols = static_cast<std::size_t>(std::ceil(static_cast<double>(samples) / period)) + 1;
    Points clean = shaped(random_symbols(points, symbols, seed), period, 0.3, roll_off, true);
    clean.resize(samples);
    return received(clean, period * std::pow(10, -esn0_db / 10), frequency, seed + 1);
}

BlindEstimate estimate(const Samples& samples)
{
    return BlindEstimator(LENGTH).estimate(samples.data(), samples.size());
}

} // namespace

TEST(BlindEstimator, FindsRateCentreCarrierAndNoise)
{
    struct Case {
        Points points;
        unsigned order;
        double esn0_db;
    };
    unsigned seed = 1;
    for (const auto& [points, order, esn0_db] :
         {Case{psk(1), 2, 6}, Case{square_qam(2), 4, 10}, Case{psk(3), 8, 18}, Case{square_qam(4), 4, 12},
          Case{square_qam(6), 4, 20}})
        for (const double period : {2.5, 4.0, 7.3, 13.7})
            for (const double frequency : {-0.41, 0.0, 0.053}) {
                const auto e = estimate(signal(points, period, 0.35, esn0_db, frequency, LENGTH, ++seed));
                SCOPED_TRACE(testing::Message() << points.size() << " points, " << period
                                                << " samples a symbol, at " << frequency);
                EXPECT_NEAR(e.symbol_rate * period, 1, 0.3 * period / LENGTH); // a third of a symbol in all
                EXPECT_NEAR(e.bandwidth * period, 1, 0.15);
                EXPECT_NEAR((e.center - frequency) * period, 0, 0.05);
                EXPECT_NEAR(e.snr_db, esn0_db, 1.3);
                EXPECT_GT(e.rate_quality_db, 13);
                EXPECT_EQ(e.active, 1);
                ASSERT_EQ(e.carrier_order, order);
                EXPECT_NEAR((e.carrier - frequency) * period, 0, 1e-4);
            }
}

TEST(BlindEstimator, NarrowPulsesAndFewSamplesASymbol)
{
    for (const double roll_off : {0.15, 0.25, 0.5, 1.0})
        for (const double period : {1.7, 2.1, 9.1}) {
            if (period < 1.25 * (1 + roll_off))
                continue; // nothing beside the signal
            const auto e = estimate(signal(square_qam(2), period, roll_off, 12, 0.1));
            EXPECT_NEAR(e.symbol_rate * period, 1, 1e-4) << roll_off << " " << period;
        }
}

TEST(BlindEstimator, BlocksTogetherFindWhatOneDoesNot)
{
    const Samples samples = signal(square_qam(2), 8, 0.2, 3, 0.1, 8 * LENGTH);
    unsigned found = 0;
    for (std::size_t at = 0; at < samples.size(); at += LENGTH)
        found += BlindEstimator(LENGTH).estimate(samples.data() + at, LENGTH).symbol_rate > 0;
    EXPECT_LT(found, 8u);
    EXPECT_NEAR(estimate(samples).symbol_rate * 8, 1, 1e-4);
}

TEST(BlindEstimator, NoiseSilenceAndTonesHaveNoRate)
{
    for (unsigned seed = 1; seed < 40; ++seed)
        EXPECT_EQ(estimate(noise_alone(LENGTH, seed)).symbol_rate, 0) << seed;
    const auto silence = estimate(Samples(LENGTH));
    EXPECT_EQ(silence.bandwidth, 0);
    EXPECT_EQ(silence.symbol_rate, 0);
    for (const double noise : {0.0, 0.01, 1.0})
        EXPECT_EQ(estimate(received(Points(LENGTH, 1), noise, 0.123)).symbol_rate, 0);
}

// What looks like a signal in a band, with no clock.
TEST(BlindEstimator, NoiseInABandHasNoRate)
{
    for (unsigned seed = 1; seed < 20; ++seed) {
        Points clean = shaped(random_symbols(psk(1), 4 * LENGTH / 5), 1.25, 0, 0.5, true); // a band of noise
        std::mt19937 random(seed);
        std::normal_distribution<double> gauss;
        Points narrow(LENGTH);
        std::complex<double> a = 0, b = 0;
        for (auto& value : narrow) { // two poles
            a += 0.2 * (std::complex<double>(gauss(random), gauss(random)) - a);
            value = b += 0.2 * (a - b);
        }
        const auto e = estimate(received(narrow, 1e-3, 0.2, seed));
        EXPECT_GT(e.bandwidth, 0);
        EXPECT_EQ(e.symbol_rate, 0) << seed;
    }
}

TEST(BlindEstimator, AStrongToneBesideAndWithinDoesNoHarm)
{
    Samples samples = signal(square_qam(2), 5, 0.35, 15, -0.2);
    for (const double tone : {-0.15, 0.3})
        for (std::size_t k = 0; k < samples.size(); ++k)
            samples[k] += std::complex<float>(
                std::polar(1.0, 2 * M_PI * (tone + 0.4 / LENGTH) * static_cast<double>(k)));
    const auto e = estimate(samples);
    EXPECT_NEAR(e.symbol_rate * 5, 1, 1e-4);
    EXPECT_NEAR((e.carrier + 0.2) * 5, 0, 1e-4);
}

TEST(BlindEstimator, BurstsBetweenNoise)
{
    Samples samples = received(Points(LENGTH), 4 * std::pow(10, -1.2), 0, 7);
    const Samples burst = signal(square_qam(2), 4, 0.35, 12, 0.1, LENGTH / 2);
    std::copy(burst.begin(), burst.end(), samples.begin() + 5000);
    const auto e = estimate(samples);
    EXPECT_NEAR(e.symbol_rate * 4, 1, 1e-4);
    EXPECT_NEAR(e.active, 0.5, 0.05);
    EXPECT_NEAR(e.snr_db, 12, 1);
}

TEST(BlindEstimator, SamplesThatAreNotFiniteCountAsZero)
{
    Samples samples = signal(square_qam(2), 4, 0.35, 15, 0.1);
    samples[10] = std::numeric_limits<float>::quiet_NaN();
    samples[9000] = {0, std::numeric_limits<float>::infinity()};
    EXPECT_NEAR(estimate(samples).symbol_rate * 4, 1, 1e-4);
    const Samples nothing(LENGTH, std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(estimate(nothing).bandwidth, 0);
}

TEST(BlindEstimator, TheLevelDoesNotMatter)
{
    const Samples samples = signal(square_qam(4), 4, 0.35, 15, 0.1);
    const auto expected = estimate(samples);
    for (const float level : {1e-9f, 1e9f}) {
        Samples scaled = samples;
        for (auto& sample : scaled)
            sample *= level;
        const auto e = estimate(scaled);
        EXPECT_NEAR(e.symbol_rate, expected.symbol_rate, 1e-7);
        EXPECT_NEAR(e.carrier, expected.carrier, 1e-7);
        EXPECT_NEAR(e.snr_db, expected.snr_db, 0.01);
    }
}

TEST(BlindEstimator, FewerSamplesThanABlock)
{
    const Samples samples = signal(square_qam(2), 4, 0.35, 15, 0.1, 10000);
    EXPECT_NEAR(BlindEstimator(65536).estimate(samples.data(), samples.size()).symbol_rate * 4, 1, 2e-4);
    EXPECT_THROW(BlindEstimator().estimate(samples.data(), 4095), std::invalid_argument);
}

TEST(BlindEstimator, BadLengthsAreOneSentence)
{
    for (const std::size_t length : {0u, 2048u, 10000u, 1u << 21})
        EXPECT_THROW(BlindEstimator{length}, std::invalid_argument);
}

TEST(SignalBand, OfASpectrumThatIsKnown)
{
    std::vector<double> spectrum(512, 1.0);
    for (int bin = -70; bin <= 70; ++bin) // a trapezium around bin 10, across the spectrum's ends
        spectrum[static_cast<std::size_t>((10 + bin + 512) % 512)] +=
            20 * std::min(1.0, (71 - std::abs(bin)) / 20.0);
    SignalBand band;
    ASSERT_TRUE(find_band(spectrum, band));
    EXPECT_NEAR(band.center, 10, 0.1);
    EXPECT_NEAR(band.width, 122, 1);
    EXPECT_NEAR(band.level, 21, 0.5);
    EXPECT_NEAR(band.noise, 1, 1e-9);
}

TEST(SignalBand, TheNoiseIsWhatLiesBesideTheSignal)
{
    std::vector<double> spectrum(512, 1e-6); // behind a filter
    for (std::size_t bin = 100; bin < 400; ++bin)
        spectrum[bin] = bin >= 200 && bin < 300 ? 5 : 1;
    SignalBand band;
    ASSERT_TRUE(find_band(spectrum, band));
    EXPECT_NEAR(band.width, 100, 4);
    EXPECT_NEAR(band.noise, 1, 0.1);
    EXPECT_FALSE(find_band(std::vector<double>(512, 1), band));
    EXPECT_FALSE(find_band(std::vector<double>(512, 0), band));
}

TEST(SignalBand, SmoothingIsTheMeanOnACircle)
{
    const Samples values = noise_alone(50);
    std::vector<double> spectrum;
    for (const auto& value : values)
        spectrum.push_back(std::norm(value));
    for (const std::size_t width : {1u, 2u, 3u, 8u, 21u}) {
        const auto result = smoothed(spectrum, width);
        const int half = static_cast<int>(width) / 2;
        for (int k = 0; k < 50; ++k) {
            double sum = 0;
            for (int i = -half; i <= half; ++i)
                sum += spectrum[static_cast<std::size_t>((k + i + 50) % 50)];
            EXPECT_NEAR(result[static_cast<std::size_t>(k)], sum / (2 * half + 1), 1e-12);
        }
    }
}

// As often as asked, over many trials.
TEST(LineSearch, FalseAlarmsAreAsRareAsAsked)
{
    for (const unsigned spectra : {1u, 3u}) {
        int alarms = 0;
        for (unsigned trial = 0; trial < 400; ++trial) {
            LineSearch search(1024);
            for (unsigned k = 0; k < spectra; ++k)
                search.add(noise_alone(1024, 10 * trial + k));
            alarms += search.strongest(100, 600, 0.05).clear;
        }
        EXPECT_GT(alarms, 5) << spectra; // 20 of 400 but for the estimate of the surroundings
        EXPECT_LT(alarms, 60) << spectra;
    }
}

TEST(LineSearch, PlaceAndPowerOfALine)
{
    Samples spectrum = noise_alone(1024, 5);
    spectrum[1023] = 30, spectrum[0] = 20;
    LineSearch search(1024);
    search.add(spectrum);
    const auto line = search.strongest(-20, 20, 1e-6);
    EXPECT_TRUE(line.clear);
    EXPECT_NEAR(line.bin, -1, 0.5);
    EXPECT_GT(line.bin, -1);
    EXPECT_NEAR(10 * std::log10(line.power), 10 * std::log10(900), 1);
    EXPECT_FALSE(LineSearch(64).strongest(0, 63, 0.1).clear);
}

TEST(BurstGate, OnlyBurstsAreSilencedAround)
{
    Samples block = received(Points(6400), 0.01, 0, 3);
    EXPECT_EQ(silence_between_bursts(block), 1);
    for (std::size_t k = 1000; k < 3000; ++k)
        block[k] += 1;
    const Samples before = block;
    EXPECT_NEAR(silence_between_bursts(block), 0.35, 0.02);
    for (std::size_t k = 0; k < block.size(); ++k)
        ASSERT_EQ(block[k], k >= 900 && k < 3100 ? before[k] : std::complex<float>(0)) << k;
}

} // namespace softmod
