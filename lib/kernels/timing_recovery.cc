// SPDX-License-Identifier: GPL-3.0-or-later
#include "timing_recovery.h"

#include "fft.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{

namespace
{

using Complex = std::complex<float>;

constexpr double PI = 3.14159265358979323846;
constexpr unsigned SPS = TimingRecovery::SAMPLES_PER_SYMBOL;
constexpr double DAMPING = 2; // the search has found the clock: the loop need not be quick to learn it
constexpr double FALSE_ALARM = 1e-4;
constexpr std::size_t HELD_WINDOWS = 2;
constexpr double ENOUGH_LINE = 40; // symbols times the mean of their line, over its variance, without noise
constexpr double AVERAGING = 1.0 / 256, LONG_AVERAGING = 1.0 / 2048;
constexpr double LOST_BELOW = 0.25; // of the usual contrast

// Windowed sinc of 8 taps, at 256 phases and a last one equal to the first of the next sample.
constexpr std::size_t TAPS = 8, PHASES = 256;
constexpr double CUTOFF = 0.9; // of half the sample rate; the signal ends at half of that

std::array<std::array<float, TAPS>, PHASES + 1> make_interpolator()
{
    std::array<std::array<float, TAPS>, PHASES + 1> bank;
    for (std::size_t phase = 0; phase <= PHASES; ++phase) {
        double sum = 0;
        std::array<double, TAPS> taps;
        for (std::size_t k = 0; k < TAPS; ++k) {
            const double t = static_cast<double>(k) - (TAPS / 2 - 1) - static_cast<double>(phase) / PHASES;
            const double x = PI * CUTOFF * t, w = PI * t / (TAPS / 2.0);
            taps[k] = (std::abs(x) < 1e-9 ? 1 : std::sin(x) / x) *
                      (std::abs(t) < TAPS / 2.0 ? 0.42 + 0.5 * std::cos(w) + 0.08 * std::cos(2 * w)
                                                : 0); // Blackman
            sum += taps[k];
        }
        for (std::size_t k = 0; k < TAPS; ++k)
            bank[phase][k] = static_cast<float>(taps[k] / sum);
    }
    return bank;
}

const auto INTERPOLATOR = make_interpolator();

unsigned acquisition_for(double excess_bandwidth)
{
    unsigned symbols = 256;
    while (symbols < 8192 && symbols * excess_bandwidth / 8 < ENOUGH_LINE)
        symbols *= 2;
    return symbols;
}

const TimingRecoveryConfig& checked(const TimingRecoveryConfig& c)
{
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (!(c.excess_bandwidth > 0 && c.excess_bandwidth <= 1))
        fail("excess_bandwidth is " + std::to_string(c.excess_bandwidth) +
             "; it must be above 0 and at most 1");
    if (!(c.largest_clock_error > 0 && c.largest_clock_error <= 0.05))
        fail("largest_clock_error is " + std::to_string(c.largest_clock_error) +
             "; it must be above 0 and at most 0.05");
    if (c.outputs_per_symbol != 1 && c.outputs_per_symbol != 2)
        fail("outputs_per_symbol is " + std::to_string(c.outputs_per_symbol) + "; it must be 1 or 2");
    if (c.acquisition &&
        (c.acquisition < 128 || c.acquisition > 16384 || (c.acquisition & (c.acquisition - 1))))
        fail("acquisition is " + std::to_string(c.acquisition) +
             "; it must be 0 or a power of two from 128 to 16384");
    return c;
}

} // namespace

TimingRecovery::TimingRecovery(const TimingRecoveryConfig& config)
    : d_config(checked(config)),
      d_acquisition(config.acquisition ? config.acquisition : acquisition_for(config.excess_bandwidth)),
      // Of Gardner's detector for a raised cosine of unit energy: U. Mengali, A. N. D'Andrea, section 8.4.
      d_slope(2 * std::sin(PI * config.excess_bandwidth / 2) /
              (1 - config.excess_bandwidth * config.excess_bandwidth / 4)),
      d_samples(2 * TAPS), d_next_search(d_acquisition * SPS)
{
    set_loop_bandwidth(config.loop_bandwidth);
    d_loop.instant = 2 * TAPS; // the silence before the first sample
    d_last = d_loop.instant - SPS;
}

void TimingRecovery::set_loop_bandwidth(double loop_bandwidth)
{
    if (!(loop_bandwidth > 0 && loop_bandwidth <= 0.1))
        throw std::invalid_argument("loop_bandwidth is " + std::to_string(loop_bandwidth) +
                                    "; it must be above 0 and at most 0.1");
    const double natural = loop_bandwidth / (DAMPING + 0.25 / DAMPING);
    const double scale = 1 + 2 * DAMPING * natural + natural * natural;
    d_proportional = 4 * DAMPING * natural / scale;
    d_integral = 4 * natural * natural / scale;
}

void TimingRecovery::process(const Complex* samples, std::size_t n, std::vector<Complex>& out,
                             std::vector<double>& instants)
{
    d_out = &out, d_instants = &instants;
    d_samples.insert(d_samples.end(), samples, samples + n);
    for (;;) {
        if (d_locked && within(d_loop.instant + d_loop.period))
            track();
        else if (!d_locked && within(d_loop.instant + static_cast<double>(d_next_search + SPS)))
            search();
        else
            break;
        forget();
    }
}

// Whether everything is there that a symbol at this instant needs.
bool TimingRecovery::within(double instant) const
{
    return instant + TAPS + SPS < static_cast<double>(d_samples.size());
}

Complex TimingRecovery::at(double instant) const
{
    const double whole = std::floor(instant);
    const double position = (instant - whole) * PHASES;
    const auto phase = std::min(static_cast<std::size_t>(position), PHASES - 1);
    const auto between = static_cast<float>(position - static_cast<double>(phase));
    const Complex* x = d_samples.data() + static_cast<std::ptrdiff_t>(whole) - (TAPS / 2 - 1);
    const auto &a = INTERPOLATOR[phase], &b = INTERPOLATOR[phase + 1];
    Complex sum = 0;
    for (std::size_t k = 0; k < TAPS; ++k)
        sum += x[k] * (a[k] + between * (b[k] - a[k]));
    return sum;
}

void TimingRecovery::search()
{
    const std::size_t window = d_acquisition * SPS;
    const auto first =
        static_cast<std::size_t>(d_loop.instant) + d_next_search - window; // of the newest window
    const Line line = find_line(first);
    // While a burst comes into the window each search sees more of it: the best one is worth waiting for.
    const bool growing = line.found && line.strength > 1.2 * d_strength;
    d_strength = line.found ? line.strength : 0;
    const std::size_t hop = window / 4;
    if (line.found && !growing) {
        lock(first, line);
        return;
    }
    if (d_next_search + hop > HELD_WINDOWS * window)
        release(d_loop.instant + static_cast<double>(hop));
    else
        d_next_search += hop;
}

void TimingRecovery::release(double until)
{
    for (; d_loop.instant < until; d_loop.instant += d_loop.period)
        put_out(d_loop.instant, d_loop.period);
}

// The symbol clock makes the power of the samples swing at the symbol rate.
TimingRecovery::Line TimingRecovery::find_line(std::size_t first) const
{
    const std::size_t n = d_acquisition, bins = 4 * n;
    std::vector<Complex> spectrum(bins);
    double power = 0;
    for (std::size_t k = 0; k < n; ++k) {
        const Complex* x = d_samples.data() + first + k * SPS;
        spectrum[k] = {std::norm(x[0]) - std::norm(x[2]), std::norm(x[3]) - std::norm(x[1])};
        power += std::norm(spectrum[k]);
    }
    Line line;
    if (!(power > 0))
        return line;
    fft(spectrum);
    const auto reach = static_cast<std::ptrdiff_t>(std::ceil(d_config.largest_clock_error * bins));
    const auto level = [&](std::ptrdiff_t bin) {
        return std::norm(spectrum[static_cast<std::size_t>(bin + static_cast<std::ptrdiff_t>(bins)) % bins]);
    };
    std::ptrdiff_t peak = 0;
    for (std::ptrdiff_t bin = -reach; bin <= reach; ++bin)
        if (level(bin) > level(peak))
            peak = bin;
    // What is near the line, but not the line, is its noise: the spectrum of the power is not white.
    double noise = 0;
    const auto beside = static_cast<std::ptrdiff_t>(bins / 16), guard = reach + 8;
    for (std::ptrdiff_t bin = guard; bin < guard + beside; ++bin)
        noise += level(bin) + level(-bin);
    noise /= 2.0 * static_cast<double>(beside);
    line.strength = level(peak) / std::max(noise, 1e-30);
    line.found = line.strength > std::log((0.5 * static_cast<double>(reach) + 1) / FALSE_ALARM);

    const double before = std::sqrt(level(peak - 1)), here = std::sqrt(level(peak)),
                 after = std::sqrt(level(peak + 1));
    const double curvature = before - 2 * here + after;
    const double bin = static_cast<double>(peak) + (curvature < 0 ? 0.5 * (before - after) / curvature : 0);
    // The line turns by `cycles` a nominal symbol: the clock is faster by that.
    const double limit = d_config.largest_clock_error;
    const double cycles = std::clamp(bin / static_cast<double>(bins), -limit, limit);
    std::complex<double> sum = 0;
    for (std::size_t k = 0; k < n; ++k) {
        const Complex* x = d_samples.data() + first + k * SPS;
        const std::complex<double> swing(std::norm(x[0]) - std::norm(x[2]),
                                         std::norm(x[3]) - std::norm(x[1]));
        sum += swing * std::polar(1.0, -2 * PI * cycles * static_cast<double>(k));
    }
    line.loop.period = SPS / (1 + cycles);
    line.loop.instant = static_cast<double>(first) - std::arg(sum) / (2 * PI) * line.loop.period;
    return line;
}

void TimingRecovery::lock(std::size_t first, const Line& line)
{
    Loop forward = line.loop;
    const double middle = static_cast<double>(first + d_acquisition * SPS / 2);
    forward.instant += std::ceil((middle - forward.instant) / forward.period) * forward.period;
    const double end = static_cast<double>(first + d_acquisition * SPS);
    while (forward.instant < end)
        step(forward, 1);

    // Backward to the symbol behind the latest one put out.
    std::vector<Loop> held;
    Loop backward = forward;
    backward.instant -= backward.period;
    while (backward.instant > d_last + 0.5 * backward.period) {
        held.push_back(backward);
        step(backward, -1);
    }
    d_contrast = d_usual_contrast = d_power = 0;
    d_symbols_locked = 0;
    d_strength = 0;
    d_locked = true;
    for (auto symbol = held.rbegin(); symbol != held.rend(); ++symbol)
        put_out(symbol->instant, symbol->period);
    d_loop = forward;
}

// Positive when the instant is late; in symbols, for a mean power of 1.
double TimingRecovery::error(const Loop& loop) const
{
    const Complex now = at(loop.instant), before = at(loop.instant - loop.period);
    const Complex between = at(loop.instant - 0.5 * loop.period);
    const Complex change = now - before;
    return (change.real() * between.real() + change.imag() * between.imag()) / d_slope;
}

void TimingRecovery::step(Loop& loop, int direction) const
{
    const double late = std::clamp(error(loop), -1.0, 1.0), limit = d_config.largest_clock_error;
    loop.period =
        std::clamp(loop.period - direction * d_integral * SPS * late, SPS * (1 - limit), SPS * (1 + limit));
    loop.instant += direction * loop.period - d_proportional * SPS * late;
}

void TimingRecovery::track()
{
    put_out(d_loop.instant, d_loop.period);
    const float at_symbol = std::norm(at(d_loop.instant)),
                between = std::norm(at(d_loop.instant - 0.5 * d_loop.period));
    step(d_loop, 1);
    // Means of all there is, then exponential ones.
    ++d_symbols_locked;
    const double share = 1.0 / static_cast<double>(d_symbols_locked);
    d_contrast += std::max(share, AVERAGING) * (at_symbol - between - d_contrast);
    d_usual_contrast += std::max(share, LONG_AVERAGING) * (at_symbol - between - d_usual_contrast);
    if (d_symbols_locked > 512 && d_contrast < LOST_BELOW * d_usual_contrast) {
        d_locked = false;
        d_next_search = d_acquisition * SPS;
    }
}

void TimingRecovery::put_out(double instant, double period)
{
    d_out->push_back(at(instant));
    if (d_config.outputs_per_symbol == 2)
        d_out->push_back(at(instant + 0.5 * period));
    d_instants->push_back(static_cast<double>(d_forgotten) + instant - 2 * TAPS);
    d_last = instant;
}

// Always the same number of samples at the same symbol, whatever the calls: how instants are rounded depends
// on it.
void TimingRecovery::forget()
{
    constexpr double UNNEEDED = 4096;
    if (std::min(d_last, d_loop.instant) < UNNEEDED + 4 * TAPS)
        return;
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(UNNEEDED));
    d_forgotten += static_cast<std::uint64_t>(UNNEEDED);
    d_last -= UNNEEDED;
    d_loop.instant -= UNNEEDED;
}

} // namespace softmod
