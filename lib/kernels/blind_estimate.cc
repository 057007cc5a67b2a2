// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_estimate.h"

#include "burst_gate.h"
#include "fft.h"
#include "signal_band.h"
#include "spectral_line.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{

namespace
{

using Complex = std::complex<float>;
using Block = std::vector<Complex>;

constexpr double PI = 3.14159265358979323846;
constexpr std::size_t GROUPS = 2048,
                      SMALLEST_GROUP = 16;        // bins of the coarse spectrum, and of the fine in one
constexpr double RATE_FROM = 0.65, RATE_TO = 1.4; // of the half-power bandwidth
constexpr double BAND = 1.1;                      // of the half-power bandwidth, on either side
constexpr double LOWEST_NOISE = 1e-4;             // of the level: whitening goes no further
constexpr double LEAST_OVERLAP = 0.02;            // of the band with itself, shifted by the rate
constexpr double FEWEST_SYMBOLS = 256;            // in a block
constexpr float HIGHEST_TONE = 4;                 // of the root of the power density beside it
constexpr double RATE_FALSE_ALARM = 1e-5, CARRIER_FALSE_ALARM = 1e-6;
constexpr double CENTER_ERROR = 0.06, REACH = 0.4; // of the symbol rate: of the centre; of a power's line

double decibel(double ratio)
{
    return ratio > 0 ? 10 * std::log10(ratio) : 0;
}

bool is_finite(const Complex& sample)
{
    return std::isfinite(sample.real()) && std::isfinite(sample.imag());
}

double root_mean_square(const Complex* samples, std::size_t n)
{
    double sum = 0;
    for (std::size_t k = 0; k < n; ++k)
        if (is_finite(samples[k]))
            sum += std::norm(std::complex<double>(samples[k]));
    return std::sqrt(sum / static_cast<double>(n));
}

// At about unit power: what follows takes fourth powers of sums.
Block finite(const Complex* samples, std::size_t n, double level)
{
    Block x(n);
    for (std::size_t k = 0; k < n; ++k)
        if (is_finite(samples[k]))
            x[k] = Complex(std::complex<double>(samples[k]) / level);
    return x;
}

double wrapped(double frequency)
{
    return frequency - std::round(frequency);
}

void inverse_fft(Block& x) // but for the factor
{
    fft(x);
    std::reverse(x.begin() + 1, x.end());
}

double median(std::vector<double>& values)
{
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Power density by group of bins: medians, so that tones count for nothing.
std::vector<double> density(const std::vector<Block>& spectra, std::size_t group)
{
    std::vector<double> result(spectra[0].size() / group);
    std::vector<double> powers(group);
    for (const auto& spectrum : spectra)
        for (std::size_t g = 0; g < result.size(); ++g) {
            for (std::size_t k = 0; k < group; ++k)
                powers[k] = std::norm(spectrum[g * group + k]);
            result[g] += median(powers) / std::log(2.0) / static_cast<double>(spectra.size());
        }
    return result;
}

// The spectra around their signal, which is moved to bin 0.
struct Centred {
    std::vector<Block> spectra;
    std::vector<double> total, signal; // power density of each bin
    std::ptrdiff_t moved;              // bins
    double noise;
};

Centred centred(const std::vector<Block>& spectra, const std::vector<double>& coarse, const SignalBand& band)
{
    const std::size_t length = spectra[0].size(), group = length / coarse.size();
    const auto bins = static_cast<std::ptrdiff_t>(length);
    const double half_group = 0.5 * static_cast<double>(group) - 0.5;
    Centred c{std::vector<Block>(spectra.size(), Block(length)), std::vector<double>(length),
              std::vector<double>(length), std::lround(band.center * static_cast<double>(group) + half_group),
              std::max(band.noise, LOWEST_NOISE * band.level)};
    const double furthest = std::min(BAND * band.width * static_cast<double>(group), 0.5 * length);
    for (std::ptrdiff_t k = 0; k < bins; ++k) {
        const auto from = static_cast<std::size_t>(((k + c.moved) % bins + bins) % bins);
        const double at = (static_cast<double>(from) - half_group) / static_cast<double>(group);
        const double below = std::floor(at), part = at - below;
        const auto g = static_cast<std::size_t>(below + static_cast<double>(coarse.size())) % coarse.size();
        const double p = (1 - part) * coarse[g] + part * coarse[(g + 1) % coarse.size()];
        const auto i = static_cast<std::size_t>(k);
        c.total[i] = std::max(p, c.noise);
        c.signal[i] = static_cast<double>(std::min(k, bins - k)) < furthest ? c.total[i] - c.noise : 0;
        for (std::size_t b = 0; b < spectra.size(); ++b) {
            const Complex value = spectra[b][from];
            const float most = HIGHEST_TONE * static_cast<float>(std::sqrt(c.total[i])),
                        size = std::abs(value);
            c.spectra[b][i] = size > most ? value * (most / size) : value;
        }
    }
    return c;
}

// Samples from a weighted spectrum.
template <class Weight>
Block filtered(const Block& spectrum, Weight&& weight)
{
    Block x(spectrum.size());
    for (std::size_t k = 0; k < x.size(); ++k)
        x[k] = spectrum[k] * static_cast<float>(weight(k));
    inverse_fft(x);
    return x;
}

// The complex line of |x|^2 near bin `at`: its phase at sample 0 tells when symbols are.
struct Clock {
    double rate; // cycles a sample
    std::vector<double> phase;
};

// The line is searched in all blocks together, then placed in each.
SpectralLine find_clock(const Centred& c, double bandwidth, Clock& clock)
{
    const std::size_t length = c.total.size();
    LineSearch search(length);
    std::vector<Block> squares;
    for (const auto& spectrum : c.spectra) {
        Block x = filtered(spectrum, [&](std::size_t k) { return std::sqrt(c.signal[k]) / c.total[k]; });
        for (auto& sample : x)
            sample = std::norm(sample);
        fft(x);
        search.add(x);
        squares.push_back(std::move(x));
    }
    const double width = bandwidth * static_cast<double>(length);
    const double highest = std::min(RATE_TO * width, 0.999 * static_cast<double>(length));
    // Where hardly any two frequencies of the band lie so far apart, what is left of them is no noise any
    // more.
    double least = 0;
    for (std::size_t k = 0; k < length; ++k)
        least += std::pow(c.signal[k] / c.total[k], 2);
    least *= LEAST_OVERLAP * static_cast<double>(c.spectra.size()) * std::pow(static_cast<double>(length), 2);
    auto line =
        search.strongest(std::max(RATE_FROM * width, FEWEST_SYMBOLS), highest, RATE_FALSE_ALARM, least);
    // The spectrum of a real signal: fewer than two samples a symbol look like more.
    if (std::abs(static_cast<double>(length) - line.bin - width) < std::abs(line.bin - width))
        line.bin = static_cast<double>(length) - line.bin;
    const auto peak = static_cast<std::size_t>(std::lround(line.bin));
    double weights = 0, sum = 0;
    for (const auto& square : squares) {
        const double weight = std::norm(square[peak]);
        weights += weight;
        sum += weight * LineSearch::fraction(square, peak);
    }
    const double fraction = weights > 0 ? sum / weights : 0;
    clock.rate = (static_cast<double>(peak) + fraction) / static_cast<double>(length);
    clock.phase.clear();
    for (const auto& square : squares)
        clock.phase.push_back(std::arg(square[peak]) / (2 * PI) - 0.5 * fraction);
    return line;
}

// A cubic through the four samples around `at` (Lagrange).
Complex between(const Block& x, double at)
{
    const auto i = static_cast<std::size_t>(at);
    const auto t = static_cast<float>(at - static_cast<double>(i));
    const Complex a = x[i - 1], b = x[i], c = x[i + 1], d = x[i + 2];
    return a * (-t * (t - 1) * (t - 2) / 6) + b * ((t + 1) * (t - 1) * (t - 2) / 2) +
           c * (-(t + 1) * t * (t - 2) / 2) + d * ((t + 1) * t * (t - 1) / 6);
}

// One sample a symbol, of unit power.
std::vector<Block> sampled(const Centred& c, const Clock& clock)
{
    std::vector<Block> result;
    for (std::size_t b = 0; b < c.spectra.size(); ++b) {
        const Block x = filtered(c.spectra[b], [&](std::size_t k) { return std::sqrt(c.signal[k]); });
        Block taken;
        double power = 0;
        const double period = 1 / clock.rate;
        double at = (std::ceil(clock.phase[b]) - clock.phase[b]) * period;
        while (at < 2)
            at += period;
        const auto last = static_cast<double>(x.size()) - 3;
        for (std::size_t k = 0; at + static_cast<double>(k) * period < last; ++k) {
            taken.push_back(between(x, at + static_cast<double>(k) * period));
            power += std::norm(taken.back());
        }
        const auto scale = static_cast<float>(std::sqrt(static_cast<double>(taken.size()) / power));
        for (auto& symbol : taken)
            symbol *= scale;
        result.push_back(std::move(taken));
    }
    return result;
}

// The carrier's frequency off bin 0, in cycles a symbol; 0 without a line.
double find_carrier(std::vector<Block> powers, BlindEstimate& found)
{
    std::size_t length = 2;
    while (length < 2 * powers[0].size())
        length *= 2;
    for (const unsigned order : {2u, 4u, 8u}) {
        LineSearch search(length);
        for (auto& power : powers) {
            for (auto& value : power)
                value *= value;
            Block spectrum = power;
            spectrum.resize(length);
            fft(spectrum);
            search.add(spectrum);
        }
        const double reach = std::min(CENTER_ERROR * order, REACH) * static_cast<double>(length);
        const auto line = search.strongest(-reach, reach, CARRIER_FALSE_ALARM);
        if (line.clear) {
            found.carrier_order = order;
            found.carrier_quality_db = decibel(line.power);
            return line.bin / static_cast<double>(length) / order;
        }
    }
    return 0;
}

// A carrier that drifts has a line for a short time only: then that of the middle.
std::vector<Block> middle_quarter(std::vector<Block> symbols)
{
    Block& block = symbols[symbols.size() / 2];
    const auto quarter = static_cast<std::ptrdiff_t>(block.size() / 4), from = 3 * quarter / 2;
    return {Block(block.begin() + from, block.begin() + from + quarter)};
}

} // namespace

BlindEstimator::BlindEstimator(std::size_t length) : d_length(length)
{
    if (length < SHORTEST || length > (std::size_t(1) << 20) || (length & (length - 1)) != 0)
        throw std::invalid_argument("length is " + std::to_string(length) +
                                    "; it must be a power of two from 4096 to 1048576");
}

BlindEstimate BlindEstimator::estimate(const Complex* samples, std::size_t n,
                                       std::vector<Complex>* symbols) const
{
    if (n < SHORTEST)
        throw std::invalid_argument("there are " + std::to_string(n) +
                                    " samples; an estimate needs at least 4096");
    std::size_t length = d_length;
    while (length > n)
        length /= 2;
    std::vector<Block> spectra;
    BlindEstimate found;
    const double level = root_mean_square(samples, n);
    if (!(level > 0))
        return found;
    for (std::size_t at = 0; at + length <= n; at += length) {
        Block x = finite(samples + at, length, level);
        found.active += silence_between_bursts(x);
        fft(x);
        spectra.push_back(std::move(x));
    }
    found.active /= static_cast<double>(spectra.size());
    const std::size_t group = std::max(length / GROUPS, SMALLEST_GROUP);
    auto coarse = density(spectra, group);
    SignalBand band;
    if (!find_band(coarse, band))
        return found;
    found.bandwidth = band.width * static_cast<double>(group) / static_cast<double>(length);
    coarse = smoothed(coarse, static_cast<std::size_t>(band.width / 24));
    const Centred c = centred(spectra, coarse, band);
    spectra.clear();
    // Within a group the centre is known to a fraction; what is moved is whole bins.
    found.center =
        wrapped(((band.center + 0.5) * static_cast<double>(group) - 0.5) / static_cast<double>(length));
    const double moved = static_cast<double>(c.moved) / static_cast<double>(length);
    found.carrier = found.center;
    double power = 0;
    for (const double density : c.signal)
        power += density;
    found.snr_db = decibel(power / (c.noise * found.bandwidth * static_cast<double>(length)));

    Clock clock;
    const auto line = find_clock(c, found.bandwidth, clock);
    found.rate_quality_db = decibel(line.power);
    if (!line.clear)
        return found;
    found.symbol_rate = clock.rate;
    const auto taken = sampled(c, clock);
    if (symbols)
        for (const auto& block : taken)
            symbols->insert(symbols->end(), block.begin(), block.end());
    double carrier = find_carrier(taken, found);
    if (found.carrier_order == 0)
        carrier = find_carrier(middle_quarter(taken), found);
    if (found.carrier_order != 0)
        found.carrier = wrapped(moved + carrier * clock.rate);
    return found;
}

} // namespace softmod
