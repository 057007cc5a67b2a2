// SPDX-License-Identifier: GPL-3.0-or-later
#include "noise_estimator.h"

#include "unit_energy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr std::size_t fewest_symbols = 64, coarse_symbols = 512, first_symbols = 2048;
constexpr double db = 4.342944819032518;                   // 10 / ln 10
constexpr double lowest_r = -20 / db, highest_r = 90 / db; // beyond, float32 symbols cannot tell
constexpr int most_evaluations = 15,
              most_evaluations_of_many = 10; // the next estimate goes on from where one ends

// Throws before the likelihood is made of them.
std::vector<std::complex<float>> checked(const std::vector<std::complex<float>>& points)
{
    if (points.size() < 2)
        throw std::invalid_argument("the constellation has " + std::to_string(points.size()) +
                                    " points; at least 2 are needed");
    return unit_energy(points);
}

} // namespace

// ln(gain^2 + noise_var) and ln(gain^2 / noise_var), for symbols scaled to unit power.
struct NoiseEstimator::Parameters {
    double p, r;
};

NoiseEstimator::NoiseEstimator(const std::vector<std::complex<float>>& points, std::size_t max_symbols,
                               double accuracy_db)
    : d_likelihood(checked(points)), d_max_symbols(max_symbols), d_accuracy_db(accuracy_db)
{
    if (max_symbols < fewest_symbols)
        throw std::invalid_argument("max_symbols is " + std::to_string(max_symbols) +
                                    "; it must be at least " + std::to_string(fewest_symbols));
    if (!(accuracy_db >= 0) || !std::isfinite(accuracy_db))
        throw std::invalid_argument("accuracy_db is " + std::to_string(accuracy_db) +
                                    "; it must be 0 or more and finite");
}

std::size_t NoiseEstimator::push(const std::complex<float>* symbols, std::size_t n, std::size_t stride)
{
    std::size_t bad = 0;
    for (std::size_t i = 0; i < n; i += stride) {
        const float re = symbols[i].real(), im = symbols[i].imag();
        if (!std::isfinite(re) || !std::isfinite(im)) {
            ++bad;
            continue;
        }
        if (d_re.size() == 2 * d_max_symbols) {
            d_re.erase(d_re.begin(), d_re.begin() + d_max_symbols);
            d_im.erase(d_im.begin(), d_im.begin() + d_max_symbols);
        }
        d_re.push_back(re);
        d_im.push_back(im);
    }
    return bad;
}

MixtureLikelihood::Sums NoiseEstimator::evaluate(std::size_t n, double scale, const Parameters& at) const
{
    const std::size_t first = d_re.size() - n;
    return d_likelihood.evaluate(&d_re[first], &d_im[first], n, scale, at.p, at.r);
}

// Where to start: the best of a grid and of the estimate before.
NoiseEstimator::Parameters NoiseEstimator::coarse(std::size_t n, double scale) const
{
    Parameters best{0, d_before_r};
    double best_likelihood = evaluate(n, scale, best).log_likelihood;
    for (double esn0_db = -6; esn0_db <= 60; esn0_db += 3) {
        const Parameters at{0, esn0_db / db};
        const double likelihood = evaluate(n, scale, at).log_likelihood;
        if (likelihood > best_likelihood) {
            best_likelihood = likelihood;
            best = at;
        }
    }
    return best;
}

// The step of expectation maximisation. Short where signal and noise are hard to tell apart, but it always
// climbs.
NoiseEstimator::Parameters NoiseEstimator::em_step(std::size_t n, const Parameters& at,
                                                   const MixtureLikelihood::Sums& sums)
{
    const double snr = std::exp(at.r), signal_share = snr / (1 + snr);
    const double slope_ln_gain = 2 * (sums.slope_r + signal_share * sums.slope_p);
    const double slope_ln_noise = sums.slope_p / (1 + snr) - sums.slope_r;
    const double ln_noise = at.p - std::log1p(snr) + std::log(std::max(1 + slope_ln_noise / n, 1e-9));
    const double ln_gain = 0.5 * (at.p + std::log(signal_share)) + slope_ln_gain / (2 * n * snr);
    const double r = std::clamp(2 * ln_gain - ln_noise, lowest_r, highest_r);
    return {2 * ln_gain + std::log1p(std::exp(-r)), r};
}

// Climbs to the maximum over the n most recent symbols; returns the standard error of r there.
double NoiseEstimator::climb(std::size_t n, double scale, Parameters& at) const
{
    auto sums = evaluate(n, scale, at);
    const int most = n > 2 * first_symbols ? most_evaluations_of_many : most_evaluations;
    double stretch = 1;
    for (int evaluations = 1;;) {
        // A part in a million more on the diagonal keeps the inverse finite where the signal cannot be seen.
        const double pp = sums.square_pp + 1e-6 * n, rr = sums.square_rr + 1e-6 * n, pr = sums.square_pr;
        const double determinant = pp * rr - pr * pr, std_r = std::sqrt(pp / determinant);
        const double dp = (rr * sums.slope_p - pr * sums.slope_r) / determinant;
        const double dr = (pp * sums.slope_r - pr * sums.slope_p) / determinant;
        // Twice what the step would gain, were the likelihood a parabola: the step in standard errors,
        // squared.
        if (dp * sums.slope_p + dr * sums.slope_r < 0.01 || evaluations >= most)
            return std_r;
        const auto climbs_to = [&](const Parameters& next) {
            const auto next_sums = evaluate(n, scale, next);
            ++evaluations;
            if (!(next_sums.log_likelihood > sums.log_likelihood))
                return false;
            at = next;
            sums = next_sums;
            return true;
        };
        // Where the model does not fit (a wrong constellation), the information is overrated and steps are
        // too short: they stretch. No step is longer than a factor e; one that does not climb is too long.
        const double length = stretch / std::max({1.0, std::abs(stretch * dp), std::abs(stretch * dr)});
        const auto along = [&](double t) {
            return Parameters{at.p + t * dp, std::clamp(at.r + t * dr, lowest_r, highest_r)};
        };
        if (climbs_to(along(length)))
            stretch *= 1.5;
        else if (climbs_to(along(length / 4)) || climbs_to(em_step(n, at, sums)))
            stretch = 1;
        else
            return std_r;
    }
}

std::optional<NoiseEstimate> NoiseEstimator::estimate()
{
    const std::size_t available = std::min(d_re.size(), d_max_symbols);
    if (available < fewest_symbols)
        return std::nullopt;
    double power = 0;
    for (std::size_t i = d_re.size() - available; i < d_re.size(); ++i)
        power += double(d_re[i]) * d_re[i] + double(d_im[i]) * d_im[i];
    power /= available;
    const double scale = 1 / std::sqrt(power);
    if (!(power > 0) || !std::isnormal(static_cast<float>(scale)))
        return std::nullopt;

    const auto start = coarse(std::min(available, coarse_symbols), scale);
    auto at = start;
    const bool as_before = start.r == d_before_r;
    std::size_t n = std::min(available, as_before ? d_before_symbols : first_symbols);
    if (d_accuracy_db == 0)
        n = available;
    double std_db, wanted;
    for (;;) {
        std_db = db * climb(n, scale, at);
        wanted = 1.1 * n * (std_db / d_accuracy_db) * (std_db / d_accuracy_db);
        if (n == available || std_db <= d_accuracy_db)
            break;
        n = wanted < available ? std::max(static_cast<std::size_t>(wanted), n + 1) : available;
        // Few symbols of a dense constellation may lead to the side of the peak that many have.
        if (evaluate(n, scale, start).log_likelihood > evaluate(n, scale, at).log_likelihood)
            at = start;
    }
    d_before_r = at.r;
    d_before_symbols = static_cast<std::size_t>(std::clamp<double>(wanted, first_symbols, d_max_symbols));
    const double snr = std::exp(at.r), total = power * std::exp(at.p);
    return NoiseEstimate{total / (1 + snr), std::sqrt(total * snr / (1 + snr)), db * at.r, std_db, n};
}

} // namespace softmod
