// SPDX-License-Identifier: GPL-3.0-or-later
#include "channelizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>

namespace softmod
{
namespace
{

using Samples = std::vector<std::complex<float>>;

// The sum of the definition.
std::complex<double> expected(const Samples& x, const std::vector<float>& taps, std::size_t channels,
                              std::size_t channel, std::size_t t)
{
    std::complex<double> sum = 0.0;
    for (std::size_t i = 0; i < taps.size() && i <= t * channels + channels - 1; ++i)
        sum += static_cast<double>(taps[i]) * std::complex<double>(x[t * channels + channels - 1 - i]) *
               std::polar(1.0, 6.283185307179586 * static_cast<double>(channel * i) /
                                   static_cast<double>(channels));
    return sum;
}

TEST(Channelizer, IsTheSumOfItsDefinition)
{
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const std::size_t channels : {2, 4, 16, 64})
        for (const std::size_t depth : {1, 5}) {
            std::vector<float> taps(channels * depth - channels / 3);
            for (auto& tap : taps)
                tap = normal(random);
            const std::size_t rows = 80;
            Samples x(rows * channels);
            for (auto& sample : x)
                sample = {normal(random), normal(random)};
            std::vector<Samples> out(channels, Samples(rows));
            Channelizer channelizer(channels, taps);
            // In pieces: where a call ends must not matter.
            for (std::size_t begin = 0, piece = 1; begin < rows; begin += piece, piece = piece * 3 % 47 + 1) {
                std::vector<std::complex<float>*> to;
                for (auto& channel : out)
                    to.push_back(channel.data() + begin);
                channelizer.run(x.data() + begin * channels, std::min(piece, rows - begin), to.data());
            }
            double worst = 0.0;
            for (std::size_t c = 0; c < channels; ++c)
                for (std::size_t t = 0; t < rows; ++t)
                    worst = std::max(
                        worst, std::abs(std::complex<double>(out[c][t]) - expected(x, taps, channels, c, t)));
            EXPECT_LT(worst, 2e-6 * static_cast<double>(taps.size()) + 1e-5) << channels << " " << depth;
        }
}

TEST(Channelizer, Refuses)
{
    EXPECT_THROW(Channelizer(0, {1.0f}), std::invalid_argument);
    EXPECT_THROW(Channelizer(12, {1.0f}), std::invalid_argument);
    EXPECT_THROW(Channelizer(2048, {1.0f}), std::invalid_argument);
    EXPECT_THROW(Channelizer(4, {}), std::invalid_argument);
    EXPECT_THROW(Channelizer(4, {1.0f, NAN}), std::invalid_argument);
    EXPECT_THROW(Channelizer(2, std::vector<float>(8193, 1.0f)), std::invalid_argument);
}

} // namespace
} // namespace softmod
