// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbol_recovery.h"

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

constexpr std::size_t HELD_WINDOWS = 2; // most symbols held without lock, in acquisition windows
constexpr double FALSE_ALARM = 1e-4;    // of one search in noise
constexpr float ENOUGH_COHERENT = 40;
constexpr double LOCK_AVERAGING = 1.0 / 128;
constexpr double LOST_BELOW = 0.45; // share of the smallest coherence a search accepts
constexpr float LEVEL_AVERAGING = 1.0f / 256;
constexpr float SLOPE_AVERAGING = 1.0f / 64;
constexpr float SMALLEST_NOISE = 1e-5f, LARGEST_NOISE = 2.0f;
constexpr float TRACKING_STEP = 0.01f,
                BLIND_STEP = 0.002f; // of the equaliser, normalised to the energy in its taps
constexpr float TINY = 1e-20f;

// Products by hand: std::complex checks each for NaN.
Complex times(Complex a, Complex b)
{
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Complex times_conj(Complex a, Complex b)
{
    return {a.real() * b.real() + a.imag() * b.imag(), a.imag() * b.real() - a.real() * b.imag()};
}

Complex turn(double phase)
{
    return {static_cast<float>(std::cos(phase)), static_cast<float>(std::sin(phase))};
}

float mean_power(const std::vector<Complex>& symbols)
{
    float power = 0;
    for (const auto& y : symbols)
        power += std::norm(y);
    return power / static_cast<float>(symbols.size());
}

float modulus_of(const std::vector<Complex>& points)
{
    float second = 0, fourth = 0;
    for (const auto& point : points)
        second += std::norm(point), fourth += std::norm(point) * std::norm(point);
    return fourth / second;
}

// So many that a carrier at the noise where decisions begin to fail stands far above the strongest line of
// noise.
unsigned acquisition_for(float coherence)
{
    unsigned symbols = 256;
    while (symbols < 4096 && symbols * coherence < ENOUGH_COHERENT)
        symbols *= 2;
    return symbols;
}

const SymbolRecoveryConfig& checked(const SymbolRecoveryConfig& c)
{
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (!std::isfinite(c.rotation))
        fail("rotation is not finite");
    if (c.samples_per_symbol != 1 && c.samples_per_symbol != 2)
        fail("samples_per_symbol is " + std::to_string(c.samples_per_symbol) + "; it must be 1 or 2");
    if (c.equalizer_taps % 2 == 0 || c.equalizer_taps > 255)
        fail("equalizer_taps is " + std::to_string(c.equalizer_taps) + "; it must be odd, from 1 to 255");
    if (c.acquisition &&
        (c.acquisition < 64 || c.acquisition > 16384 || (c.acquisition & (c.acquisition - 1))))
        fail("acquisition is " + std::to_string(c.acquisition) +
             "; it must be 0 or a power of two from 64 to 16384");
    return c;
}

} // namespace

SymbolRecovery::SymbolRecovery(const std::vector<Complex>& points, const SymbolRecoveryConfig& config)
    : d_config(checked(config)), d_order(points.size()), d_decider(points), d_statistic(points),
      d_acquisition(config.acquisition ? config.acquisition : acquisition_for(d_statistic.coherence())),
      d_modulus(modulus_of(points)), d_samples(config.equalizer_taps / 2), d_taps(config.equalizer_taps),
      d_next_search(d_acquisition)
{
    set_loop_bandwidth(config.loop_bandwidth);
    d_largest_frequency = 0.5 * TWO_PI / d_statistic.order();
    d_taps[config.equalizer_taps / 2] = 1;
}

void SymbolRecovery::set_loop_bandwidth(double loop_bandwidth)
{
    if (!(loop_bandwidth > 0 && loop_bandwidth <= 0.2))
        throw std::invalid_argument("loop_bandwidth is " + std::to_string(loop_bandwidth) +
                                    "; it must be above 0 and at most 0.2");
    const double damping = std::sqrt(0.5); // settles fastest for its noise bandwidth
    const double natural = loop_bandwidth / (damping + 0.25 / damping);
    const double scale = 1 + 2 * damping * natural + natural * natural;
    d_proportional = 4 * damping * natural / scale;
    d_integral = 4 * natural * natural / scale;
}

void SymbolRecovery::process(const Complex* samples, std::size_t n, std::vector<Complex>& symbols,
                             std::vector<Mark>& marks)
{
    d_symbols = &symbols;
    d_marks = &marks;
    d_samples.insert(d_samples.end(), samples, samples + n);
    const auto available = [this] {
        const std::size_t left = d_samples.size() - d_first;
        return left < d_taps.size() ? 0 : (left - d_taps.size()) / d_config.samples_per_symbol + 1;
    };
    for (;;) {
        if (d_locked && available() > 0)
            track();
        else if (!d_locked && available() >= d_next_search)
            search(d_next_search);
        else
            break;
    }
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(d_first));
    d_first = 0;
}

void SymbolRecovery::mark(std::uint64_t symbol, bool changed)
{
    d_marks->push_back({symbol, changed, d_locked, static_cast<float>(noise_var()), frequency()});
    d_next_mark = symbol + MARK_INTERVAL;
}

void SymbolRecovery::put_out(Complex symbol)
{
    if (d_locked && d_put_out == d_next_mark)
        mark(d_put_out, false);
    d_symbols->push_back(symbol);
    ++d_put_out;
}

Complex SymbolRecovery::equalized(std::size_t symbol) const
{
    const Complex* window = d_samples.data() + d_first + symbol * d_config.samples_per_symbol;
    if (d_taps.size() == 1)
        return window[0];
    Complex sum = 0;
    for (std::size_t k = 0; k < d_taps.size(); ++k)
        sum += times(d_taps[k], window[k]);
    return sum;
}

Complex SymbolRecovery::unrotated(std::size_t symbol) const
{
    const Complex y = equalized(symbol);
    return d_config.rotation == 0
               ? y
               : times(y, turn(-d_rotated - static_cast<double>(symbol) * d_config.rotation));
}

void SymbolRecovery::drop(std::size_t symbols)
{
    d_first += symbols * d_config.samples_per_symbol;
    d_rotated = std::remainder(d_rotated + static_cast<double>(symbols) * d_config.rotation, TWO_PI);
}

void SymbolRecovery::search(std::size_t held)
{
    const std::size_t n = d_acquisition;
    std::vector<Complex> window(n); // the newest symbols
    for (std::size_t k = 0; k < n; ++k)
        window[k] = unrotated(held - n + k);
    d_gain = 1 / std::sqrt(mean_power(window) + TINY);
    for (auto& y : window)
        y *= d_gain;
    const Carrier carrier = find_carrier(window);
    // While a burst comes into the window each search sees more of it: the best one is worth waiting for.
    const bool growing = carrier.found && carrier.coherence > 1.2 * d_coherence;
    d_coherence = carrier.found ? carrier.coherence : 0;
    d_lock_level = carrier.coherence / d_statistic.coherence();
    if (carrier.found && !growing)
        lock(window, held, carrier);
    else if (held + n / 4 > HELD_WINDOWS * n)
        release(n / 4);
    d_next_search = d_locked ? 0 : std::min(held + n / 4, HELD_WINDOWS * n);
}

// Lets the oldest symbols go as they are.
void SymbolRecovery::release(std::size_t count)
{
    d_loop = {};
    d_noise_var = 1;
    for (std::size_t k = 0; k < count; ++k) {
        const Complex y = d_gain * unrotated(k);
        put_out(y);
        if (d_taps.size() > 1)
            adapt(k, BLIND_STEP * y * std::clamp(d_modulus - std::norm(y), -1.0f, 1.0f));
    }
    drop(count);
}

// The strongest line of the power's spectrum, against what the strongest of noise would be.
SymbolRecovery::Carrier SymbolRecovery::find_carrier(const std::vector<Complex>& held) const
{
    const std::size_t n = held.size(), bins = 4 * n;
    std::vector<Complex> spectrum(bins);
    double power = 0;
    for (std::size_t k = 0; k < n; ++k) {
        spectrum[k] = d_statistic(held[k]);
        power += std::norm(spectrum[k]);
    }
    Carrier carrier;
    if (!(power > 0))
        return carrier;
    fft(spectrum);
    const auto level = [&](std::size_t bin) { return std::abs(spectrum[bin % bins]); };
    std::size_t peak = 0;
    for (std::size_t bin = 1; bin < bins; ++bin)
        if (std::norm(spectrum[bin]) > std::norm(spectrum[peak]))
            peak = bin;
    const double ratio =
        std::norm(spectrum[peak]) / power; // about n * coherence for a carrier, about 1 for noise
    carrier.coherence = ratio / static_cast<double>(n);
    carrier.found = ratio > std::log(static_cast<double>(n) / FALSE_ALARM);

    const double before = level(peak + bins - 1), at = level(peak), after = level(peak + 1);
    const double curvature = before - 2 * at + after;
    const double bin = static_cast<double>(peak) + (curvature < 0 ? 0.5 * (before - after) / curvature : 0);
    const double cycles =
        std::remainder(bin / static_cast<double>(bins), 1.0); // of the power, in [-1/2, 1/2]
    carrier.loop.frequency = TWO_PI * cycles / d_statistic.order();
    std::complex<double> sum = 0;
    for (std::size_t k = 0; k < n; ++k)
        sum += std::complex<double>(times(
            d_statistic(held[k]), turn(-TWO_PI * std::remainder(cycles * static_cast<double>(k), 1.0))));
    carrier.loop.phase = std::arg(sum) / d_statistic.order();
    return carrier;
}

// Frequency, phase, gain and noise variance together, by expectation maximisation from where `fit` is.
// Returns the log-likelihood.
double SymbolRecovery::refine(const std::vector<Complex>& window, Fit& fit) const
{
    const auto n = static_cast<double>(window.size());
    const double middle = 0.5 * (n - 1);
    double likelihood = 0;
    for (int iteration = 0; iteration < 10; ++iteration) {
        double along = 0, energy = 0, power = 0;                 // for the levels
        double s0 = 0, s1 = 0, s2 = 0, across0 = 0, across1 = 0; // for a straight line through the phases
        likelihood = n * (2 * std::log(fit.gain) - std::log(fit.noise_var));
        for (std::size_t k = 0; k < window.size(); ++k) {
            const double t = static_cast<double>(k) - middle;
            const Complex y =
                fit.gain *
                times(window[k], turn(-fit.loop.phase - fit.loop.frequency * static_cast<double>(k)));
            const SoftDecision decision = d_decider.decide(y, fit.noise_var);
            const Complex projected = times_conj(y, decision.mean);
            along += projected.real(), energy += decision.energy, power += std::norm(y);
            const double weight = std::norm(decision.mean);
            s0 += weight, s1 += weight * t, s2 += weight * t * t;
            across0 += projected.imag(), across1 += projected.imag() * t;
            likelihood += decision.log_likelihood;
        }
        const double step = std::clamp(energy / std::max(along, 1e-3 * energy), 0.5, 2.0);
        const double residual = (power * step * step - 2 * along * step + energy) / n;
        fit.gain *= static_cast<float>(step);
        fit.noise_var = std::clamp(static_cast<float>(residual), SMALLEST_NOISE, LARGEST_NOISE);
        const double determinant = s0 * s2 - s1 * s1;
        if (determinant > 1e-9 * s0 * s2) {
            const double slope = (s0 * across1 - s1 * across0) / determinant;
            fit.loop.frequency += slope;
            fit.loop.phase += (across0 - slope * s1) / s0 - slope * middle;
        }
    }
    return likelihood;
}

// A power beyond the symmetry leaves several phases; the likelihood picks one, and is returned.
double SymbolRecovery::best_fit(const std::vector<Complex>& window, const Carrier& carrier, Fit& best) const
{
    double highest = 0;
    for (unsigned candidate = 0; candidate < d_statistic.order() / d_statistic.symmetry(); ++candidate) {
        Fit fit{carrier.loop, 1, 2 * d_statistic.noise_var()};
        fit.loop.phase += TWO_PI * candidate / d_statistic.order();
        const double likelihood = refine(window, fit);
        if (candidate == 0 || likelihood > highest)
            highest = likelihood, best = fit;
    }
    return highest;
}

SymbolRecovery::Evidence SymbolRecovery::evidence(std::vector<Complex> symbols) const
{
    const auto n = static_cast<float>(symbols.size());
    const float gain = 1 / std::sqrt(mean_power(symbols) + TINY);
    for (auto& y : symbols)
        y *= gain;
    const Carrier carrier = find_carrier(symbols);
    if (!carrier.found)
        return {};
    Fit fit;
    const double likelihood = best_fit(symbols, carrier, fit) / n - std::log(TWO_PI / 2 * d_order);
    return {true, likelihood, fit.loop.frequency / TWO_PI, fit.noise_var};
}

void SymbolRecovery::lock(const std::vector<Complex>& window, std::size_t held, const Carrier& carrier)
{
    Fit best;
    best_fit(window, carrier, best);
    d_gain *= best.gain;
    d_noise_var = best.noise_var;
    d_slope = 1 / (1 + d_noise_var);

    const std::size_t middle = window.size() / 2;
    Complex out;
    d_loop = {best.loop.phase + best.loop.frequency * static_cast<double>(middle), best.loop.frequency};
    for (std::size_t k = held - middle; k < held; ++k)
        follow(unrotated(k), d_loop, 1, out);

    const float gain_at_end = d_gain, noise_at_end = d_noise_var;
    Loop backward{d_loop.phase - d_loop.frequency, d_loop.frequency};
    std::vector<Complex> outs(held);
    for (std::size_t k = held; k-- > 0;)
        follow(unrotated(k), backward, -1, outs[k]);

    d_gain = gain_at_end, d_noise_var = noise_at_end;
    d_power = 1 + d_noise_var, d_along = 1;
    d_coherence = 0;
    d_locked = true;
    mark(d_put_out, true);
    for (const auto& symbol : outs)
        put_out(symbol);
    drop(held);
}

// One step of the loop, in either direction of time; `loop.phase` goes on to the next symbol.
SoftDecision SymbolRecovery::follow(Complex symbol, Loop& loop, int direction, Complex& out)
{
    out = d_gain * times(symbol, turn(-loop.phase));
    const SoftDecision decision = d_decider.decide(out, d_noise_var);
    const Complex along = times_conj(out, decision.mean);
    // The loop's gain must not depend on how sure the decisions are.
    d_slope += SLOPE_AVERAGING * (std::norm(decision.mean) - d_slope);
    const double error = std::clamp(along.imag() / std::max(d_slope, 0.1f), -1.0f, 1.0f);
    loop.frequency = std::clamp(loop.frequency + direction * d_integral * error, -d_largest_frequency,
                                d_largest_frequency);
    loop.phase += d_proportional * error + direction * loop.frequency;

    const float residual = std::norm(out) - 2 * along.real() + decision.energy;
    d_noise_var =
        std::clamp(d_noise_var + LEVEL_AVERAGING * (residual - d_noise_var), SMALLEST_NOISE, LARGEST_NOISE);
    d_gain *= 1 + LEVEL_AVERAGING * std::clamp(decision.energy - along.real(), -1.0f, 1.0f);
    return decision;
}

void SymbolRecovery::track()
{
    const double phase = d_loop.phase;
    const float gain = d_gain;
    Complex out;
    const SoftDecision decision = follow(unrotated(0), d_loop, 1, out);
    d_loop.phase = std::remainder(d_loop.phase, TWO_PI);
    put_out(out);
    if (d_taps.size() > 1) {
        // Uncertain decisions are small and a least-squares fit to them shrinks, so the output is held
        // against decisions stretched to its own size: then level and phase stay what the gain and the loop
        // make them.
        const float along = times_conj(out, decision.mean).real();
        d_power += LEVEL_AVERAGING * (std::norm(out) - d_power);
        d_along += LEVEL_AVERAGING * (along - d_along);
        const float stretch = d_power / std::max(d_along, 0.1f * d_power);
        adapt(0, TRACKING_STEP / gain * times(stretch * decision.mean - out, turn(phase + d_rotated)));
    }
    watch_lock(out);
    drop(1);
}

// A step of the taps: error is what the equaliser's output should have been more, times the step size.
void SymbolRecovery::adapt(std::size_t symbol, Complex error)
{
    const Complex* window = d_samples.data() + d_first + symbol * d_config.samples_per_symbol;
    float energy = TINY;
    for (std::size_t k = 0; k < d_taps.size(); ++k)
        energy += std::norm(window[k]);
    for (std::size_t k = 0; k < d_taps.size(); ++k)
        d_taps[k] += times_conj(error, window[k]) / energy;
}

void SymbolRecovery::watch_lock(Complex out)
{
    const double coherence = d_statistic.coherence();
    const double level = d_statistic(out).real() / coherence;
    d_lock_level += LOCK_AVERAGING * (level - d_lock_level);
    const double smallest = std::log(d_acquisition / FALSE_ALARM) / d_acquisition / coherence;
    if (d_lock_level < LOST_BELOW * smallest) {
        d_locked = false;
        d_next_search = d_acquisition;
        mark(d_put_out, true);
    }
}

} // namespace softmod
