// SPDX-License-Identifier: GPL-3.0-or-later
#include "agc.h"

#include "test_signals.h"

#include <gtest/gtest.h>

namespace softmod
{
namespace
{

double power(const Samples& samples, std::size_t first, std::size_t last)
{
    double sum = 0;
    for (std::size_t k = first; k < last; ++k)
        sum += std::norm(samples[k]);
    return sum / static_cast<double>(last - first);
}

Samples scaled(Samples samples, float level)
{
    for (auto& sample : samples)
        sample *= level;
    return samples;
}

} // namespace

TEST(Agc, BringsAnyLevelToOneFromTheStartOn)
{
    for (const float level : {1e-8f, 1e-3f, 1.0f, 1e4f, 1e8f}) {
        Samples samples = scaled(noise_alone(8192), level);
        Agc agc(1024);
        agc.process(samples.data(), samples.size(), samples.data()); // in place
        EXPECT_NEAR(power(samples, 0, 256), 1, 0.4) << level;
        EXPECT_NEAR(power(samples, 1024, 8192), 1, 0.1) << level;
    }
}

TEST(Agc, StartsAgainWithABurst)
{
    for (const float step : {0.03f, 30.0f}) {
        Samples samples = noise_alone(4096);
        const Samples after = scaled(noise_alone(4096, 5), step);
        samples.insert(samples.end(), after.begin(), after.end());
        Agc agc(1024);
        agc.process(samples.data(), samples.size(), samples.data());
        EXPECT_NEAR(power(samples, 4096 + 512, 4096 + 2048), 1, 0.5) << step;
    }
}

TEST(Agc, SilenceStaysSilent)
{
    Samples samples(1000);
    Agc agc(64);
    agc.process(samples.data(), samples.size(), samples.data());
    EXPECT_EQ(samples, Samples(1000));
    EXPECT_EQ(agc.gain(), 0);
}

TEST(Agc, PiecesGiveWhatTheWholeGives)
{
    const Samples samples = noise_alone(9000);
    Samples expected(samples.size()), output(samples.size());
    Agc whole(256), pieces(256);
    whole.process(samples.data(), samples.size(), expected.data());
    in_pieces(samples.size(), [&](std::size_t at, std::size_t n) {
        pieces.process(samples.data() + at, n, output.data() + at);
    });
    EXPECT_EQ(output, expected);
}

} // namespace softmod
