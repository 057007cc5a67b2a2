// SPDX-License-Identifier: GPL-3.0-or-later
// From samples of which nothing is known to symbols of the constellation they turn out to have.
#pragma once

#include "adaptive_recovery.h"
#include "agc.h"
#include "matched_resampler.h"
#include "signal_segments.h"
#include "timing_recovery.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace softmod
{

struct BlindReceiverConfig {
    double excess_bandwidth = 0.35;
    double timing_bandwidth = 0.002;            // of the loop, over the symbol rate
    std::size_t length = 16384;                 // samples that an estimate of the symbol rate looks at
    double lowest_rate = 0, highest_rate = 0.8; // of symbols, in cycles a sample
    AdaptiveRecoveryConfig recovery;
};

// SignalSegments cuts the stream where symbol rate or frequency change. Each stretch has a chain of its own,
// which begins with its first sample: MatchedResampler, Agc, TimingRecovery, AdaptiveRecovery. The
// constellation may change within a stretch. The output depends on the samples alone (and on the priors of
// the search), not on how they are cut into calls.
class BlindReceiver
{
public:
    using Complex = std::complex<float>;
    static constexpr std::size_t NONE = ConstellationSearch::NONE;

    // search: outlives this. Throws std::invalid_argument.
    BlindReceiver(const ConstellationSearch& search, const BlindReceiverConfig& config);

    // What holds from a symbol on; frequencies in cycles a sample of the input.
    struct Mark {
        std::uint64_t symbol = 0; // from the first one ever put out
        std::uint64_t sample = 0; // of the input, which the symbol lies at
        bool tuned = false;       // a stretch begins: symbol_rate and carrier are new
        bool changed = false;     // lock or constellation
        bool locked = false;
        std::size_t constellation = NONE; // candidate; NONE before the first
        float noise_var = SymbolRecovery::UNKNOWN_NOISE;
        double symbol_rate = 0, carrier = 0;
        double margin = 0;          // nats, of the search that found the constellation
        std::uint64_t in_doubt = 0; // symbols before this one that this constellation explains better
    };

    void process(const Complex* samples, std::size_t n, std::vector<Complex>& symbols,
                 std::vector<Mark>& marks, std::vector<SignalSegments::Look>& looks);
    void flush(std::vector<Complex>& symbols, std::vector<Mark>& marks);

    bool locked() const;
    std::uint64_t without_signal() const { return d_segments.without_signal(); }

private:
    struct Chain {
        Chain(const ConstellationSearch& search, const BlindReceiverConfig& config, const Tuning& tuning,
              std::uint64_t first_sample, std::uint64_t first_symbol);
        Tuning tuning;
        std::uint64_t first_sample, first_symbol;
        MatchedResampler resampler;
        Agc agc;
        TimingRecovery timing;
        AdaptiveRecovery recovery;
        std::vector<double> instants; // of the symbols from first_instant on, in outputs of the resampler
        std::uint64_t first_instant = 0;
    };

    void take(const std::vector<SignalSegments::Piece>& pieces, std::vector<Complex>& symbols,
              std::vector<Mark>& marks);
    void feed(const Complex* samples, std::size_t n, std::vector<Complex>& symbols, std::vector<Mark>& marks);
    void finish(std::vector<Complex>& symbols, std::vector<Mark>& marks);
    void tell(std::vector<Mark>& marks);

    const ConstellationSearch& d_search;
    const BlindReceiverConfig d_config;
    SignalSegments d_segments;
    std::unique_ptr<Chain> d_chain;
    std::uint64_t d_put_out = 0;
    std::vector<SignalSegments::Piece> d_pieces;
    std::vector<Complex> d_resampled, d_timed;
    std::vector<AdaptiveRecovery::Mark> d_marks;
};

} // namespace softmod
