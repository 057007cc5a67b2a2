// SPDX-License-Identifier: GPL-3.0-or-later
// Signals for tests of the receiver's kernels.
#pragma once

#include "test_constellations.h"

#include <cmath>
#include <complex>
#include <cstdint>
#include <random>
#include <vector>

namespace softmod
{

using Samples = std::vector<std::complex<float>>;

inline Samples to_float(const Points& points)
{
    return Samples(points.begin(), points.end());
}

inline Points random_symbols(const Points& points, std::size_t count, unsigned seed = 1)
{
    std::mt19937 random(seed);
    std::uniform_int_distribution<std::size_t> label(0, points.size() - 1);
    Points symbols(count);
    for (auto& symbol : symbols)
        symbol = points[label(random)];
    return symbols;
}

// Complex white noise is added and the carrier turns by `frequency` cycles a sample.
inline Samples received(const Points& clean, double noise_var, double frequency = 0, unsigned seed = 2)
{
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, std::sqrt(noise_var / 2));
    Samples samples;
    for (std::size_t k = 0; k < clean.size(); ++k) {
        const std::complex<double> n(noise(random), noise(random));
        samples.emplace_back(clean[k] * std::polar(1.0, 2 * M_PI * frequency * static_cast<double>(k)) + n);
    }
    return samples;
}

inline Samples noise_alone(std::size_t count, unsigned seed = 3)
{
    return received(Points(count), 1, 0, seed);
}

// Raised cosine (what a matched filter gives) or, with `root`, root raised cosine; t in symbols.
inline double pulse(double t, double roll_off, bool root)
{
    const double edge = root ? 4 * roll_off * t : 2 * roll_off * t;
    if (std::abs(t) < 1e-9 || std::abs(std::abs(edge) - 1) < 1e-6)
        t += 1e-5; // near enough to where numerator and denominator vanish
    if (root)
        return (std::sin(M_PI * t * (1 - roll_off)) +
                4 * roll_off * t * std::cos(M_PI * t * (1 + roll_off))) /
               (M_PI * t * (1 - std::pow(4 * roll_off * t, 2)));
    return std::sin(M_PI * t) / (M_PI * t) * std::cos(M_PI * roll_off * t) /
           (1 - std::pow(2 * roll_off * t, 2));
}

// Symbol k lies at sample first + k * period.
inline Points shaped(const Points& symbols, double period, double first, double roll_off, bool root)
{
    constexpr int span = 10;
    Points samples(static_cast<std::size_t>(static_cast<double>(symbols.size()) * period));
    for (std::size_t n = 0; n < samples.size(); ++n) {
        const double at = (static_cast<double>(n) - first) / period;
        const int nearest = static_cast<int>(std::floor(at));
        for (int k = nearest - span; k <= nearest + span; ++k)
            if (k >= 0 && k < static_cast<int>(symbols.size()))
                samples[n] += symbols[static_cast<std::size_t>(k)] * pulse(at - k, roll_off, root);
    }
    return samples;
}

// Calls `process(first, count)` for pieces of many lengths that together are [0, n).
template <class Process>
void in_pieces(std::size_t n, Process process)
{
    const std::size_t lengths[] = {1, 2, 7, 64, 1, 333, 1024, 3, 5000};
    for (std::size_t at = 0, k = 0; at < n; ++k) {
        const std::size_t length = std::min(lengths[k % std::size(lengths)], n - at);
        process(at, length);
        at += length;
    }
}

} // namespace softmod
