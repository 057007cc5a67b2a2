// SPDX-License-Identifier: GPL-3.0-or-later
#include "equalizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace softmod
{
namespace
{

using Sample = std::complex<float>;

constexpr std::size_t max_taps = 1024, max_samples_per_symbol = 64;
constexpr float memory = 1.0f / 500.0f; // of the error's power, in symbols
constexpr float least_noise_var = 1e-6f;

bool finite(Sample sample)
{
    return std::isfinite(sample.real()) && std::isfinite(sample.imag());
}

float checked_step(float step)
{
    if (!(step > 0.0f && step <= 1.0f))
        throw std::invalid_argument("step is " + std::to_string(step) + "; it must be above 0 and at most 1");
    return step;
}

float checked_noise(float noise_var)
{
    if (!(std::isfinite(noise_var) && noise_var >= 0.0f))
        throw std::invalid_argument("noise_var is " + std::to_string(noise_var) +
                                    "; it must be positive and finite, or 0 to be estimated");
    return noise_var;
}

} // namespace

Equalizer::Equalizer(EqualizerConfig config) : d_config(std::move(config))
{
    if (d_config.taps < 1 || d_config.taps > max_taps)
        throw std::invalid_argument("the equaliser has " + std::to_string(d_config.taps) +
                                    " taps; 1 to 1024 are allowed");
    if (d_config.samples_per_symbol < 1 || d_config.samples_per_symbol > max_samples_per_symbol)
        throw std::invalid_argument("samples_per_symbol is " + std::to_string(d_config.samples_per_symbol) +
                                    "; 1 to 64 are allowed");
    checked_step(d_config.step);
    checked_noise(d_config.noise_var);
    set_points(d_config.points);
    reset();
}

void Equalizer::reset()
{
    d_taps.assign(d_config.taps, Sample{});
    d_taps[(d_config.taps - 1) / 2] = 1.0f;
    d_symbols = 0;
    d_error_power = 0.1f;
}

void Equalizer::set_points(std::vector<Sample> points)
{
    if (points.size() < 2 || !std::all_of(points.begin(), points.end(), finite))
        throw std::invalid_argument("a constellation has at least 2 points, all finite");
    double second = 0.0, fourth = 0.0;
    for (const auto& point : points) {
        second += static_cast<double>(std::norm(point));
        fourth += static_cast<double>(std::norm(point)) * static_cast<double>(std::norm(point));
    }
    if (!(second > 0.0))
        throw std::invalid_argument("the points have no energy");
    d_modulus = static_cast<float>(fourth / second);
    d_metric.resize(points.size());
    d_config.points = std::move(points);
}

void Equalizer::set_step(float step)
{
    d_config.step = checked_step(step);
}

void Equalizer::set_noise_var(float noise_var)
{
    d_config.noise_var = checked_noise(noise_var);
}

Sample Equalizer::filter(const Sample* x, float& energy) const
{
    float re = 0.0f, im = 0.0f, sum = 0.0f;
    for (std::size_t k = 0; k < d_taps.size(); ++k) {
        const float a = x[k].real(), b = x[k].imag(), c = d_taps[k].real(), d = d_taps[k].imag();
        re += a * c - b * d;
        im += a * d + b * c;
        sum += a * a + b * b;
    }
    energy = sum;
    return {re, im};
}

// By the method in use; measures the error's power on the way, for which it needs the posterior anyway.
Sample Equalizer::error_of(Sample y)
{
    const auto& points = d_config.points;
    float least = std::numeric_limits<float>::infinity();
    std::size_t nearest = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const float a = y.real() - points[i].real(), b = y.imag() - points[i].imag();
        d_metric[i] = a * a + b * b;
        if (d_metric[i] < least) {
            least = d_metric[i];
            nearest = i;
        }
    }
    const float noise =
        std::max(d_config.noise_var > 0.0f ? d_config.noise_var : d_error_power, least_noise_var);
    float sum = 0.0f, power = 0.0f, re = 0.0f, im = 0.0f;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const float exponent = (least - d_metric[i]) / noise;
        if (exponent < -20.0f)
            continue;
        const float weight = std::exp(exponent);
        sum += weight;
        power += weight * d_metric[i];
        re += weight * points[i].real();
        im += weight * points[i].imag();
    }
    d_error_power += memory * (power / sum - d_error_power);
    if (d_symbols < d_config.acquisition || d_config.method == EqualizerMethod::modulus)
        return y * (d_modulus - std::min(std::norm(y), 4.0f * d_modulus));
    if (d_config.method == EqualizerMethod::decision)
        return points[nearest] - y;
    return Sample{re / sum, im / sum} - y;
}

std::size_t Equalizer::process(const Sample* x, std::size_t n, Sample* y)
{
    if (n == 0)
        return 0;
    const std::size_t count = (n - 1) * d_config.samples_per_symbol + d_taps.size();
    const auto invalid =
        static_cast<std::size_t>(std::count_if(x, x + count, [](Sample s) { return !finite(s); }));
    if (invalid > 0) {
        d_clean.assign(x, x + count);
        std::replace_if(
            d_clean.begin(), d_clean.end(), [](Sample s) { return !finite(s); }, Sample{});
        x = d_clean.data();
    }
    for (std::size_t i = 0; i < n; ++i, x += d_config.samples_per_symbol) {
        float energy = 0.0f;
        y[i] = filter(x, energy);
        const Sample error = error_of(y[i]);
        d_symbols += d_symbols < d_config.acquisition;
        if (!d_adapting || !(energy > 1e-20f))
            continue;
        const Sample gain = error * (d_config.step / energy);
        for (std::size_t k = 0; k < d_taps.size(); ++k) {
            const float a = x[k].real(), b = x[k].imag();
            d_taps[k] += Sample{gain.real() * a + gain.imag() * b, gain.imag() * a - gain.real() * b};
        }
        if (!finite(d_taps.front()) || !finite(d_taps.back()))
            reset(); // absurd samples
    }
    return invalid;
}

} // namespace softmod
