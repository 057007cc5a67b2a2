// SPDX-License-Identifier: GPL-3.0-or-later
#include "spectral_line.h"

#include <algorithm>
#include <cmath>

namespace softmod
{

namespace
{

constexpr std::ptrdiff_t AROUND = 128, STEP = 32; // bins
constexpr double QUIETEST = 1e-3; // of the mean of all bins: below, it is rounding that makes the spectrum

// What the mean of `count` exponential variables of mean 1 exceeds with this probability: the tail of the
// gamma distribution, P(mean > t) = exp(-count t) sum_(k < count) (count t)^k / k!, by bisection.
double threshold(double probability, unsigned spectra)
{
    const unsigned count = std::min(spectra, 256u); // beyond, the first term would vanish
    const auto tail = [count](double t) {
        const double x = count * t;
        double term = std::exp(-x), sum = term;
        for (unsigned k = 1; k < count; ++k)
            sum += term *= x / k;
        return sum;
    };
    double low = 1, high = 1;
    while (tail(high) > probability)
        high *= 2;
    for (int k = 0; k < 50; ++k)
        (tail((low + high) / 2) > probability ? low : high) = (low + high) / 2;
    return high;
}

} // namespace

void LineSearch::add(const std::vector<std::complex<float>>& spectrum)
{
    for (std::size_t k = 0; k < d_power.size(); ++k)
        d_power[k] += std::norm(spectrum[k]);
    ++d_spectra;
}

double LineSearch::at(std::ptrdiff_t bin) const
{
    const auto n = static_cast<std::ptrdiff_t>(d_power.size());
    return d_power[static_cast<std::size_t>((bin % n + n) % n)];
}

double LineSearch::background(std::ptrdiff_t bin) const
{
    std::vector<double> around;
    for (auto k = bin - AROUND; k <= bin + AROUND; ++k)
        around.push_back(at(k));
    const auto middle = around.begin() + AROUND;
    std::nth_element(around.begin(), middle, around.end());
    // Median over mean of a gamma variable. Source: E. Wilson, M. Hilferty, "The distribution of chi-square",
    // 1931.
    return *middle / std::pow(1 - 1 / (9.0 * d_spectra), 3);
}

SpectralLine LineSearch::strongest(double first, double last, double false_alarm, double least) const
{
    SpectralLine line;
    const auto from = std::lround(std::ceil(first)), to = std::lround(std::floor(last));
    double total = 0;
    for (const double power : d_power)
        total += power;
    const double quietest = std::max(QUIETEST * total / static_cast<double>(d_power.size()), least);
    std::ptrdiff_t best = from;
    for (auto bin = from; bin <= to && total > 0; bin += STEP) {
        const double around = std::max(background(bin + STEP / 2), quietest);
        for (auto k = bin; k < bin + STEP && k <= to; ++k)
            if (at(k) > line.power * around)
                line.power = at(k) / around, best = k;
    }
    if (!(line.power > 0))
        return line;
    const double before = std::sqrt(at(best - 1)), peak = std::sqrt(at(best)),
                 after = std::sqrt(at(best + 1));
    const double curvature = before - 2 * peak + after;
    const double offset = curvature < 0 ? std::clamp(0.5 * (before - after) / curvature, -0.5, 0.5) : 0;
    line.bin = static_cast<double>(best) + offset;
    line.clear = line.power > threshold(false_alarm / static_cast<double>(to - from + 1), d_spectra);
    return line;
}

double LineSearch::fraction(const std::vector<std::complex<float>>& spectrum, std::size_t peak)
{
    const auto n = spectrum.size();
    const std::complex<double> before(spectrum[(peak + n - 1) % n]), at(spectrum[peak]),
        after(spectrum[(peak + 1) % n]);
    const auto curvature = 2.0 * at - before - after;
    return curvature == 0.0 ? 0 : std::clamp(std::real((before - after) / curvature), -0.6, 0.6);
}

} // namespace softmod
