// SPDX-License-Identifier: GPL-3.0-or-later
// Carrier recovery of symbols whose constellation is one of several and may change.
#pragma once

#include "constellation_search.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace softmod
{

struct AdaptiveRecoveryConfig {
    unsigned window =
        1024;           // symbols that a search for the constellation looks at: a power of two, 256 to 8192
    double margin = 20; // nats by which the best candidate must lead before it is taken
    unsigned agreeing = 2;    // searches in a row that must name a candidate
    unsigned interval = 4096; // symbols between looks at whether the constellation still holds
};

// Without lock, up to four windows of timed symbols are held back while they are searched for a
// constellation. Once `agreeing` searches in a row name the same one, all that is held goes through a
// SymbolRecovery of its points, so a burst loses no symbol to the search. With lock, a search every
// `interval` symbols, and soon after the noise around the symbols has changed, asks whether another
// constellation explains them better; it then takes over where the stream is, and the mark says how many
// symbols behind were put out in doubt.
//
// The output depends on the symbols and priors alone, not on how they are cut into calls; as many symbols
// come out as went in, less those held.
class AdaptiveRecovery
{
public:
    using Complex = std::complex<float>;
    static constexpr std::size_t NONE = ConstellationSearch::NONE;

    // search: outlives this; its priors may change at any time. Throws std::invalid_argument.
    AdaptiveRecovery(const ConstellationSearch& search, const AdaptiveRecoveryConfig& config);

    // What holds from a symbol on; symbols are counted from the first one ever put out.
    struct Mark {
        std::uint64_t symbol = 0;
        bool changed = false; // lock or constellation
        bool locked = false;
        std::size_t constellation = NONE; // candidate; NONE before the first was found
        float noise_var = SymbolRecovery::UNKNOWN_NOISE;
        double frequency = 0;       // what is left of the carrier, in cycles a symbol
        double margin = 0;          // of the latest search, in nats
        std::uint64_t in_doubt = 0; // symbols before this one that another constellation explains better
    };

    // Appends symbols and marks; symbols are finite and of a mean power of about 1.
    void process(const Complex* symbols, std::size_t n, std::vector<Complex>& out, std::vector<Mark>& marks);
    // Puts out what is held, as it is: the end of a signal.
    void flush(std::vector<Complex>& out, std::vector<Mark>& marks);

    bool locked() const { return d_recovery && d_recovery->locked(); }
    std::size_t constellation() const { return d_constellation; }

private:
    void take(const Complex* symbols, std::size_t n, std::vector<Complex>& out, std::vector<Mark>& marks);
    void look_for_one(std::vector<Complex>& out, std::vector<Mark>& marks);
    void look_for_another(std::vector<Complex>& out, std::vector<Mark>& marks);
    void begin(std::size_t again, std::vector<Complex>& out, std::vector<Mark>& marks);
    void feed(std::size_t fresh, std::vector<Complex>& out, std::vector<Mark>& marks);
    void watch_noise(double noise_var);
    void keep_watch(std::vector<Complex>& out, std::vector<Mark>& marks);
    void release(std::size_t count, std::vector<Complex>& out);
    bool named(const ConstellationSearch::Result& found, bool sure);
    std::size_t waiting() const { return static_cast<std::size_t>(d_taken - d_put_out); }
    const Complex* newest(std::size_t n) const { return d_recent.data() + d_recent.size() - n; }

    const ConstellationSearch& d_search;
    const AdaptiveRecoveryConfig d_config;
    std::vector<Complex> d_recent; // timed symbols; the newest of them are waiting to be put out
    std::uint64_t d_taken = 0, d_put_out = 0;
    std::uint64_t d_next_search; // in symbols taken

    std::size_t d_named = NONE; // by the latest searches
    unsigned d_times = 0;       // in a row
    double d_named_likelihood = 0, d_margin = 0;

    std::optional<SymbolRecovery> d_recovery;
    std::size_t d_constellation = NONE;
    bool d_was_locked = false;                  // d_recovery, once
    std::uint64_t d_origin = 0;                 // of d_recovery's first symbol, in symbols put out
    std::uint64_t d_returned = 0;               // by d_recovery
    std::uint64_t d_begun = 0;                  // symbols taken when d_recovery began
    std::uint64_t d_agreed = 0, d_in_doubt = 0; // when a search last found the same; symbols since
    double d_usual_noise = 0;                   // variance; 0: not known yet
    std::uint64_t d_alert_until = 0;            // looks follow each other closely, in symbols taken
    std::vector<Complex> d_made;                // by d_recovery in a call
    std::vector<SymbolRecovery::Mark> d_inner_marks;
};

} // namespace softmod
