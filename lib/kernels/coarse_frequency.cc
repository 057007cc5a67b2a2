// SPDX-License-Identifier: GPL-3.0-or-later
#include "coarse_frequency.h"

#include "fft.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{

namespace
{

constexpr double PI = 3.14159265358979323846;
constexpr std::size_t BINS_PER_SYMBOL_RATE = 64, BLOCK_SYMBOLS = 512;
constexpr float AVERAGING = 0.25f; // share of the newest spectrum
constexpr double CLEAR = 1.3;      // power density in the signal's band over that beside it
constexpr double BESIDE = 0.25;    // cycles a symbol on either side of the signal that count as beside it
constexpr double FAR = 0.06;       // cycles a symbol: as far as a loop for 8-PSK may be off
constexpr double SPREAD = 0.03;    // cycles a symbol: an estimate of max_offset may be that much beyond it
constexpr unsigned GIVE_UP = 4;    // looks without a signal
constexpr unsigned JUMP = 2;       // looks that see it far away

const CoarseFrequencyConfig& checked(const CoarseFrequencyConfig& c)
{
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (c.samples_per_symbol != 2 && c.samples_per_symbol != 4 && c.samples_per_symbol != 8)
        fail("samples_per_symbol is " + std::to_string(c.samples_per_symbol) + "; it must be 2, 4 or 8");
    if (!(c.excess_bandwidth > 0 && c.excess_bandwidth <= 1))
        fail("excess_bandwidth is " + std::to_string(c.excess_bandwidth) +
             "; it must be above 0 and at most 1");
    if (!(c.symbol_rate > 0 && std::isfinite(c.symbol_rate)))
        fail("symbol_rate is " + std::to_string(c.symbol_rate) + "; it must be positive and finite");
    const double widest = (0.5 * c.samples_per_symbol - (1 + c.excess_bandwidth) / 2) * c.symbol_rate;
    if (!(c.max_offset > 0 && c.max_offset <= widest))
        fail("max_offset is " + std::to_string(c.max_offset) + "; it must be above 0 and at most " +
             std::to_string(widest) + ", where the signal's edge meets half the sample rate");
    if (!(c.slew >= 0 && std::isfinite(c.slew)))
        fail("slew is " + std::to_string(c.slew) + "; it must be 0 or positive and finite");
    return c;
}

} // namespace

CoarseFrequency::CoarseFrequency(const CoarseFrequencyConfig& config)
    : d_config(checked(config)), d_bins(BINS_PER_SYMBOL_RATE * config.samples_per_symbol),
      d_block(BLOCK_SYMBOLS * config.samples_per_symbol), d_window(d_bins)
{
    for (std::size_t k = 0; k < d_bins; ++k) // Hann
        d_window[k] = static_cast<float>(0.5 - 0.5 * std::cos(2 * PI * (k + 0.5) / d_bins));
    // The pulse's power spectrum, from -reach to reach bins: a raised cosine.
    const double alpha = config.excess_bandwidth;
    const auto reach = static_cast<std::ptrdiff_t>(BINS_PER_SYMBOL_RATE * (1 + alpha) / 2);
    for (std::ptrdiff_t bin = -reach; bin <= reach; ++bin) {
        const double beyond = std::abs(static_cast<double>(bin)) / BINS_PER_SYMBOL_RATE - (1 - alpha) / 2;
        d_shape.push_back(beyond <= 0 ? 1.0f : static_cast<float>(0.5 * (1 + std::cos(PI * beyond / alpha))));
    }
    d_samples.reserve(d_block);
}

void CoarseFrequency::process(const Complex* in, std::size_t n, std::vector<Complex>& out,
                              std::vector<Mark>& marks)
{
    while (n > 0) {
        const std::size_t part = std::min(n, d_block - d_samples.size());
        d_samples.insert(d_samples.end(), in, in + part);
        if (d_found)
            turn(in, part, out);
        in += part, n -= part;
        if (d_samples.size() == d_block) {
            look(out, marks);
            d_samples.clear();
        }
    }
}

void CoarseFrequency::look(std::vector<Complex>& out, std::vector<Mark>& marks)
{
    const std::vector<float> newest = spectrum();
    if (d_found)
        for (std::size_t k = 0; k < d_bins; ++k)
            d_average[k] += AVERAGING * (newest[k] - d_average[k]);
    else
        d_average = newest;

    const Estimate now = estimate(newest);
    d_unclear = now.clear ? 0 : d_unclear + 1;
    if (!d_found) {
        if (now.clear)
            d_found = true, d_far = 0, d_frequency = d_target = now.frequency;
        marks.push_back({d_put_out, frequency()});
        turn(d_samples.data(), d_samples.size(), out);
        return;
    }
    if (d_unclear == GIVE_UP) {
        d_found = false;
        d_target = d_frequency;
    } else if (now.clear) {
        const Estimate average = estimate(d_average);
        d_target = average.clear ? average.frequency : now.frequency;
        d_far = std::abs(now.frequency - d_frequency) > FAR ? d_far + 1 : 0;
        if (d_far == JUMP)
            d_far = 0, d_frequency = d_target = now.frequency, d_average = newest;
    }
    marks.push_back({d_put_out, frequency()});
}

std::vector<float> CoarseFrequency::spectrum() const
{
    std::vector<float> power(d_bins);
    std::vector<Complex> piece(d_bins);
    for (std::size_t start = 0; start + d_bins <= d_block; start += d_bins / 2) { // Welch's method
        for (std::size_t k = 0; k < d_bins; ++k)
            piece[k] = d_window[k] * d_samples[start + k];
        fft(piece);
        for (std::size_t k = 0; k < d_bins; ++k)
            power[k] += std::norm(piece[k]);
    }
    return power;
}

// The offset at which the pulse's spectrum covers the most power.
CoarseFrequency::Estimate CoarseFrequency::estimate(const std::vector<float>& spectrum) const
{
    const auto bins = static_cast<std::ptrdiff_t>(d_bins);
    const auto at = [&](std::ptrdiff_t bin) {
        return static_cast<double>(spectrum[(bin + 2 * bins) % bins]);
    };
    const auto reach = static_cast<std::ptrdiff_t>(d_shape.size() / 2);
    const auto covered = [&](std::ptrdiff_t offset) {
        double sum = 0;
        for (std::ptrdiff_t bin = -reach; bin <= reach; ++bin)
            sum += d_shape[bin + reach] * at(offset + bin);
        return sum;
    };
    const double range = d_config.max_offset / d_config.symbol_rate + SPREAD;
    const auto furthest = static_cast<std::ptrdiff_t>(std::ceil(range * BINS_PER_SYMBOL_RATE));
    std::ptrdiff_t best = -furthest;
    double most = covered(best);
    for (std::ptrdiff_t offset = best + 1; offset <= furthest; ++offset) {
        const double power = covered(offset);
        if (power > most)
            most = power, best = offset;
    }
    const double before = covered(best - 1), after = covered(best + 1), curvature = before - 2 * most + after;
    const double peak = static_cast<double>(best) + (curvature < 0 ? 0.5 * (before - after) / curvature : 0);

    double weight = 0;
    for (const float value : d_shape)
        weight += value;
    // The stronger of both sides: behind the edge of some filter there may be nothing at all.
    const auto width = static_cast<std::ptrdiff_t>(BESIDE * BINS_PER_SYMBOL_RATE);
    double lower = 0, upper = 0;
    for (std::ptrdiff_t bin = reach + 1; bin <= reach + width; ++bin)
        lower += at(best - bin), upper += at(best + bin);
    const double inside = most / weight, beside = std::max(lower, upper) / static_cast<double>(width);
    // At the end of the range it is not the signal's top that was found but the slope of something beyond.
    const bool top = std::abs(best) < furthest;
    return {peak / BINS_PER_SYMBOL_RATE, top && inside > 0 && inside > CLEAR * beside};
}

void CoarseFrequency::turn(const Complex* in, std::size_t n, std::vector<Complex>& out)
{
    const double rate = d_config.samples_per_symbol, step = d_config.slew / rate;
    for (std::size_t k = 0; k < n; ++k) {
        const double angle = -2 * PI * d_phase;
        const Complex by(static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle)));
        out.emplace_back(in[k].real() * by.real() - in[k].imag() * by.imag(),
                         in[k].real() * by.imag() + in[k].imag() * by.real());
        d_frequency += std::clamp(d_target - d_frequency, -step, step);
        d_phase += d_frequency / rate;
        d_phase -= std::round(d_phase);
    }
    d_put_out += n;
}

} // namespace softmod
