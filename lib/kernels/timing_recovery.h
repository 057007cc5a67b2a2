// SPDX-License-Identifier: GPL-3.0-or-later
// From samples behind a matched filter to samples at the symbols' instants.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

struct TimingRecoveryConfig {
    double excess_bandwidth = 0.35;     // of the pulse, in (0, 1]
    double loop_bandwidth = 0.002;      // noise bandwidth of the loop over the symbol rate, in (0, 0.1]
    double largest_clock_error = 0.005; // share of the symbol rate, up to 0.05
    unsigned outputs_per_symbol = 1;    // 2: also halfway to the next symbol
    unsigned acquisition = 0; // symbols that one search looks at: a power of two, 128 to 16384; 0: what the
                              // excess bandwidth needs
};

// Two states. Without lock, up to two windows of `acquisition` symbols are held back while the power of the
// samples is searched for the line that the symbol clock leaves in it, its frequency and phase; as long as
// there is none the oldest are let go at the clock last known. With a line found, a loop with Gardner's
// detector settles on the newest half window, runs backward over all that is held, and from then on forward
// with no delay. So the first symbols of a burst are timed like the last, and noise between bursts does not
// lead the loop astray. Lock is lost when the power at the symbols no longer stands above that between them.
//
// GNU Radio's symbol_sync_cc has the same detector; its loop alone, started in noise, takes thousands of
// symbols at low Es/N0 until clock and phase are right. The output depends on the samples alone, not on how
// they are cut into calls. Sources: F. M. Gardner, IEEE Trans. Commun. 34 (1986); M. Oerder, H. Meyr, IEEE
// Trans. Commun. 36 (1988) (the line).
class TimingRecovery
{
public:
    using Complex = std::complex<float>;
    static constexpr unsigned SAMPLES_PER_SYMBOL = 4; // of the input

    // Throws std::invalid_argument, in one sentence.
    explicit TimingRecovery(const TimingRecoveryConfig& config);

    // Appends to `out` what n samples complete, outputs_per_symbol items a symbol, and to `instants` where
    // each symbol lies, in samples from the first one ever. Precondition: samples are finite, their mean
    // power about 1.
    void process(const Complex* samples, std::size_t n, std::vector<Complex>& out,
                 std::vector<double>& instants);

    bool locked() const { return d_locked; }
    double clock_error() const { return d_loop.period / SAMPLES_PER_SYMBOL - 1; } // of the symbols' duration
    unsigned acquisition() const { return d_acquisition; }
    void set_loop_bandwidth(double loop_bandwidth); // throws std::invalid_argument

private:
    struct Loop {
        double instant = 0, period = SAMPLES_PER_SYMBOL; // of the next symbol, in d_samples; samples
    };
    struct Line {
        bool found = false;
        Loop loop; // the first symbol of the window
        double strength = 0;
    };

    Complex at(double instant) const;
    bool within(double instant) const;
    void search();
    void release(double until);
    Line find_line(std::size_t first) const;
    void lock(std::size_t first, const Line& line);
    double error(const Loop& loop) const;
    void step(Loop& loop, int direction) const;
    void put_out(double instant, double period);
    void track();
    void forget();

    const TimingRecoveryConfig d_config;
    const unsigned d_acquisition;
    const double d_slope; // of the detector's mean output over the timing error in symbols
    double d_proportional, d_integral;

    std::vector<Complex> d_samples;
    std::uint64_t d_forgotten = 0; // samples before d_samples[0]
    double d_last = 0;             // instant of the latest symbol put out
    Loop d_loop;
    bool d_locked = false;
    std::size_t d_next_search; // without lock: when so many samples from the next symbol on are held
    double d_strength = 0;     // without lock: of the line in the latest search
    double d_contrast = 0, d_usual_contrast = 0, d_power = 0; // with lock: running means
    std::uint64_t d_symbols_locked = 0;

    std::vector<Complex>* d_out = nullptr; // of the call
    std::vector<double>* d_instants = nullptr;
};

} // namespace softmod
