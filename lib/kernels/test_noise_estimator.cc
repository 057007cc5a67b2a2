// SPDX-License-Identifier: GPL-3.0-or-later
#include "noise_estimator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>

using softmod::MixtureLikelihood;
using softmod::NoiseEstimator;
using Complex = std::complex<float>;
using Points = std::vector<Complex>;

namespace
{

Points psk(unsigned order, double offset = 0)
{
    Points points;
    for (unsigned i = 0; i < order; ++i)
        points.push_back(std::polar(1.0f, static_cast<float>(2 * M_PI * i / order + offset)));
    return points;
}

Points qam(int side_i, int side_q)
{
    Points points;
    for (int i = 0; i < side_i; ++i)
        for (int q = 0; q < side_q; ++q)
            points.emplace_back(2.0f * i - side_i + 1, 2.0f * q - side_q + 1);
    return points;
}

// 32-QAM: 6 x 6 without its corners, so not a product of its levels.
Points cross32()
{
    Points points;
    for (const auto& p : qam(6, 6))
        if (std::abs(p) < 7)
            points.push_back(p);
    return points;
}

Points unit_energy(Points points)
{
    double energy = 0;
    for (const auto& p : points)
        energy += std::norm(p) / points.size();
    for (auto& p : points)
        p /= static_cast<float>(std::sqrt(energy));
    return points;
}

std::vector<Complex> received(const Points& points, double esn0_db, double gain, std::size_t n,
                              unsigned seed = 1)
{
    const auto unit = unit_energy(points);
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::size_t> label(0, unit.size() - 1);
    std::normal_distribution<double> noise(0, std::sqrt(std::pow(10, -esn0_db / 10) / 2));
    std::vector<Complex> y;
    for (std::size_t i = 0; i < n; ++i) {
        const std::complex<double> s = unit[label(random)], w(noise(random), noise(random));
        y.emplace_back(gain * (s + w));
    }
    return y;
}

struct Case {
    std::string name;
    Points points;
    std::vector<double> esn0_db;
    std::size_t symbols = 32768;
};

void PrintTo(const Case& c, std::ostream* os)
{
    *os << c.name;
}

class Accuracy : public testing::TestWithParam<Case>
{
};

} // namespace

TEST_P(Accuracy, EstimatesAreWithinHalfADecibelAtAnyLevel)
{
    const auto& [name, points, range, symbols] = GetParam();
    unsigned seed = 1;
    for (double esn0_db : range) {
        const double gain = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 1e-3 : 30;
        NoiseEstimator estimator(points, symbols);
        const auto y = received(points, esn0_db, gain, symbols, seed++);
        estimator.push(y.data(), y.size());
        const auto estimate = estimator.estimate();
        ASSERT_TRUE(estimate) << esn0_db;
        EXPECT_NEAR(estimate->esn0_db, esn0_db, 0.5);
        EXPECT_NEAR(10 * std::log10(estimate->noise_var / gain / gain), -esn0_db, 0.5) << esn0_db;
        EXPECT_NEAR(20 * std::log10(estimate->gain / gain), 0, 0.3) << esn0_db;
        EXPECT_LT(std::abs(estimate->esn0_db - esn0_db), 5 * estimate->std_db) << esn0_db;
    }
}

INSTANTIATE_TEST_SUITE_P(
    NoiseEstimator, Accuracy,
    testing::Values(Case{"bpsk", {{1, 0}, {-1, 0}}, {-3, 0, 3, 6, 10, 15, 20, 25, 30, 40}},
                    Case{"ook", {{0, 0}, {1, 0}}, {3, 6, 10, 20, 30}},
                    Case{"qpsk", psk(4, M_PI / 4), {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 25, 30}},
                    Case{"8psk", psk(8), {0, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30}},
                    Case{"16psk", psk(16), {6, 8, 10, 12, 15, 20, 25, 30}},
                    Case{"8pam", qam(8, 1), {6, 9, 12, 15, 20, 30}},
                    Case{"16qam", qam(4, 4), {4, 6, 8, 10, 12, 15, 20, 25, 30}},
                    Case{"32qam", cross32(), {9, 12, 15, 20, 30}},
                    Case{"64qam", qam(8, 8), {12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30}},
                    Case{"256qam", qam(16, 16), {22, 24, 27, 30, 40}},
                    Case{"1024qam", qam(32, 32), {30, 40}}),
    [](const auto& info) { return info.param.name; });

TEST(NoiseEstimator, StandardErrorIsWhatManyRunsSpread)
{
    double sum = 0, square = 0, predicted = 0;
    constexpr int runs = 60;
    for (int run = 0; run < runs; ++run) {
        NoiseEstimator estimator(qam(4, 4), 2048, 0);
        const auto y = received(qam(4, 4), 12, 1, 2048, 100 + run);
        estimator.push(y.data(), y.size());
        const auto estimate = estimator.estimate();
        sum += estimate->esn0_db - 12;
        square += std::pow(estimate->esn0_db - 12, 2);
        predicted += estimate->std_db / runs;
    }
    const double spread = std::sqrt(square / runs);
    EXPECT_NEAR(spread / predicted, 1, 0.35); // chi with 60 degrees of freedom: 4 sigma
    EXPECT_LT(std::abs(sum / runs), 4 * predicted / std::sqrt(runs)); // no bias
}

// Where decisions begin to hold, the peak is narrow and the way to it long.
TEST(NoiseEstimator, DenseConstellationsReachThePeak)
{
    const auto points = qam(32, 32);
    for (double esn0_db : {26.0, 27.0})
        for (unsigned seed = 0; seed < 12; ++seed) {
            NoiseEstimator estimator(points);
            const auto y = received(points, esn0_db, 0.8, 32768, seed);
            estimator.push(y.data(), y.size());
            const auto estimate = estimator.estimate();
            EXPECT_LT(std::abs(estimate->esn0_db - esn0_db), 4.5 * estimate->std_db)
                << esn0_db << ' ' << seed;
        }
}

TEST(NoiseEstimator, TakesOnlyAsManySymbolsAsTheAccuracyNeeds)
{
    const auto points = psk(4, M_PI / 4);
    const auto y = received(points, 20, 1, 32768);
    NoiseEstimator quick(points, 32768, 0.1), thorough(points, 32768, 0);
    quick.push(y.data(), y.size());
    thorough.push(y.data(), y.size());
    EXPECT_LT(quick.estimate()->symbols, 4096u);
    EXPECT_EQ(thorough.estimate()->symbols, 32768u);
    EXPECT_LT(thorough.estimate()->std_db, 0.03);
}

TEST(NoiseEstimator, ForgetsWhatIsOlderThanItsMemory)
{
    const auto points = psk(4, M_PI / 4);
    NoiseEstimator estimator(points, 4096, 0);
    const auto old = received(points, 5, 1, 9000), recent = received(points, 25, 1, 4096);
    estimator.push(old.data(), old.size());
    estimator.push(recent.data(), recent.size());
    EXPECT_NEAR(estimator.estimate()->esn0_db, 25, 0.5);
}

TEST(NoiseEstimator, PiecesGiveWhatTheWholeGives)
{
    const auto points = qam(8, 8);
    const auto y = received(points, 20, 1, 10000);
    NoiseEstimator whole(points, 3000), pieces(points, 3000);
    whole.push(y.data(), y.size());
    for (std::size_t i = 0, step = 1; i < y.size(); i += step, step = (step * 7) % 997 + 1)
        pieces.push(&y[i], std::min(step, y.size() - i));
    EXPECT_EQ(whole.estimate()->noise_var, pieces.estimate()->noise_var);
    EXPECT_EQ(whole.estimate()->gain, pieces.estimate()->gain);
}

TEST(NoiseEstimator, LeavesOutWhatIsNotFinite)
{
    const auto points = psk(4, M_PI / 4);
    const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
    auto y = received(points, 15, 1, 4096);
    NoiseEstimator clean(points), dirty(points);
    EXPECT_EQ(clean.push(y.data(), y.size()), 0u);
    for (const Complex bad : {Complex(nan, 0), Complex(0, inf), Complex(-inf, nan)})
        y.insert(y.begin() + 1000, bad);
    EXPECT_EQ(dirty.push(y.data(), y.size()), 3u);
    EXPECT_EQ(clean.estimate()->noise_var, dirty.estimate()->noise_var);
}

TEST(NoiseEstimator, SaysNothingWithoutSymbolsOrSignal)
{
    NoiseEstimator estimator(psk(4));
    EXPECT_FALSE(estimator.estimate());
    const std::vector<Complex> zeros(1000);
    estimator.push(zeros.data(), 63);
    EXPECT_FALSE(estimator.estimate());
    estimator.push(zeros.data(), 1000);
    EXPECT_FALSE(estimator.estimate());
}

TEST(NoiseEstimator, ExtremesStayFinite)
{
    const auto points = qam(8, 8);
    const auto noise = received(points, -60, 1, 8192), clean = received(points, 300, 1, 8192);
    for (double level : {1e-18, 1.0, 1e15})
        for (auto y : {noise, clean, std::vector<Complex>(8192, Complex(0.3f, -0.1f))}) {
            for (auto& sample : y)
                sample *= level;
            NoiseEstimator estimator(points, 8192);
            estimator.push(y.data(), y.size());
            const auto e = estimator.estimate();
            ASSERT_TRUE(e) << level;
            EXPECT_TRUE(std::isfinite(e->esn0_db) && std::isfinite(e->std_db) && e->std_db >= 0);
            EXPECT_TRUE(std::isfinite(e->noise_var) && e->noise_var > 0 && e->gain > 0);
        }
    NoiseEstimator estimator(points);
    estimator.push(clean.data(), clean.size());
    EXPECT_GT(estimator.estimate()->esn0_db, 60);
}

TEST(NoiseEstimator, RefusesWhatItCannotUse)
{
    const float nan = std::nanf("");
    EXPECT_THROW(NoiseEstimator(Points{}), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(Points{{1, 0}}), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(Points{{1, 0}, {nan, 0}}), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(Points{{0, 0}, {0, 0}}), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(psk(4), 63), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(psk(4), 1024, -1), std::invalid_argument);
    EXPECT_THROW(NoiseEstimator(psk(4), 1024, nan), std::invalid_argument);
}

// The likelihood and its slopes against the definition in double precision, for a product of levels and a
// plane.
TEST(MixtureLikelihood, EqualsTheDefinition)
{
    for (const auto& points : {unit_energy(qam(4, 2)), psk(8), unit_energy(cross32())})
        for (std::size_t n : {1, 63, 64, 65, 1000}) {
            const auto y = received(points, 8, 1, n);
            std::vector<float> re, im;
            for (const auto& sample : y) {
                re.push_back(sample.real());
                im.push_back(sample.imag());
            }
            const auto definition = [&](double p, double r) {
                const double noise_var = std::exp(p) / (1 + std::exp(r)),
                             gain = std::sqrt(noise_var * std::exp(r));
                double sum = 0;
                for (const auto& sample : y) {
                    double likelihood = 0;
                    for (const auto& point : points)
                        likelihood += std::exp(
                            -std::norm(std::complex<double>(sample) - gain * std::complex<double>(point)) /
                            noise_var);
                    sum += std::log(likelihood / noise_var);
                }
                return sum;
            };
            const double p = 0.1, r = 1.7, h = 1e-4;
            const auto sums = MixtureLikelihood(points).evaluate(re.data(), im.data(), n, 1, p, r);
            EXPECT_NEAR(sums.log_likelihood, definition(p, r), 1e-5 * n);
            EXPECT_NEAR(sums.slope_p, (definition(p + h, r) - definition(p - h, r)) / (2 * h), 1e-4 * n);
            EXPECT_NEAR(sums.slope_r, (definition(p, r + h) - definition(p, r - h)) / (2 * h), 1e-4 * n);
        }
}

TEST(MixtureLikelihood, SeparatesProductsOfLevelsAlone)
{
    EXPECT_EQ(MixtureLikelihood(unit_energy(qam(8, 8))).cost(), 16u);
    EXPECT_EQ(MixtureLikelihood(psk(2)).cost(), 3u);
    EXPECT_EQ(MixtureLikelihood(psk(4, M_PI / 4)).cost(), 4u); // levels equal but for rounding
    EXPECT_EQ(MixtureLikelihood(psk(4)).cost(), 4u);           // a diamond
    EXPECT_EQ(MixtureLikelihood(psk(8)).cost(), 8u);
    EXPECT_EQ(MixtureLikelihood(cross32()).cost(), 32u);
}
