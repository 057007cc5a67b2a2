// SPDX-License-Identifier: GPL-3.0-or-later
// The soft mapper on every instruction set against its definition in double precision.
#include "simd.h"
#include "soft_map.h"
#include "test_constellations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace softmod
{
namespace
{

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Case {
    std::string name;
    Points points;
};

void PrintTo(const Case& c, std::ostream* out)
{
    *out << c.name;
}

const std::vector<Case>& cases()
{
    static const std::vector<Case> all = {
        {"bpsk", {1.0, -1.0}},
        {"ook", {0.0, std::sqrt(2.0)}},
        {"pam4_with_pilot", transformed(pam(2, true, -3.0), 1.0, {0.3, 0.9})},
        {"pam32", pam(5, true, -31.0)},
        {"qpsk", square_qam(2)},
        {"qam16", square_qam(4)},
        {"qam16_i_bits_first", reorder_bits(square_qam(4), {0, 2, 1, 3})},
        {"qam16_mixed_bits", reorder_bits(square_qam(4), {1, 0, 2, 3})},
        {"rectangle8", grid({-3, -1, 3, 1}, {-1, 1})},
        {"qam64", square_qam(6)},
        {"qam256", square_qam(8)},
        {"qam4096", square_qam(12)},
        {"psk8", psk(3)},
        {"psk16", psk(4)},
        {"scattered64", scattered(6, 4)},
        {"scattered512", scattered(9, 7)},
    };
    return all;
}

struct Expected {
    std::complex<double> symbol = 0.0;
    double variance = 0.0;
};

Expected by_definition(const Points& points, const float* llr)
{
    const auto bits = static_cast<unsigned>(std::lround(std::log2(points.size())));
    std::vector<double> probability(points.size(), 1.0);
    for (std::size_t label = 0; label < points.size(); ++label)
        for (unsigned k = 0; k < bits; ++k) {
            const double x = std::isnan(llr[k]) ? 0.0 : static_cast<double>(llr[k]);
            probability[label] /= 1.0 + std::exp((label >> (bits - 1 - k)) & 1 ? -x : x);
        }
    Expected result;
    for (std::size_t label = 0; label < points.size(); ++label)
        result.symbol += probability[label] * points[label];
    for (std::size_t label = 0; label < points.size(); ++label)
        result.variance += probability[label] * std::norm(points[label] - result.symbol);
    return result;
}

class SoftMap : public testing::TestWithParam<std::tuple<std::string, Case>>
{
protected:
    void SetUp() override { use_simd_target(std::get<0>(GetParam())); }
    void TearDown() override { use_simd_target(simd_targets().front()); }
    const Points& points() const { return std::get<1>(GetParam()).points; }
};

TEST_P(SoftMap, EqualsDefinitionAtAnyLengthAndAddress)
{
    const SoftMapper mapper(points());
    const std::size_t m = mapper.bits_per_symbol(), longest = points().size() > 1000 ? 17 : 65;
    std::mt19937 random(3);
    std::normal_distribution<float> normal;
    std::vector<float> llr(longest * m);
    std::size_t nan = 0;
    for (std::size_t i = 0; i < llr.size(); ++i) {
        const float scale[] = {1e-3f, 1.0f, 5.0f, 40.0f, 1e4f};
        llr[i] = scale[random() % 5] * normal(random);
        const float special[] = {infinity, -infinity, 0.0f, -0.0f, 1e38f, not_a_number};
        if (i % 11 == 5)
            llr[i] = special[random() % 6];
        nan += std::isnan(llr[i]);
    }
    for (std::size_t n = 0; n <= longest; n += points().size() > 1000 ? longest : 1) {
        std::vector<float> input(n * m + 1), symbols(2 * n + 2, 12345.0f), variance(n + 2, 12345.0f);
        std::copy_n(llr.begin(), n * m, input.begin() + 1);
        const auto counted =
            mapper.map(input.data() + 1, n, reinterpret_cast<std::complex<float>*>(symbols.data() + 1),
                       n % 3 ? variance.data() + 1 : nullptr);
        EXPECT_TRUE(n < longest || counted == nan);
        ASSERT_TRUE(symbols.front() == 12345.0f && symbols.back() == 12345.0f &&
                    variance.front() == 12345.0f && variance.back() == 12345.0f);
        for (std::size_t i = 0; i < n; ++i) {
            const auto expected = by_definition(points(), llr.data() + i * m);
            ASSERT_NEAR(symbols[1 + 2 * i], expected.symbol.real(), 1e-6) << i << " of " << n;
            ASSERT_NEAR(symbols[2 + 2 * i], expected.symbol.imag(), 1e-6) << i << " of " << n;
            if (n % 3) {
                ASSERT_NEAR(variance[1 + i], expected.variance, 1e-5 * expected.variance + 1e-30);
            }
        }
    }
}

TEST_P(SoftMap, CertainBitsGiveThePoint)
{
    const SoftMapper mapper(points());
    const std::size_t m = mapper.bits_per_symbol();
    std::vector<float> llr;
    for (std::size_t label = 0; label < points().size(); ++label)
        for (std::size_t k = 0; k < m; ++k)
            llr.push_back((label >> (m - 1 - k)) & 1 ? infinity : -infinity);
    std::vector<std::complex<float>> symbols(points().size());
    std::vector<float> variance(points().size());
    EXPECT_EQ(mapper.map(llr.data(), symbols.size(), symbols.data(), variance.data()), 0u);
    for (std::size_t label = 0; label < points().size(); ++label) {
        ASSERT_EQ(symbols[label], std::complex<float>(points()[label])) << label;
        ASSERT_LT(variance[label], 1e-30f) << label;
    }
}

std::string name_of(const testing::TestParamInfo<SoftMap::ParamType>& info)
{
    return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, SoftMap,
                         testing::Combine(testing::ValuesIn(simd_targets()), testing::ValuesIn(cases())),
                         name_of);

TEST(SoftMapper, BpskIsTheHyperbolicTangent)
{
    const SoftMapper mapper(Points{1.0, -1.0});
    const float llr[] = {0.0f, 2.0f, -2.0f};
    std::complex<float> symbols[3];
    float variance[3];
    mapper.map(llr, 3, symbols, variance);
    const float t = std::tanh(1.0f);
    EXPECT_FLOAT_EQ(symbols[0].real(), 0.0f);
    EXPECT_FLOAT_EQ(symbols[1].real(), -t);
    EXPECT_FLOAT_EQ(symbols[2].real(), t);
    EXPECT_FLOAT_EQ(variance[0], 1.0f);
    EXPECT_NEAR(variance[1], 1.0f - t * t, 1e-6f);
}

TEST(SoftMapper, RefusesWhatIsNoConstellation)
{
    EXPECT_THROW(SoftMapper(Points{1.0, 2.0, 3.0}), std::invalid_argument);
    EXPECT_THROW(SoftMapper(Points{1.0, std::nan("")}), std::invalid_argument);
}

} // namespace
} // namespace softmod
