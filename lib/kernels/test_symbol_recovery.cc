// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbol_recovery.h"

#include "phase_statistic.h"
#include "soft_decision.h"
#include "test_signals.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace softmod
{
namespace
{

struct Output {
    Samples symbols;
    std::vector<SymbolRecovery::Mark> marks;
};

Output run(SymbolRecovery& recovery, const Samples& samples)
{
    Output output;
    recovery.process(samples.data(), samples.size(), output.symbols, output.marks);
    return output;
}

struct Case {
    std::string name;
    Points points;
    unsigned symmetry;
    double esn0_db;
};

void PrintTo(const Case& c, std::ostream* out)
{
    *out << c.name;
}

const std::vector<Case>& cases()
{
    static const std::vector<Case> all = {
        {"bpsk", {1.0, -1.0}, 2, 6},       {"ook", {0.0, std::sqrt(2.0)}, 1, 12},
        {"pam4", pam(2, true, -3), 2, 14}, {"qpsk", square_qam(2), 4, 8},
        {"psk8", psk(3), 8, 14},           {"psk16", psk(4), 16, 20},
        {"qam16", square_qam(4), 4, 15},   {"qam64", square_qam(6), 4, 21},
        {"qam256", square_qam(8), 4, 28},  {"scattered4", unit_energy(scattered(2, 4)), 1, 16},
    };
    return all;
}

class Constellations : public testing::TestWithParam<Case>
{
};

INSTANTIATE_TEST_SUITE_P(SymbolRecovery, Constellations, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

} // namespace

TEST_P(Constellations, SymbolsAreThoseSentUpToTheSymmetry)
{
    const auto& [name, points, symmetry, esn0_db] = GetParam();
    const double noise_var = std::pow(10, -esn0_db / 10);
    const Points sent = random_symbols(points, 12000);
    SymbolRecovery recovery(to_float(points), {});
    EXPECT_EQ(recovery.symmetry(), symmetry);
    const Output output = run(recovery, received(sent, noise_var, 0.007));
    ASSERT_TRUE(recovery.locked());
    EXPECT_NEAR(recovery.frequency(), 0.007, 2e-4);
    EXPECT_NEAR(10 * std::log10(recovery.noise_var()), -esn0_db, 1);
    ASSERT_EQ(output.symbols.size(), sent.size());
    ASSERT_EQ(output.marks.front().symbol, 0u) << "a lock works backward";

    double least = 1e9;
    for (unsigned turn = 0; turn < symmetry; ++turn) {
        double sum = 0;
        for (std::size_t k = 0; k < sent.size(); ++k)
            sum += std::norm(std::complex<double>(output.symbols[k]) -
                             sent[k] * std::polar(1.0, 2 * M_PI * turn / symmetry));
        least = std::min(least, sum / static_cast<double>(sent.size()));
    }
    EXPECT_NEAR(10 * std::log10(least), -esn0_db, 0.4);
}

TEST(SymbolRecovery, PiecesGiveWhatTheWholeGives)
{
    Samples samples = received(random_symbols(psk(3), 4000), 0.04, 0.003);
    const Samples pause = noise_alone(4000);
    samples.insert(samples.end(), pause.begin(), pause.end());
    for (const unsigned taps : {1u, 5u}) {
        SymbolRecoveryConfig config;
        config.equalizer_taps = taps;
        config.samples_per_symbol = taps > 1 ? 2 : 1;
        SymbolRecovery whole(to_float(psk(3)), config), pieces(to_float(psk(3)), config);
        const Output expected = run(whole, samples);
        Output output;
        in_pieces(samples.size(), [&](std::size_t at, std::size_t n) {
            pieces.process(samples.data() + at, n, output.symbols, output.marks);
        });
        EXPECT_EQ(output.symbols, expected.symbols);
        ASSERT_EQ(output.marks.size(), expected.marks.size());
        for (std::size_t k = 0; k < output.marks.size(); ++k) {
            EXPECT_EQ(output.marks[k].symbol, expected.marks[k].symbol);
            EXPECT_EQ(output.marks[k].locked, expected.marks[k].locked);
            EXPECT_EQ(output.marks[k].noise_var, expected.marks[k].noise_var);
        }
    }
}

TEST(SymbolRecovery, LocksToNoNoiseAndLosesWhatIsGone)
{
    SymbolRecovery noise(to_float(square_qam(2)), {}), burst(to_float(square_qam(2)), {});
    run(noise, noise_alone(30000));
    EXPECT_FALSE(noise.locked());
    EXPECT_EQ(noise.noise_var(), SymbolRecovery::UNKNOWN_NOISE);
    run(burst, received(random_symbols(square_qam(2), 3000), 0.1));
    EXPECT_TRUE(burst.locked());
    run(burst, noise_alone(10000));
    EXPECT_FALSE(burst.locked());
}

TEST(SymbolRecovery, UndoesARotation)
{
    Points sent = random_symbols(square_qam(2), 8000);
    const Points plain = sent;
    for (std::size_t k = 0; k < sent.size(); ++k)
        sent[k] *= std::polar(1.0, M_PI / 4 * static_cast<double>(k));
    SymbolRecoveryConfig config;
    config.rotation = M_PI / 4;
    SymbolRecovery recovery(to_float(square_qam(2)), config);
    const Output output = run(recovery, received(sent, 0.1));
    ASSERT_TRUE(recovery.locked());
    EXPECT_NEAR(recovery.frequency(), 0, 1e-3);
    std::complex<double> agreement = 0;
    for (std::size_t k = 0; k < plain.size(); ++k)
        agreement += std::conj(plain[k]) * std::complex<double>(output.symbols[k]);
    EXPECT_NEAR(std::abs(agreement) / static_cast<double>(plain.size()), 1, 0.05);
}

// An echo of half the direct way's level, a symbol late: the equaliser leaves little of it.
TEST(SymbolRecovery, TheEqualiserTakesOutAnEcho)
{
    const Points sent = random_symbols(square_qam(2), 20000);
    Points direct = shaped(sent, 2, 0, 0.35, false);
    Points both = direct;
    for (std::size_t k = 2; k < both.size(); ++k)
        both[k] += std::complex<double>(0.2, 0.3) * direct[k - 2];
    double power = 0;
    for (std::size_t k = 0; k < both.size(); k += 2)
        power += std::norm(both[k]);
    for (auto& sample : both)
        sample /= std::sqrt(power / static_cast<double>(sent.size()));
    double noise_var[2];
    for (const unsigned equalised : {0u, 1u}) {
        SymbolRecoveryConfig config;
        config.samples_per_symbol = 2;
        config.equalizer_taps = equalised ? 15 : 1;
        SymbolRecovery recovery(to_float(square_qam(2)), config);
        run(recovery, received(both, 0.01));
        ASSERT_TRUE(recovery.locked());
        noise_var[equalised] = recovery.noise_var();
    }
    EXPECT_LT(noise_var[1], 0.25 * noise_var[0]);
}

TEST(SymbolRecovery, BadSettingsAreOneSentence)
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const SymbolRecoveryConfig bad[] = {{nan, 1, 1, 0.01, 0},  {0, 1, 0, 0.01, 0},  {0, 2, 4, 0.01, 0},
                                        {0, 2, 257, 0.01, 0},  {0, 1, 1, 0, 0},     {0, 1, 1, 0.3, 0},
                                        {0, 1, 1, nan, 0},     {0, 1, 1, 0.01, 32}, {0, 1, 1, 0.01, 100},
                                        {0, 1, 1, 0.01, 32768}};
    for (const auto& config : bad)
        EXPECT_THROW(SymbolRecovery(to_float(square_qam(2)), config), std::invalid_argument);
}

// The mean of the statistic over a phase-aligned constellation in the noise it was made for is its coherence,
// and a turn by the constellation's symmetry changes nothing.
TEST_P(Constellations, ThePhaseStatisticIsCoherentInPhase)
{
    const auto& points = GetParam().points;
    const PhaseStatistic statistic(to_float(points));
    const Samples samples = received(random_symbols(points, 50000), statistic.noise_var());
    std::complex<double> mean = 0;
    double power = 0;
    for (const auto& y : samples) {
        const std::complex<double> z(statistic(y));
        mean += z / static_cast<double>(samples.size());
        power += std::norm(z) / static_cast<double>(samples.size());
    }
    const double error = 4 * std::sqrt(power / static_cast<double>(samples.size()));
    EXPECT_NEAR(mean.real(), statistic.coherence(), error + 0.02 * statistic.coherence());
    EXPECT_NEAR(mean.imag(), 0, error);
    EXPECT_NEAR(power, statistic.coherence(), 0.05 * statistic.coherence());
    EXPECT_EQ(statistic.order() % statistic.symmetry(), 0u);
}

TEST_P(Constellations, SoftDecisionsEqualTheDefinition)
{
    const auto& points = GetParam().points;
    const SoftDecider decider(to_float(points));
    for (const float noise_var : {0.01f, 0.3f, 10.0f})
        for (const auto& y : received(random_symbols(points, 200), noise_var)) {
            double sum = 0, energy = 0, nearest = 1e300;
            std::complex<double> mean = 0;
            for (const auto& point : points)
                nearest = std::min(nearest, std::norm(std::complex<double>(y) - point) / noise_var);
            for (const auto& point : points) {
                const double p = std::exp(nearest - std::norm(std::complex<double>(y) - point) / noise_var);
                sum += p, mean += p * point, energy += p * std::norm(point);
            }
            const SoftDecision decision = decider.decide(y, noise_var);
            EXPECT_NEAR(std::abs(std::complex<double>(decision.mean) - mean / sum), 0, 1e-4);
            EXPECT_NEAR(decision.energy, energy / sum, 1e-4);
            EXPECT_NEAR(decision.log_likelihood, std::log(sum) - nearest, 1e-4 * (1 + nearest));
        }
}

} // namespace softmod
