// SPDX-License-Identifier: GPL-3.0-or-later
#include "signal_band.h"

#include <algorithm>
#include <cmath>

namespace softmod
{

namespace
{

constexpr std::ptrdiff_t FIRST_LOOK = 8; // bins on either side of one, for a running median
constexpr double FLOOR_SHARE = 0.2;      // of the bins, the quietest that make the first noise floor
constexpr double OUTSTANDING = 1.5;      // of the strongest place over the floor
constexpr double CLEAR = 1.4;            // of the signal's middle over what is beside it
constexpr double NOTHING = 0.1;          // a side this much below the other lies behind a filter
constexpr double SMOOTHING = 1.0 / 24;   // of the width, for the edges
constexpr double GAP = 1.0 / 8;          // of the width, that may lie below half
constexpr double MIDDLE = 0.35;          // of the width on either side of the centre
constexpr double BESIDE_FROM = 0.75, BESIDE = 1.1; // of the width, from the centre: noise alone
constexpr double FEWEST_BINS = 12;

double median(std::vector<double> values)
{
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// A spectrum as a circle.
class Circle
{
public:
    explicit Circle(const std::vector<double>& values)
        : d_values(values), d_size(static_cast<std::ptrdiff_t>(values.size()))
    {
    }

    double at(std::ptrdiff_t bin) const
    {
        return d_values[static_cast<std::size_t>((bin % d_size + d_size) % d_size)];
    }

    std::vector<double> from(double first, double last) const
    {
        std::vector<double> part;
        for (auto bin = std::lround(first); bin <= std::lround(last); ++bin)
            part.push_back(at(bin));
        return part;
    }

    // How far from `middle` the values stay above `half`, but for gaps, in the direction of `step`.
    double reach(std::ptrdiff_t middle, int step, double half, double gap) const
    {
        std::ptrdiff_t last = 0;
        for (std::ptrdiff_t k = 1; k < d_size && static_cast<double>(k - last) <= gap + 1; ++k)
            if (at(middle + step * k) >= half)
                last = k;
        const double inside = at(middle + step * last), outside = at(middle + step * (last + 1));
        return static_cast<double>(last) + (inside > outside ? (inside - half) / (inside - outside) : 0);
    }

private:
    const std::vector<double>& d_values;
    const std::ptrdiff_t d_size;
};

double noise_beside(const Circle& spectrum, const SignalBand& band, double floor, double bins)
{
    if (2 * BESIDE * band.width + 2 > bins)
        return floor;
    const double from = BESIDE_FROM * band.width + 1, to = BESIDE * band.width + 1;
    const double lower = median(spectrum.from(band.center - to, band.center - from));
    const double upper = median(spectrum.from(band.center + from, band.center + to));
    const auto [less, more] = std::minmax(lower, upper);
    // A neighbour may stand on one side; behind the edge of some filter there may be nothing at all.
    return less < NOTHING * more && more < 0.5 * band.level ? more : less;
}

} // namespace

std::vector<double> smoothed(const std::vector<double>& spectrum, std::size_t width)
{
    const auto n = spectrum.size();
    const std::size_t half = std::min(width, n - 1) / 2;
    double sum = 0;
    for (std::size_t k = 0; k < 2 * half + 1; ++k)
        sum += spectrum[(n - half + k) % n];
    std::vector<double> result(n);
    for (std::size_t k = 0; k < n; ++k) {
        result[k] = std::max(sum, 0.0) / static_cast<double>(2 * half + 1);
        sum += spectrum[(k + half + 1) % n] - spectrum[(k + n - half) % n];
    }
    return result;
}

bool find_band(const std::vector<double>& spectrum, SignalBand& band)
{
    const auto bins = static_cast<double>(spectrum.size());
    const Circle raw(spectrum);
    std::vector<double> first; // tones are no part of it
    for (std::ptrdiff_t k = 0; k < static_cast<std::ptrdiff_t>(spectrum.size()); ++k)
        first.push_back(
            median(raw.from(static_cast<double>(k - FIRST_LOOK), static_cast<double>(k + FIRST_LOOK))));
    auto sorted = first;
    std::sort(sorted.begin(), sorted.end());
    const double floor = sorted[static_cast<std::size_t>(FLOOR_SHARE * bins)];
    const auto peak = std::max_element(first.begin(), first.end()) - first.begin();
    const double top = first[static_cast<std::size_t>(peak)];
    if (!(top > OUTSTANDING * floor))
        return false;

    auto middle = peak;
    double half = (top + floor) / 2, gap = 4;
    std::vector<double> look = first;
    for (int round = 0;; ++round) {
        const Circle circle(look);
        const double below = circle.reach(middle, -1, half, gap), above = circle.reach(middle, 1, half, gap);
        band.width = std::min(below + above, bins);
        band.center = static_cast<double>(middle) + (above - below) / 2;
        if (round == 2)
            break;
        band.level = median(raw.from(band.center - MIDDLE * band.width, band.center + MIDDLE * band.width));
        band.noise = noise_beside(raw, band, floor, bins);
        if (!(band.level > CLEAR * band.noise))
            return false;
        look = smoothed(spectrum, static_cast<std::size_t>(SMOOTHING * band.width));
        middle = std::lround(band.center);
        half = (band.level + band.noise) / 2;
        gap = std::max(2.0, GAP * band.width);
    }
    return band.width >= FEWEST_BINS;
}

} // namespace softmod
