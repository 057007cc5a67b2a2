// SPDX-License-Identifier: GPL-3.0-or-later
// Carrier phase, amplitude and, where asked for, an equaliser: from timed samples to symbols of any
// constellation.
#pragma once

#include "phase_statistic.h"
#include "soft_decision.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

struct SymbolRecoveryConfig {
    double rotation = 0;             // radians that the constellation turns each symbol (pi/4-QPSK)
    unsigned samples_per_symbol = 1; // of the input: 1, or 2 for an equaliser of half-symbol spacing
    unsigned equalizer_taps = 1;     // odd; 1: no equaliser
    double loop_bandwidth = 0.01;    // noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2]
    unsigned acquisition = 0; // symbols that one search for the carrier looks at: a power of two, 64 to
                              // 16384; 0: what the constellation needs
};

// Two states. Without lock, up to two windows of `acquisition` symbols are held back while the spectrum of a
// power of theirs (PhaseStatistic) is searched for a carrier; as long as there is none the oldest are let go
// as they are. With a carrier found, frequency, phase, amplitude and noise are fitted to the newest window,
// and a phase-locked loop runs backward over all that is held, so that not even the first symbols of a burst
// are lost, and from then on forward, symbol by symbol with no delay. The loop turns on soft decisions
// (posterior means), which weigh each symbol by what it is worth: one loop for PSK, QAM, APSK, PAM and ASK,
// down to where few decisions are right. Lock is lost when the running mean of the power of the symbols falls
// to that of noise.
//
// The phase is known up to a turn of 2 pi / symmetry() of the constellation: pilots, a sync word or
// differential coding must tell the rest. The output depends on the samples alone, not on how they are cut
// into calls.
//
// Equaliser: constant modulus without lock, least mean squares on the soft decisions with lock.
// Sources: U. Mengali, A. N. D'Andrea, "Synchronization Techniques for Digital Receivers" (1997), chapters 3
// and 5 (power-law frequency estimation, soft decision-directed phase loop); D. N. Godard, IEEE Trans.
// Commun. 28 (1980).
class SymbolRecovery
{
public:
    using Complex = std::complex<float>;

    // points: E|s|^2 = 1. Throws std::invalid_argument, in one sentence.
    SymbolRecovery(const std::vector<Complex>& points, const SymbolRecoveryConfig& config);

    // What holds from a symbol on; symbols are counted from the first one ever put out.
    struct Mark {
        std::uint64_t symbol;
        bool changed; // the lock has just been found or lost
        bool locked;
        float noise_var;  // E|n|^2 around the symbols; UNKNOWN_NOISE without lock
        double frequency; // what is left of the carrier, in cycles a symbol
    };
    static constexpr unsigned MARK_INTERVAL = 256; // symbols between marks
    static constexpr float UNKNOWN_NOISE = 100.0f; // symbols that say next to nothing

    // Appends to `symbols` what n samples complete, and to `marks` where the lock changes and, with lock,
    // every MARK_INTERVAL symbols. Precondition: samples are finite.
    void process(const Complex* samples, std::size_t n, std::vector<Complex>& symbols,
                 std::vector<Mark>& marks);

    // What a window of timed symbols says for these points: carrier, amplitude and noise are fitted as for a
    // lock, which is neither made nor lost.
    struct Evidence {
        bool found = false;        // there is a carrier; all else is meaningless without
        double log_likelihood = 0; // natural, a symbol of a window scaled to a mean power of 1
        double frequency = 0;      // cycles a symbol
        double noise_var = 1;
    };
    // symbols: a power of two of them, 64 or more, finite, without the constellation's own rotation.
    Evidence evidence(std::vector<Complex> symbols) const;

    bool locked() const { return d_locked; }
    double frequency() const { return d_loop.frequency / TWO_PI; }
    double noise_var() const { return d_locked ? d_noise_var : UNKNOWN_NOISE; }
    double lock_level() const { return d_lock_level; } // about 1 with a clean lock, 0 in noise
    unsigned symmetry() const { return d_statistic.symmetry(); }
    unsigned acquisition() const { return d_acquisition; }
    void set_loop_bandwidth(double loop_bandwidth); // throws std::invalid_argument

private:
    static constexpr double TWO_PI = 6.283185307179586;

    struct Loop {
        double phase = 0, frequency = 0; // radians, radians a symbol
    };
    struct Carrier {
        bool found = false;
        Loop loop; // phase of the first symbol of the window
        double coherence = 0;
    };

    struct Fit {
        Loop loop;
        float gain = 1, noise_var = 1;
    };

    Complex equalized(std::size_t symbol) const; // symbol counted from the oldest that is held
    Complex unrotated(std::size_t symbol) const;
    void drop(std::size_t symbols);
    void search(std::size_t held);
    void release(std::size_t count);
    void mark(std::uint64_t symbol, bool changed);
    void put_out(Complex symbol);
    Carrier find_carrier(const std::vector<Complex>& window) const;
    double refine(const std::vector<Complex>& window, Fit& fit) const;
    double best_fit(const std::vector<Complex>& window, const Carrier& carrier, Fit& best) const;
    void lock(const std::vector<Complex>& window, std::size_t held, const Carrier& carrier);
    SoftDecision follow(Complex symbol, Loop& loop, int direction, Complex& out);
    void track();
    void adapt(std::size_t symbol, Complex error);
    void watch_lock(Complex out);

    const SymbolRecoveryConfig d_config;
    const std::size_t d_order; // number of points
    const SoftDecider d_decider;
    const PhaseStatistic d_statistic;
    const unsigned d_acquisition;
    const float d_modulus; // E|s|^4 / E|s|^2
    double d_proportional, d_integral, d_largest_frequency;

    std::vector<Complex> d_samples; // those that symbols to come need
    std::size_t d_first = 0; // index in d_samples of the first sample that the oldest held symbol needs
    std::vector<Complex> d_taps;
    double d_rotated = 0; // constellation's turn at the oldest held symbol
    bool d_locked = false;
    std::size_t d_next_search; // without lock: when so many symbols are held
    double d_coherence = 0;    // without lock: what the latest search found
    Loop d_loop;
    float d_gain = 1, d_noise_var = 1, d_slope = 1;
    float d_power = 1, d_along = 1; // E|y|^2 and E[Re(y conj(mean))]
    double d_lock_level = 0;

    std::vector<Complex>* d_symbols = nullptr; // of the call
    std::vector<Mark>* d_marks = nullptr;
    std::uint64_t d_put_out = 0, d_next_mark = 0;
};

} // namespace softmod
