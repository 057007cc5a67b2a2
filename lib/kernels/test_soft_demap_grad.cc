// SPDX-License-Identifier: GPL-3.0-or-later
// The plain gradient against finite differences in double precision, and every instruction set against the
// plain one.
#include "simd.h"
#include "soft_demap_grad.h"
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

using Floats = std::vector<float>;

struct Inputs {
    std::vector<std::complex<float>> y;
    Floats noise_var, priors, grad;
};

Inputs inputs(std::size_t n, unsigned bits, double noise_var, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    Inputs in;
    for (std::size_t i = 0; i < n; ++i) {
        in.y.emplace_back(normal(random), normal(random));
        in.noise_var.push_back(static_cast<float>(noise_var * (0.5 + std::fabs(normal(random)))));
    }
    for (std::size_t i = 0; i < n * bits; ++i) {
        in.priors.push_back(2.0f * normal(random));
        in.grad.push_back(normal(random));
    }
    return in;
}

struct Gradients {
    std::vector<std::complex<float>> y;
    Floats noise_var, priors;
    std::vector<std::complex<double>> points;
};

struct Options {
    bool noise_per_symbol, priors, points;
};

Gradients run(const SoftDemapGradient& gradient, const Inputs& in, const Options& options)
{
    const std::size_t n = in.y.size();
    Gradients out{std::vector<std::complex<float>>(n), Floats(n), Floats(n * gradient.bits_per_symbol()),
                  std::vector<std::complex<double>>(gradient.order())};
    EXPECT_TRUE(gradient.run(in.y.data(), n, in.noise_var.data(), options.noise_per_symbol,
                             options.priors ? in.priors.data() : nullptr, in.grad.data(),
                             {out.y.data(), out.noise_var.data(), out.priors.data(),
                              options.points ? out.points.data() : nullptr}));
    return out;
}

// The loss sum_k grad_k llr_k of one symbol, from the definition.
double loss(const Points& points, DemapMethod method, std::complex<double> y, double noise_var,
            const std::vector<double>& priors, const float* grad)
{
    const unsigned bits = static_cast<unsigned>(priors.size());
    double total = 0.0;
    for (unsigned k = 0; k < bits; ++k)
        for (unsigned b = 0; b < 2; ++b) {
            double best = -1e300, sum = 0.0;
            for (int pass = 0; pass < 2; ++pass)
                for (std::size_t i = 0; i < points.size(); ++i) {
                    if (((i >> (bits - 1 - k)) & 1) != b)
                        continue;
                    double metric = -std::norm(y - points[i]) / noise_var;
                    for (unsigned j = 0; j < bits; ++j)
                        metric += ((i >> (bits - 1 - j)) & 1) * priors[j];
                    if (pass == 0)
                        best = std::max(best, metric);
                    else
                        sum += std::exp(metric - best);
                }
            const double logarithm = method == DemapMethod::exact ? best + std::log(sum) : best;
            total += (b ? grad[k] : -grad[k]) * logarithm;
        }
    return total;
}

const std::vector<std::pair<std::string, Points>>& cases()
{
    static const std::vector<std::pair<std::string, Points>> all = {
        {"bpsk", {1.0, -1.0}},
        {"qpsk", square_qam(2)},
        {"qam16", square_qam(4)},
        {"qam16_mixed_bits", reorder_bits(square_qam(4), {1, 0, 2, 3})},
        {"qam64", square_qam(6)},
        {"qam1024", square_qam(10)},
        {"rectangle8", grid({-3, -1, 3, 1}, {-1, 1})},
        {"psk8", psk(3)},
        {"scattered64", scattered(6, 4)},
        {"qam16_off_centre", transformed(square_qam(4), 1.5, {0.2, -0.1})},
    };
    return all;
}

class SoftDemapGrad : public testing::TestWithParam<DemapMethod>
{
protected:
    void TearDown() override { use_simd_target(simd_targets().front()); }
};

TEST_P(SoftDemapGrad, PlainFormEqualsFiniteDifferences)
{
    use_simd_target("generic");
    const DemapMethod method = GetParam();
    for (const auto& [name, points] : cases()) {
        if (points.size() > 64)
            continue;
        const SoftDemapGradient gradient(points, method);
        const unsigned bits = gradient.bits_per_symbol();
        const auto in = inputs(3, bits, 0.4, 1);
        const auto got = run(gradient, in, {true, true, true});
        std::vector<std::complex<double>> to_points(points.size());
        for (std::size_t n = 0; n < in.y.size(); ++n) {
            std::vector<double> priors(in.priors.begin() + n * bits, in.priors.begin() + (n + 1) * bits);
            const float* grad = in.grad.data() + n * bits;
            std::complex<double> y = in.y[n];
            double noise_var = in.noise_var[n];
            Points moved = points;
            const auto slope = [&](auto set) {
                constexpr double h = 1e-6;
                set(h);
                const double up = loss(moved, method, y, noise_var, priors, grad);
                set(-2 * h);
                const double down = loss(moved, method, y, noise_var, priors, grad);
                set(h);
                return (up - down) / (2 * h);
            };
            const std::complex<double> j(0.0, 1.0);
            EXPECT_NEAR(got.y[n].real(), slope([&](double h) { y += h; }), 1e-4) << name;
            EXPECT_NEAR(got.y[n].imag(), slope([&](double h) { y += h * j; }), 1e-4) << name;
            EXPECT_NEAR(got.noise_var[n], slope([&](double h) { noise_var += h; }), 1e-3) << name;
            for (unsigned k = 0; k < bits; ++k)
                EXPECT_NEAR(got.priors[n * bits + k], slope([&](double h) { priors[k] += h; }), 1e-4) << name;
            for (std::size_t i = 0; i < points.size(); ++i)
                to_points[i] +=
                    slope([&](double h) { moved[i] += h; }) + j * slope([&](double h) { moved[i] += h * j; });
        }
        for (std::size_t i = 0; i < points.size(); ++i)
            EXPECT_LT(std::abs(got.points[i] - to_points[i]), 1e-4) << name;
    }
}

// Metrics are of the size of 1 / noise_var, and shares are as wrong as these by rounding.
template <typename A, typename B>
void expect_close(const std::vector<A>& got, const std::vector<B>& expected, double noise_var,
                  const std::string& what)
{
    double scale = 0.0, worst = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        scale = std::max<double>(scale, std::abs(expected[i]));
        worst = std::max<double>(worst, std::abs(got[i] - expected[i]));
    }
    EXPECT_LE(worst, (1e-4 + 1e-7 / noise_var) * scale) << what;
}

TEST_P(SoftDemapGrad, EveryTargetEqualsThePlainForm)
{
    for (const auto& [name, points] : cases()) {
        const SoftDemapGradient gradient(points, GetParam());
        for (const double noise_var : {1e-4, 0.05, 10.0})
            for (const std::size_t n : {1, 37, 600})
                for (const Options options :
                     {Options{false, false, false}, {true, true, false}, {true, false, true}}) {
                    const auto in = inputs(points.size() > 64 ? std::min<std::size_t>(n, 20) : n,
                                           gradient.bits_per_symbol(), noise_var, 2);
                    use_simd_target("generic");
                    const auto expected = run(gradient, in, options);
                    for (const auto& target : simd_targets()) {
                        use_simd_target(target);
                        const auto got = run(gradient, in, options);
                        const auto what = name + " " + target + " noise_var " + std::to_string(noise_var);
                        expect_close(got.y, expected.y, noise_var, what + " y");
                        expect_close(got.noise_var, expected.noise_var, noise_var, what + " noise_var");
                        expect_close(got.priors, expected.priors, noise_var, what + " priors");
                        expect_close(got.points, expected.points, noise_var, what + " points");
                    }
                }
    }
}

TEST_P(SoftDemapGrad, SaysWhereItCannot)
{
    const SoftDemapGradient gradient(square_qam(4), GetParam());
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const auto good = inputs(40, 4, 0.1, 3);
    std::vector<std::complex<float>> to_y(40);
    const auto works = [&](const Inputs& in) {
        return gradient.run(in.y.data(), 40, in.noise_var.data(), true, in.priors.data(), in.grad.data(),
                            {to_y.data()});
    };
    EXPECT_TRUE(works(good));
    for (const float bad : {infinity, -infinity, std::nanf(""), 1e16f}) {
        auto in = good;
        in.y[39] = {0.0f, bad};
        EXPECT_FALSE(works(in));
        in = good;
        in.priors[3] = bad;
        EXPECT_FALSE(works(in));
        in = good;
        in.grad[159] = bad;
        EXPECT_FALSE(works(in));
    }
    for (const float bad : {0.0f, -1.0f, 1e-16f, 1e16f, std::nanf("")}) {
        auto in = good;
        in.noise_var[20] = bad;
        EXPECT_FALSE(works(in));
    }
    EXPECT_THROW(SoftDemapGradient(Points(3)), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Methods, SoftDemapGrad, testing::Values(DemapMethod::exact, DemapMethod::maxlog),
                         [](const auto& info) {
                             return info.param == DemapMethod::exact ? "exact" : "maxlog";
                         });

} // namespace
} // namespace softmod
