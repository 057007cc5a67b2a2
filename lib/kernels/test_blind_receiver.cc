// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_receiver.h"

#include "test_signals.h"

#include <gtest/gtest.h>

namespace softmod
{
namespace
{

constexpr double ROLL_OFF = 0.35;

const ConstellationSearch& shared_search()
{
    static const ConstellationSearch search({{"bpsk", to_float(Points{1.0, -1.0})},
                                             {"qpsk", to_float(square_qam(2))},
                                             {"psk8", to_float(psk(3))},
                                             {"qam16", to_float(square_qam(4))}});
    return search;
}

// A burst of unit symbol energy after the matched filter, with noise at 20 dB.
Samples burst(std::size_t candidate, std::size_t count, double period, double carrier)
{
    const auto& points = shared_search().points(candidate);
    Points symbols = random_symbols(Points(points.begin(), points.end()), count, 3 + candidate);
    Points clean = shaped(symbols, period, 12 * period, ROLL_OFF, true);
    for (auto& sample : clean)
        sample /= std::sqrt(period);
    return received(clean, 0.01, carrier, 30 + candidate);
}

struct Output {
    Samples symbols;
    std::vector<BlindReceiver::Mark> marks;
    std::vector<SignalSegments::Look> looks;
};

Output run(const Samples& samples, std::size_t piece = 8192)
{
    BlindReceiver receiver(shared_search(), {});
    Output output;
    for (std::size_t at = 0; at < samples.size(); at += piece)
        receiver.process(samples.data() + at, std::min(piece, samples.size() - at), output.symbols,
                         output.marks, output.looks);
    receiver.flush(output.symbols, output.marks);
    return output;
}

} // namespace

TEST(MatchedResampler, MakesSymbolsOfPulsesAtAnyRate)
{
    const Points sent = random_symbols(square_qam(4), 600);
    for (const double period : {1.6, 2.0, 3.3, 5.0, 17.3}) {
        const double carrier = 0.03;
        // Symbol k lies at sample 40 + k * period.
        const Samples samples = received(shaped(sent, period, 40, ROLL_OFF, true), 0, carrier);
        MatchedResampler whole({period, carrier, ROLL_OFF}), pieces({period, carrier, ROLL_OFF});
        Samples out, again;
        whole.process(samples.data(), samples.size(), out);
        in_pieces(samples.size(),
                  [&](std::size_t at, std::size_t n) { pieces.process(samples.data() + at, n, again); });
        EXPECT_EQ(out, again);
        // Between two outputs the symbol's value follows by the sinc of what is band limited.
        double error = 0;
        for (std::size_t k = 100; k < 500; ++k) {
            const double at = (40 + static_cast<double>(k) * period) / whole.step();
            std::complex<double> value = 0;
            for (int j = -40; j <= 40; ++j) {
                const double n = std::floor(at) + j, x = M_PI * (at - n);
                value += std::complex<double>(out[static_cast<std::size_t>(n)]) *
                         (std::abs(x) < 1e-9 ? 1 : std::sin(x) / x) * (0.5 + 0.5 * std::cos(M_PI * j / 41));
            }
            error += std::norm(value - sent[k]);
        }
        EXPECT_LT(10 * std::log10(error / 400), -40) << period << " samples a symbol";
    }
}

TEST(MatchedResampler, RefusesBadConfigurations)
{
    EXPECT_THROW(MatchedResampler({1.0, 0, 0.35}), std::invalid_argument);
    EXPECT_THROW(MatchedResampler({4, 0.6, 0.35}), std::invalid_argument);
    EXPECT_THROW(MatchedResampler({4, 0, 0}), std::invalid_argument);
    EXPECT_THROW(MatchedResampler({NAN, 0, 0.35}), std::invalid_argument);
}

TEST(BlindReceiver, FollowsSymbolRateFrequencyAndConstellationWithAndWithoutPauses)
{
    const double periods[] = {3.3, 5, 2.7, 4.4};
    for (const std::size_t pause : {0, 4000, 60000}) {
        Samples all = received(Points(10000), 0.01, 0, 5);
        std::vector<std::size_t> begins;
        for (std::size_t k = 0; k < 4; ++k) {
            begins.push_back(all.size());
            const Samples samples = burst(k, 12000, periods[k], 0.02 * static_cast<double>(k));
            all.insert(all.end(), samples.begin(), samples.end());
            const Samples noise = received(Points(pause), 0.01, 0, 50 + k);
            all.insert(all.end(), noise.begin(), noise.end());
        }
        const Output output = run(all);
        std::size_t k = 0;
        for (const auto& mark : output.marks)
            if (mark.changed && mark.locked) {
                ASSERT_LT(k, 4u);
                EXPECT_EQ(mark.constellation, k);
                EXPECT_LT(mark.sample, begins[k] + 600 * periods[k]) << "locked near the first symbol";
                EXPECT_NEAR(mark.symbol_rate * periods[k], 1, 1e-3);
                EXPECT_NEAR(mark.carrier, 0.02 * static_cast<double>(k), 5e-4);
                ++k;
            }
        EXPECT_EQ(k, 4u) << "bursts that were locked, pause " << pause;
    }
}

TEST(BlindReceiver, TheOutputDoesNotDependOnHowTheStreamIsCut)
{
    Samples all = burst(1, 8000, 4.2, 0.01);
    const Samples second = burst(2, 8000, 3.1, -0.02);
    all.insert(all.end(), second.begin(), second.end());
    const Output whole = run(all, all.size()), pieces = run(all, 777);
    EXPECT_EQ(whole.symbols, pieces.symbols);
    ASSERT_EQ(whole.marks.size(), pieces.marks.size());
    EXPECT_EQ(whole.looks.size(), pieces.looks.size());
}

TEST(BlindReceiver, ABurstShorterThanALookIsFoundAtTheEnd)
{
    const Output output = run(burst(1, 3500, 4, 0.01));
    ASSERT_GT(output.symbols.size(), 3400u);
    bool locked = false;
    for (const auto& mark : output.marks)
        locked = locked || (mark.changed && mark.locked && mark.constellation == 1);
    EXPECT_TRUE(locked);
}

TEST(BlindReceiver, NoiseAndSilenceBecomeNoSymbols)
{
    for (const Samples& samples : {noise_alone(100000), Samples(100000)}) {
        const Output output = run(samples);
        for (const auto& mark : output.marks)
            EXPECT_FALSE(mark.locked);
        EXPECT_EQ(output.looks.size(), 11u);
    }
}

TEST(BlindReceiver, RefusesBadConfigurations)
{
    const auto refused = [](auto change) {
        BlindReceiverConfig config;
        change(config);
        EXPECT_THROW(BlindReceiver(shared_search(), config), std::invalid_argument);
    };
    refused([](auto& c) { c.length = 5000; });
    refused([](auto& c) { c.excess_bandwidth = 0; });
    refused([](auto& c) { c.timing_bandwidth = 1; });
    refused([](auto& c) { c.lowest_rate = 0.9; });
    refused([](auto& c) { c.recovery.window = 100; });
}

} // namespace softmod
