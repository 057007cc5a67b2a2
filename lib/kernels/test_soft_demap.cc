// SPDX-License-Identifier: GPL-3.0-or-later
// Every constellation on every instruction set against a brute force over all points in double precision.
#include "simd.h"
#include "soft_demap.h"
#include "test_constellations.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace softmod
{
namespace
{

using Samples = std::vector<std::complex<float>>;
using Floats = std::vector<float>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float huge = std::numeric_limits<float>::max();
constexpr float denormal = std::numeric_limits<float>::denorm_min();

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
        {"bpsk_on_q", {{0.0, 1.0}, {0.0, -1.0}}},
        {"bpsk_turned", transformed({1.0, -1.0}, std::polar(1.0, 0.7), 0.0)},
        {"ook", {0.0, std::sqrt(2.0)}},
        {"pam4", pam(2, true, -3.0)},
        {"pam4_with_pilot", transformed(pam(2, true, -3.0), 1.0, {0.3, 0.9})},
        {"pam8_natural", pam(3, false, -7.0)},
        {"ask16", pam(4, true, 0.0)},
        {"pam32", pam(5, true, -31.0)},
        {"qpsk", square_qam(2)},
        {"qpsk_turned", transformed(square_qam(2), std::polar(1.0, 0.4), 0.0)},
        {"qpsk_q_first", reorder_bits(square_qam(2), {1, 0})},
        {"qam16", square_qam(4)},
        {"qam16_i_bits_first", reorder_bits(square_qam(4), {0, 2, 1, 3})},
        {"qam16_mixed_bits", reorder_bits(square_qam(4), {1, 0, 2, 3})},
        {"qam16_natural", grid({-3, -1, 1, 3}, {-3, -1, 1, 3})},
        {"qam16_off_centre", transformed(square_qam(4), 1.0, {0.2, -0.1})},
        {"qam16_uneven", grid({1.5, 0.3, -1.5, -0.3}, {-1.0, -0.4, 1.0, 0.4})},
        {"qam16_one_axis_folds", grid({3, 1, -3, -1}, {-3, -1, 1, 3})},
        {"rectangle8", grid({-3, -1, 3, 1}, {-1, 1})},
        {"rectangle32", grid({7, 5, 1, 3, -7, -5, -1, -3}, {3, 1, -3, -1})},
        {"qam64", square_qam(6)},
        {"qam64_i_bits_first", reorder_bits(square_qam(6), {0, 2, 4, 1, 3, 5})},
        {"qam64_mixed_bits", reorder_bits(square_qam(6), {5, 0, 2, 1, 4, 3})},
        {"qam256", square_qam(8)},
        {"qam256_natural_i_bits_first",
         transformed(grid({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                          {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}),
                     1.5, {-0.9, -0.8})},
        {"qam1024", square_qam(10)},
        {"qam4096", square_qam(12)},
        {"psk8", psk(3)},
        {"psk16", psk(4)},
        {"psk32", psk(5)},
        {"scattered4", scattered(2, 1)},
        {"scattered8", scattered(3, 2)},
        {"scattered16", scattered(4, 3)},
        {"scattered64", scattered(6, 4)},
        {"scattered128", scattered(7, 5)},
        {"scattered256", scattered(8, 6)},
        {"scattered512", scattered(9, 7)},
        {"two_at_one_place", {1.0, 1.0, -1.0, {0.0, 1.0}}},
        {"small", transformed(square_qam(4), 1e-5, 0.0)},
        {"large", transformed(psk(3), 1e5, 0.0)},
    };
    return all;
}

// ln of the sum of e^metric over the labels whose bit k is value; of its largest term for max-log.
double log_sum(const std::vector<double>& metric, unsigned shift, unsigned value, DemapMethod method)
{
    double best = -std::numeric_limits<double>::infinity(), sum = 0.0;
    for (std::size_t label = 0; label < metric.size(); ++label)
        if (((label >> shift) & 1) == value)
            best = std::max(best, metric[label]);
    if (method == DemapMethod::maxlog)
        return best;
    for (std::size_t label = 0; label < metric.size(); ++label)
        if (((label >> shift) & 1) == value)
            sum += std::exp(metric[label] - best);
    return best + std::log(sum);
}

// The LLRs of one symbol by their definition.
std::vector<double> brute_force(const Points& points, DemapMethod method, std::complex<double> y,
                                double noise_var, const float* priors)
{
    const auto bits = static_cast<unsigned>(std::lround(std::log2(points.size())));
    std::vector<double> metric, llr;
    for (std::size_t label = 0; label < points.size(); ++label) {
        metric.push_back(-std::norm(y - points[label]) / noise_var);
        for (unsigned k = 0; priors && k < bits; ++k)
            metric.back() += (label >> (bits - 1 - k)) & 1 ? static_cast<double>(priors[k]) : 0.0;
    }
    for (unsigned k = 0; k < bits; ++k)
        llr.push_back(log_sum(metric, bits - 1 - k, 1, method) - log_sum(metric, bits - 1 - k, 0, method));
    return llr;
}

// 1e-4 relative + 1e-5, and 4 ulp of the energy that decides over noise_var, for what rounding does next to a
// decision boundary at little noise: |y|^2, or where the nearest point lies farther out than y, that point's.
double tolerance(double expected, const Points& points, std::complex<float> y, double noise_var)
{
    const std::complex<double> sample(y);
    const auto closer = [&](auto a, auto b) { return std::norm(a - sample) < std::norm(b - sample); };
    const double energy =
        std::max(std::norm(sample), std::norm(*std::min_element(points.begin(), points.end(), closer)));
    return 1e-4 * std::abs(expected) + 1e-5 +
           4.0 * std::numeric_limits<float>::epsilon() * energy / noise_var;
}

double peak_of(const Points& points)
{
    double peak = 0.0;
    for (const auto& point : points)
        peak = std::max(peak, std::abs(point));
    return peak;
}

// Noisy points, places on and next to decision boundaries, the origin, far-out ones.
Samples samples_for(const Points& points, std::size_t n)
{
    std::mt19937 random(11);
    std::normal_distribution<double> normal;
    std::uniform_int_distribution<std::size_t> label(0, points.size() - 1);
    Samples samples;
    const double scale = peak_of(points);
    for (std::size_t i = 0; i < n; ++i) {
        const auto point = points[label(random)], other = points[label(random)];
        const std::complex<double> noise(normal(random), normal(random));
        const std::complex<double> kinds[] = {
            point,
            point + 0.1 * scale * noise,
            point + scale * noise,
            0.5 * (point + other),
            0.5 * (point + other) * (1.0 + 1e-6 * noise.real()),
            30.0 * scale * noise,
            1e-7 * scale * noise,
            0.0,
        };
        samples.emplace_back(kinds[i % std::size(kinds)]);
    }
    return samples;
}

Floats random_priors(std::size_t n)
{
    std::mt19937 random(13);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    Floats priors(n);
    for (auto& prior : priors)
        prior = normal(random);
    return priors;
}

class SoftDemap : public testing::TestWithParam<std::tuple<std::string, Case>>
{
protected:
    void SetUp() override { use_simd_target(std::get<0>(GetParam())); }
    void TearDown() override { use_simd_target(simd_targets().front()); }
    const Points& points() const { return std::get<1>(GetParam()).points; }
};

TEST_P(SoftDemap, EqualsBruteForce)
{
    // Fewer samples where the brute force has many points.
    const Samples y = samples_for(points(), points().size() > 512 ? 40 : 203);
    // Relative to the constellation's energy, which is 1 but for "small" and "large".
    const double energy = points().size() > 1 && (peak_of(points()) < 0.1 || peak_of(points()) > 10.0)
                              ? peak_of(points()) * peak_of(points())
                              : 1.0;
    for (const auto method : {DemapMethod::exact, DemapMethod::maxlog}) {
        const SoftDemapper demapper(points(), method);
        const std::size_t m = demapper.bits_per_symbol();
        const Floats priors = random_priors(y.size() * m);
        for (const bool per_symbol : {false, true})
            for (const float* prior : {static_cast<const float*>(nullptr), priors.data()})
                for (const double noise : {1e-6, 1e-2, 1.0, 1e3}) {
                    Floats noise_var(y.size(), static_cast<float>(noise * energy));
                    for (std::size_t i = 0; per_symbol && i < y.size(); ++i)
                        noise_var[i] *= 1.0f + 0.1f * static_cast<float>(i % 7);
                    Floats llr(y.size() * m);
                    const auto invalid =
                        per_symbol ? demapper.demap(y.data(), y.size(), noise_var.data(), llr.data(), prior)
                                   : demapper.demap(y.data(), y.size(), noise_var[0], llr.data(), prior);
                    ASSERT_EQ(invalid, 0u);
                    for (std::size_t i = 0; i < y.size(); ++i) {
                        const auto expected = brute_force(points(), method, y[i], noise_var[i],
                                                          prior ? prior + i * m : nullptr);
                        for (std::size_t k = 0; k < m; ++k)
                            ASSERT_NEAR(llr[i * m + k], expected[k],
                                        tolerance(expected[k], points(), y[i], noise_var[i]))
                                << "sample " << i << " = " << y[i] << ", bit " << k << ", noise_var "
                                << noise_var[i] << (method == DemapMethod::exact ? ", exact" : ", max-log")
                                << (prior ? ", with priors" : "");
                    }
                }
    }
}

// All lengths around the vector's, at addresses aligned to nothing, leave all other memory alone.
TEST_P(SoftDemap, AnyLengthAtAnyAddress)
{
    const SoftDemapper demapper(points(), DemapMethod::maxlog);
    const std::size_t m = demapper.bits_per_symbol(), longest = 65;
    const Samples y = samples_for(points(), longest + 1);
    const Floats noise_var(longest + 1, 0.5f), priors = random_priors((longest + 1) * m);
    for (const bool rich : {false, true}) {
        const auto demap = [&](std::size_t shift, std::size_t n, float* llr) {
            // One float off every power of two.
            Floats input(2 * n + 1);
            std::copy_n(reinterpret_cast<const float*>(y.data() + shift), 2 * n, input.data() + 1);
            const auto* samples = reinterpret_cast<const std::complex<float>*>(input.data() + 1);
            if (rich)
                demapper.demap(samples, n, noise_var.data() + shift, llr, priors.data() + shift * m);
            else
                demapper.demap(samples, n, 0.5f, llr);
        };
        Floats all(longest * m);
        demap(1, longest, all.data());
        for (std::size_t n = 0; n <= longest; ++n) {
            Floats llr(n * m + 2, 12345.0f);
            demap(1, n, llr.data() + 1);
            ASSERT_EQ(llr.front(), 12345.0f);
            ASSERT_EQ(llr.back(), 12345.0f) << n;
            ASSERT_TRUE(std::equal(llr.begin() + 1, llr.end() - 1, all.begin())) << n;
        }
    }
}

TEST_P(SoftDemap, AnyInputGivesFiniteLlrs)
{
    const float values[] = {0.0f,  -0.0f, denormal, -denormal, 1e-30f,    1.0f, -1e4f,        1e20f, huge,
                            -huge, 1e38f, infinity, 1e-38f,    -infinity, 1.0f, not_a_number, 0.5f};
    const float noises[] = {denormal, 1e-38f, 1e-30f, 1e-6f,    1.0f,        1e30f,
                            huge,     0.0f,   -1.0f,  infinity, not_a_number};
    for (const auto method : {DemapMethod::exact, DemapMethod::maxlog}) {
        const SoftDemapper demapper(points(), method);
        const std::size_t m = demapper.bits_per_symbol();
        Samples y;
        Floats noise_var, priors;
        std::size_t bad_without_priors = 0, bad_with_priors = 0;
        for (const float re : values)
            for (const float im : values)
                for (const float noise : noises) {
                    y.emplace_back(re, im);
                    noise_var.push_back(noise);
                    const bool bad =
                        !std::isfinite(re) || !std::isfinite(im) || !(noise > 0.0f) || noise == infinity;
                    bad_without_priors += bad;
                    bool nan = false;
                    for (std::size_t k = 0; k < m; ++k) {
                        priors.push_back(values[(y.size() + 5 * k) % std::size(values)]);
                        nan |= std::isnan(priors.back());
                    }
                    bad_with_priors += bad || nan;
                }
        for (const bool with_priors : {false, true}) {
            Floats llr(y.size() * m);
            const auto count = demapper.demap(y.data(), y.size(), noise_var.data(), llr.data(),
                                              with_priors ? priors.data() : nullptr);
            EXPECT_EQ(count, with_priors ? bad_with_priors : bad_without_priors);
            for (std::size_t i = 0; i < y.size(); ++i) {
                const bool bad = !std::isfinite(y[i].real()) || !std::isfinite(y[i].imag()) ||
                                 !(noise_var[i] > 0.0f) || noise_var[i] == infinity;
                for (std::size_t k = 0; k < m; ++k) {
                    ASSERT_TRUE(std::isfinite(llr[i * m + k])) << y[i] << " at noise_var " << noise_var[i];
                    ASSERT_TRUE(!bad || llr[i * m + k] == 0.0f) << y[i] << " at noise_var " << noise_var[i];
                }
            }
            std::vector<std::int8_t> llr8(y.size() * m);
            demapper.demap_int8(y.data(), y.size(), noise_var.data(), 8.0f, llr8.data(),
                                with_priors ? priors.data() : nullptr);
            for (std::size_t i = 0; i < llr.size(); ++i)
                ASSERT_EQ(llr8[i], std::nearbyint(std::clamp(llr[i] * 8.0f, -127.0f, 127.0f)));
        }
        EXPECT_EQ(demapper.demap(y.data(), y.size(), -1.0f, Floats(y.size() * m).data()), y.size());
    }
}

// One bad sample costs its own bits alone, wherever in a vector or chunk it lies.
TEST_P(SoftDemap, BadSamplesLeaveOthersAlone)
{
    const SoftDemapper demapper(points(), DemapMethod::exact);
    const std::size_t m = demapper.bits_per_symbol(), n = 1100;
    Samples y = samples_for(points(), n);
    for (auto& sample : y) // tame enough that a safe copy changes nothing
        sample *= 0.1f;
    Floats clean(n * m), llr(n * m);
    demapper.demap(y.data(), n, Floats(n, 0.7f).data(), clean.data());
    const std::size_t bad[] = {0, 17, 511, 512, 1023, 1099};
    for (const auto i : bad)
        y[i] = {i % 2 ? 1.0f : not_a_number, i % 2 ? -infinity : 0.0f};
    EXPECT_EQ(demapper.demap(y.data(), n, 0.7f, llr.data()), std::size(bad));
    for (const auto i : bad)
        std::fill_n(clean.data() + i * m, m, 0.0f);
    for (std::size_t i = 0; i < n * m; ++i)
        ASSERT_NEAR(llr[i], clean[i], 1e-5 * std::abs(clean[i]) + 1e-5) << i;
}

TEST_P(SoftDemap, Int8IsTheRoundedFloat)
{
    const Samples y = samples_for(points(), 1000);
    for (const auto method : {DemapMethod::exact, DemapMethod::maxlog}) {
        const SoftDemapper demapper(points(), method);
        const std::size_t m = demapper.bits_per_symbol();
        Floats llr(y.size() * m);
        std::vector<std::int8_t> llr8(y.size() * m);
        for (const float noise_var : {1e-6f, 0.3f})
            for (const float scale : {1e-6f, 0.5f, 16.0f, 1e30f}) {
                demapper.demap(y.data(), y.size(), noise_var, llr.data());
                demapper.demap_int8(y.data(), y.size(), noise_var, scale, llr8.data());
                for (std::size_t i = 0; i < llr.size(); ++i)
                    ASSERT_EQ(llr8[i], std::nearbyint(std::clamp(llr[i] * scale, -127.0f, 127.0f)));
            }
    }
}

std::string name_of(const testing::TestParamInfo<SoftDemap::ParamType>& info)
{
    return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, SoftDemap,
                         testing::Combine(testing::ValuesIn(simd_targets()), testing::ValuesIn(cases())),
                         name_of);

// -------------------------------------------------------------------------------------------------------
// vectors

std::vector<std::complex<double>> complex_of(const nlohmann::json& pairs)
{
    std::vector<std::complex<double>> values;
    for (const auto& pair : pairs)
        values.emplace_back(pair[0].get<double>(), pair[1].get<double>());
    return values;
}

TEST(SoftDemapVectors, AllFilesOnAllTargets)
{
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(SOFTMOD_VECTORS)) {
        if (entry.path().extension() != ".json")
            continue;
        ++files;
        const auto vector = nlohmann::json::parse(std::ifstream(entry.path()));
        const Points points = complex_of(vector["points"]);
        const auto symbols = complex_of(vector["symbols"]);
        const Samples y(symbols.begin(), symbols.end());
        for (const auto& target : simd_targets()) {
            use_simd_target(target);
            for (const char* method : {"exact", "maxlog"}) {
                const SoftDemapper demapper(points, method == std::string("exact") ? DemapMethod::exact
                                                                                   : DemapMethod::maxlog);
                for (const auto& test : vector["cases"]) {
                    const auto expected = test[method].get<std::vector<double>>();
                    const Floats priors = test["priors"].is_null() ? Floats{} : test["priors"].get<Floats>();
                    const bool per_symbol = test["noise_var"].is_array();
                    const Floats noise_var = per_symbol ? test["noise_var"].get<Floats>()
                                                        : Floats(y.size(), test["noise_var"].get<float>());
                    const float* prior = priors.empty() ? nullptr : priors.data();
                    Floats llr(expected.size());
                    if (per_symbol)
                        demapper.demap(y.data(), y.size(), noise_var.data(), llr.data(), prior);
                    else
                        demapper.demap(y.data(), y.size(), noise_var[0], llr.data(), prior);
                    for (std::size_t i = 0; i < llr.size(); ++i) {
                        const auto symbol = i / demapper.bits_per_symbol();
                        ASSERT_NEAR(llr[i], expected[i],
                                    tolerance(expected[i], points, y[symbol], noise_var[symbol]))
                            << entry.path() << ", " << target << ", " << method << ", LLR " << i << ", case "
                            << test["noise_var"];
                    }
                }
            }
        }
    }
    use_simd_target(simd_targets().front());
    EXPECT_GT(files, 20u);
}

// ------------------------------------------------------------------------------------------- closed forms,
// errors

TEST(SoftDemapper, BpskHasItsClosedForm)
{
    const SoftDemapper demapper(Points{1.0, -1.0});
    const Samples y = samples_for({1.0, -1.0}, 100);
    Floats llr(y.size());
    demapper.demap(y.data(), y.size(), 0.25f, llr.data());
    for (std::size_t i = 0; i < y.size(); ++i)
        ASSERT_FLOAT_EQ(llr[i], -16.0f * y[i].real());
}

// A certain prior (+-inf) decides its own bit and leaves the others the precision they have without it.
TEST(SoftDemapper, StrongPriorsKeepThePrecisionOfOtherBits)
{
    const Points points = square_qam(4);
    for (const auto& target : simd_targets()) {
        use_simd_target(target);
        const SoftDemapper demapper(points);
        const std::complex<float> y(0.11f, -0.37f);
        const float priors[] = {infinity, 0.0f, 0.0f, -1e20f};
        float llr[4];
        demapper.demap(&y, 1, 0.1f, llr, priors);
        EXPECT_GE(llr[0], 1e30f);
        EXPECT_LE(llr[3], -0.99e20f);
        // What is left of I is the pair of levels with bit 0 = 1; of Q that with bit 3 = 0.
        const auto level = [&](unsigned label) { return points[label]; };
        const double i1 = level(0b1010).real(), i0 = level(0b1000).real();
        EXPECT_NEAR(llr[2], (2 * y.real() * (i1 - i0) - i1 * i1 + i0 * i0) / 0.1, 1e-4);
        const double q1 = level(0b0100).imag(), q0 = level(0b0000).imag();
        EXPECT_NEAR(llr[1], (2 * y.imag() * (q1 - q0) - q1 * q1 + q0 * q0) / 0.1, 1e-4);
    }
    use_simd_target(simd_targets().front());
}

TEST(SoftDemapper, KnowsWhatIsSeparable)
{
    EXPECT_TRUE(SoftDemapper(square_qam(6)).separable());
    EXPECT_TRUE(SoftDemapper(pam(3, true, -7.0)).separable());
    EXPECT_TRUE(SoftDemapper(grid({-3, -1, 3, 1}, {-1, 1})).separable());
    EXPECT_FALSE(SoftDemapper(psk(3)).separable());
    EXPECT_FALSE(SoftDemapper(transformed(square_qam(4), std::polar(1.0, 0.1), 0.0)).separable());
    const Points qam = square_qam(4);
    EXPECT_TRUE(SoftDemapper(Samples(qam.begin(), qam.end())).separable()) << "points rounded to float";
}

TEST(SoftDemapper, RefusesWhatIsNoConstellation)
{
    const auto error_of = [](const Points& points) -> std::string {
        try {
            SoftDemapper demapper(points);
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "accepted";
    };
    EXPECT_EQ(error_of({}), "a constellation has 2 to 65536 points, a power of two; got 0");
    EXPECT_EQ(error_of({1.0}), "a constellation has 2 to 65536 points, a power of two; got 1");
    EXPECT_EQ(error_of({1.0, 2.0, 3.0}), "a constellation has 2 to 65536 points, a power of two; got 3");
    EXPECT_EQ(error_of({1.0, std::nan("")}), "constellation point 1 is not finite");
    EXPECT_NE(error_of({0.0, 0.0}).find("must lie in 1e-6 to 1e6"), std::string::npos);
    EXPECT_NE(error_of({1e7, 0.0}).find("must lie in 1e-6 to 1e6"), std::string::npos);
}

TEST(Simd, ListsGenericLastAndRefusesOthers)
{
    EXPECT_EQ(simd_targets().back(), "generic");
    EXPECT_THROW(use_simd_target("mmx"), std::invalid_argument);
    for (const auto& target : simd_targets()) {
        use_simd_target(target);
        EXPECT_EQ(simd_target(), target);
    }
    use_simd_target(simd_targets().front());
}

} // namespace
} // namespace softmod
