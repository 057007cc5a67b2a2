// SPDX-License-Identifier: GPL-3.0-or-later
#include "phase_statistic.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace softmod
{

namespace
{

constexpr double PI = 3.14159265358979323846;
constexpr unsigned LARGEST_ORDER = 64;
constexpr std::size_t BINS = 96;
constexpr float BINS_PER_UNIT = 32.0f; // amplitudes up to 3
constexpr double USEFUL_COHERENCE = 0.02;
using Points = std::vector<std::complex<float>>;
using Weights = std::vector<std::complex<double>>;

std::size_t bin_of(float amplitude)
{
    return std::min(BINS - 1, static_cast<std::size_t>(amplitude * BINS_PER_UNIT));
}

// Tabulated points (APSK) are symmetric to within their digits only, hence the tolerance.
bool turns_onto_itself(const Points& points, unsigned turns, float tolerance)
{
    const auto turn = std::polar(1.0f, static_cast<float>(2 * PI / turns));
    return std::all_of(points.begin(), points.end(), [&](const auto& point) {
        const auto turned = point * turn;
        return std::any_of(points.begin(), points.end(),
                           [&](const auto& other) { return std::norm(other - turned) < tolerance; });
    });
}

float smallest_distance_squared(const Points& points)
{
    float smallest = 4.0f;
    for (std::size_t a = 0; a < points.size(); ++a)
        for (std::size_t b = 0; b < a; ++b)
            smallest = std::min(smallest, std::norm(points[a] - points[b]));
    return smallest;
}

// The noisy symbols that the weights are averaged over: each point with noise in the middle of equally
// probable rings of its Gaussian, at evenly spaced angles; enough of them that each amplitude sees many.
Points with_noise(const Points& points, float noise_var)
{
    const auto rings = static_cast<unsigned>(std::max(4.0, std::sqrt(20000.0 / points.size())));
    const unsigned angles = 3 * rings + 1;
    Points noisy;
    noisy.reserve(points.size() * rings * angles);
    for (unsigned ring = 0; ring < rings; ++ring) {
        const float radius = std::sqrt(-noise_var * std::log(1.0f - (ring + 0.5f) / rings));
        for (unsigned angle = 0; angle < angles; ++angle) {
            const auto noise =
                std::polar(radius, static_cast<float>(2 * PI * (angle + 0.31 * ring) / angles));
            for (const auto& point : points)
                noisy.push_back(point + noise);
        }
    }
    return noisy;
}

// Fills the weights of one power and returns its coherence, the sum over amplitudes of P(amplitude)
// |weight|^2.
double weigh(const Points& symbols, unsigned order, Weights& weights)
{
    weights.assign(BINS, 0);
    std::vector<double> count(BINS);
    for (const auto& y : symbols) {
        const std::size_t bin = bin_of(std::abs(y));
        weights[bin] += std::polar(1.0, -static_cast<double>(order) * std::arg(y));
        count[bin] += 1;
    }
    double coherence = 0;
    for (std::size_t bin = 0; bin < BINS; ++bin) {
        if (count[bin] > 0)
            weights[bin] /= count[bin];
        coherence += std::norm(weights[bin]) * count[bin] / symbols.size();
    }
    return coherence;
}

} // namespace

unsigned symmetry_of(const Points& points)
{
    const float closest = smallest_distance_squared(points);
    unsigned symmetry = 1;
    for (const unsigned turns : {2u, 3u, 4u, 5u, 6u, 8u, 12u, 16u, 24u, 32u, 48u, 64u})
        if (turns <= points.size() && turns_onto_itself(points, turns, closest / 100))
            symmetry = turns;
    return symmetry;
}

PhaseStatistic::PhaseStatistic(const Points& points) : d_symmetry(symmetry_of(points))
{
    const float closest = smallest_distance_squared(points);
    d_noise_var = closest / 6;
    const Points symbols = with_noise(points, d_noise_var);
    // A higher power must be clearly better: it shrinks the range of frequencies that can be told apart.
    Weights weights;
    double best = 0;
    for (unsigned order = d_symmetry; order <= LARGEST_ORDER; order += d_symmetry) {
        const double coherence = weigh(symbols, order, weights);
        if (coherence > 2 * best) {
            best = coherence;
            d_order = order;
            d_coherence = static_cast<float>(coherence);
            d_weights.assign(weights.begin(), weights.end());
        }
    }
    if (best < USEFUL_COHERENCE)
        throw std::invalid_argument(
            "no power of these points up to 64 has a mean, so their carrier phase cannot be found");
}

std::complex<float> PhaseStatistic::operator()(std::complex<float> y) const
{
    const float amplitude = std::abs(y);
    if (amplitude == 0)
        return 0;
    std::complex<float> base = y / amplitude, power = d_weights[bin_of(amplitude)];
    for (unsigned exponent = d_order; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            power *= base;
    return power;
}

} // namespace softmod
