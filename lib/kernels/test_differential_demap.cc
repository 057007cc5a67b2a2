// SPDX-License-Identifier: GPL-3.0-or-later
// The differential demapper against the sum over all pairs of sent points, in double precision.
#include "differential_demap.h"

#include "test_signals.h"

#include <gtest/gtest.h>

#include <limits>

namespace softmod
{
namespace
{

// ln P(b_k = 1) - ln P(b_k = 0) of the label that turned `before` into `now`.
std::vector<double> by_definition(const Points& points, std::complex<double> before, std::complex<double> now,
                                  double noise_var)
{
    unsigned bits = 0;
    while (std::size_t{1} << bits < points.size())
        ++bits;
    double nearest[2] = {1e300, 1e300};
    for (const auto& point : points) {
        nearest[0] = std::min(nearest[0], std::norm(before - point) / noise_var);
        nearest[1] = std::min(nearest[1], std::norm(now - point) / noise_var);
    }
    std::vector<double> one(bits), zero(bits);
    for (const auto& first : points)
        for (std::size_t label = 0; label < points.size(); ++label) {
            const std::complex<double> second = first * points[label] / points[0];
            const double p = std::exp(nearest[0] - std::norm(before - first) / noise_var + nearest[1] -
                                      std::norm(now - second) / noise_var);
            for (unsigned k = 0; k < bits; ++k)
                (label >> (bits - 1 - k) & 1 ? one : zero)[k] += p;
        }
    std::vector<double> llr(bits);
    for (unsigned k = 0; k < bits; ++k)
        llr[k] = std::log(one[k]) - std::log(zero[k]);
    return llr;
}

} // namespace

TEST(DifferentialDemap, EqualsTheSumOverAllPairs)
{
    for (const Points& points : {psk(1), psk(2), square_qam(2), psk(3), psk(4)})
        for (const float noise_var : {0.05f, 0.4f, 5.0f}) {
            const Samples y = received(random_symbols(points, 200), noise_var);
            DifferentialDemapper demapper(to_float(points));
            const unsigned bits = demapper.bits_per_symbol();
            std::vector<float> llr(y.size() * bits);
            demapper.demap(y.data(), y.size(), noise_var, llr.data());
            for (unsigned k = 0; k < bits; ++k)
                EXPECT_EQ(llr[k], 0) << "nothing is known of the turn to the first symbol";
            for (std::size_t i = 1; i < y.size(); ++i) {
                const auto expected = by_definition(points, y[i - 1], y[i], noise_var);
                for (unsigned k = 0; k < bits; ++k)
                    ASSERT_NEAR(llr[i * bits + k], expected[k], 1e-3 + 1e-4 * std::abs(expected[k]));
            }
        }
}

TEST(DifferentialDemap, PiecesAndAQuarterTurnChangeNothing)
{
    const Points points = square_qam(2);
    const Samples y = received(random_symbols(points, 7000), 0.2);
    Samples turned;
    for (const auto& sample : y)
        turned.emplace_back(-sample.imag(), sample.real());
    std::vector<float> expected(2 * y.size()), llr(2 * y.size()), llr_of_turned(2 * y.size());
    DifferentialDemapper whole(to_float(points)), pieces(to_float(points)), other(to_float(points));
    whole.demap(y.data(), y.size(), 0.2f, expected.data());
    in_pieces(y.size(), [&](std::size_t at, std::size_t n) {
        pieces.demap(y.data() + at, n, 0.2f, llr.data() + 2 * at);
    });
    other.demap(turned.data(), turned.size(), 0.2f, llr_of_turned.data());
    EXPECT_EQ(llr, expected);
    for (std::size_t k = 0; k < llr.size(); ++k)
        ASSERT_NEAR(llr_of_turned[k], expected[k], 1e-3);
}

TEST(DifferentialDemap, ASampleThatIsNotFiniteSpoilsTwoSymbols)
{
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Samples y = received(random_symbols(psk(1), 10), 0.2);
        y[4] = {0, bad};
        DifferentialDemapper demapper(to_float(psk(1)));
        std::vector<float> llr(y.size());
        demapper.demap(y.data(), y.size(), 0.2f, llr.data());
        for (std::size_t k = 0; k < y.size(); ++k)
            EXPECT_EQ(llr[k] == 0, k == 0 || k == 4 || k == 5) << k;
    }
}

TEST(DifferentialDemap, TakesPskAlone)
{
    for (const Points& points : {square_qam(4), pam(2, true, -3), Points{1.0}, Points{1.0, {0, 1}, -1.0},
                                 Points{0.0, 1.0}, scattered(2, 3), psk(7)})
        EXPECT_THROW(DifferentialDemapper{to_float(points)}, std::invalid_argument);
}

} // namespace softmod
