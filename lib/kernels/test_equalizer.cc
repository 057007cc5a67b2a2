// SPDX-License-Identifier: GPL-3.0-or-later
// The step is the gradient of the likelihood (by differences), what is refused, and that it opens an eye.
#include "equalizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace softmod
{
namespace
{

using Sample = std::complex<float>;
using Samples = std::vector<Sample>;

Samples qam16()
{
    Samples points;
    for (int label = 0; label < 16; ++label)
        points.emplace_back(static_cast<float>(2 * (label / 4) - 3) / std::sqrt(10.0f),
                            static_cast<float>(2 * (label % 4) - 3) / std::sqrt(10.0f));
    return points;
}

Samples normal(std::size_t n, float deviation, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> distribution(0.0f, deviation / std::sqrt(2.0f));
    Samples values(n);
    for (auto& value : values)
        value = {distribution(random), distribution(random)};
    return values;
}

// ln p(y) of the output for taps w (newest sample first) and samples x (oldest first), and y itself.
double log_likelihood(const Samples& w, const Samples& x, double noise_var)
{
    std::complex<double> y;
    for (std::size_t k = 0; k < w.size(); ++k)
        y += std::complex<double>(w[k]) * std::complex<double>(x[x.size() - 1 - k]);
    double sum = 0.0;
    for (const auto& point : qam16())
        sum += std::exp(-std::norm(y - std::complex<double>(point)) / noise_var);
    return std::log(sum);
}

TEST(Equalizer, StepIsTheGradientOfTheLikelihood)
{
    const float noise_var = 0.2f, step = 0.1f;
    const std::size_t taps = 5;
    for (unsigned seed = 0; seed < 20; ++seed) {
        EqualizerConfig config;
        config.points = qam16();
        config.taps = taps;
        config.step = step;
        config.noise_var = noise_var;
        Equalizer equalizer(config);
        const auto before = equalizer.taps();
        const auto x = normal(taps, 1.0f, seed);
        Sample y;
        equalizer.process(x.data(), 1, &y);
        const auto after = equalizer.taps();
        double energy = 0.0;
        for (const auto& sample : x)
            energy += std::norm(sample);
        for (std::size_t k = 0; k < taps; ++k) {
            // d ln p / d conj(w) = (d/dRe + j d/dIm) ln p / 2
            const float h = 1e-3f;
            std::complex<double> slope;
            for (const Sample direction : {Sample{h, 0}, Sample{0, h}}) {
                auto up = before, down = before;
                up[k] += direction;
                down[k] -= direction;
                slope += std::complex<double>(direction) / static_cast<double>(h) *
                         (log_likelihood(up, x, noise_var) - log_likelihood(down, x, noise_var)) / (4.0 * h);
            }
            const auto expected = slope * static_cast<double>(step * noise_var) / energy;
            EXPECT_NEAR(after[k].real() - before[k].real(), expected.real(), 2e-4);
            EXPECT_NEAR(after[k].imag() - before[k].imag(), expected.imag(), 2e-4);
        }
    }
}

// Symbols of 16-QAM through three paths with noise; taps of history in front.
struct Link {
    Samples sent, x;

    explicit Link(std::size_t n, std::size_t taps, float noise_var)
        : x(normal(n + taps - 1, std::sqrt(noise_var), 5))
    {
        std::mt19937 random(7);
        const auto points = qam16();
        for (std::size_t i = 0; i < n + taps - 1; ++i)
            sent.push_back(points[random() % 16]);
        const Sample paths[] = {{1, 0}, {0.25f, 0.2f}, {-0.1f, 0.12f}};
        for (std::size_t i = 0; i < sent.size(); ++i)
            for (std::size_t k = 0; k < 3 && k <= i; ++k)
                x[i] += paths[k] * sent[i - k];
    }

    double error(const Samples& y, std::size_t from, std::size_t taps) const
    {
        double sum = 0.0;
        for (std::size_t i = from; i < y.size(); ++i)
            sum += std::norm(y[i] - sent[i + taps - 1 - (taps - 1) / 2]);
        return sum / static_cast<double>(y.size() - from);
    }
};

TEST(Equalizer, OpensAnEyeByEachMethod)
{
    const std::size_t n = 30000, taps = 11;
    const Link link(n, taps, 0.003f);
    Samples y(n);
    for (const auto method :
         {EqualizerMethod::likelihood, EqualizerMethod::decision, EqualizerMethod::modulus}) {
        EqualizerConfig config;
        config.points = qam16();
        config.taps = taps;
        config.method = method;
        config.acquisition = 3000;
        Equalizer equalizer(config);
        equalizer.process(link.x.data(), n, y.data());
        // The paths alone make 0.127; CMA has noise of its own, and leaves the carrier's phase open.
        EXPECT_LT(link.error(y, n - 5000, taps), method == EqualizerMethod::modulus ? 0.06 : 0.008);
        EXPECT_LT(equalizer.error_power(), 0.02f);
        const auto kept = equalizer.taps();
        equalizer.set_adapting(false);
        equalizer.process(link.x.data(), 100, y.data());
        EXPECT_EQ(equalizer.taps(), kept);
        equalizer.reset();
        EXPECT_EQ(equalizer.taps()[5], Sample(1.0f, 0.0f));
    }
}

TEST(Equalizer, HowTheStreamIsCutMakesNoDifference)
{
    const std::size_t n = 500, taps = 7;
    const Link link(2 * n, taps, 0.01f);
    EqualizerConfig config;
    config.points = qam16();
    config.taps = taps;
    config.samples_per_symbol = 2;
    Equalizer whole(config), pieces(config);
    Samples a(n), b(n);
    whole.process(link.x.data(), n, a.data());
    for (std::size_t i = 0; i < n; i += 3)
        pieces.process(link.x.data() + 2 * i, std::min<std::size_t>(3, n - i), b.data() + i);
    EXPECT_EQ(a, b);
}

TEST(Equalizer, BadSamplesAreCountedAndDoNoHarm)
{
    const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
    EqualizerConfig config;
    config.points = qam16();
    Equalizer equalizer(config);
    auto x = normal(1010, 1.0f, 1);
    x[20] = {nan, 0};
    x[500] = {0, -inf};
    x[700] = {3e38f, 3e38f};
    Samples y(1000);
    EXPECT_EQ(equalizer.process(x.data(), 1000, y.data()), 2u);
    for (const auto& tap : equalizer.taps())
        EXPECT_TRUE(std::isfinite(tap.real()) && std::isfinite(tap.imag()));
    const Samples zeros(1010);
    equalizer.process(zeros.data(), 1000, y.data());
    EXPECT_EQ(y.back(), Sample());
}

TEST(Equalizer, RefusesWhatIsNotAllowed)
{
    const auto refused = [](auto change) {
        EqualizerConfig config;
        config.points = qam16();
        change(config);
        EXPECT_THROW(Equalizer{config}, std::invalid_argument);
    };
    const float nan = std::numeric_limits<float>::quiet_NaN();
    refused([](EqualizerConfig& c) { c.points.resize(1); });
    refused([](EqualizerConfig& c) { c.points.assign(4, Sample{}); });
    refused([&](EqualizerConfig& c) { c.points[2] = {nan, 0}; });
    refused([](EqualizerConfig& c) { c.taps = 0; });
    refused([](EqualizerConfig& c) { c.taps = 1025; });
    refused([](EqualizerConfig& c) { c.samples_per_symbol = 0; });
    refused([](EqualizerConfig& c) { c.step = 0.0f; });
    refused([](EqualizerConfig& c) { c.step = 1.5f; });
    refused([&](EqualizerConfig& c) { c.step = nan; });
    refused([](EqualizerConfig& c) { c.noise_var = -1.0f; });
    refused([&](EqualizerConfig& c) { c.noise_var = nan; });
}

} // namespace
} // namespace softmod
