// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_receiver.h"

#include <algorithm>
#include <cmath>

namespace softmod
{
namespace
{

constexpr std::size_t PIECE = 2048;      // samples that go through the chain at a time
constexpr std::size_t AGC_SYMBOLS = 512; // as the receiver's that is told everything
constexpr std::size_t TAIL = 32; // symbols of silence that push the last ones out of filters and loops

} // namespace

BlindReceiver::Chain::Chain(const ConstellationSearch& search, const BlindReceiverConfig& config,
                            const Tuning& tuned, std::uint64_t sample, std::uint64_t symbol)
    : tuning(tuned), first_sample(sample), first_symbol(symbol),
      resampler({1 / tuned.symbol_rate, tuned.center, config.excess_bandwidth}),
      agc(AGC_SYMBOLS * MatchedResampler::OUTPUTS_PER_SYMBOL),
      timing({config.excess_bandwidth, config.timing_bandwidth}), recovery(search, config.recovery)
{
}

BlindReceiver::BlindReceiver(const ConstellationSearch& search, const BlindReceiverConfig& config)
    : d_search(search), d_config(config), d_segments(config.length, config.lowest_rate, config.highest_rate)
{
    Chain(search, config, {0.25, 0}, 0, 0); // says what is wrong with the rest of the configuration
}

bool BlindReceiver::locked() const
{
    return d_chain && d_chain->recovery.locked();
}

void BlindReceiver::process(const Complex* samples, std::size_t n, std::vector<Complex>& symbols,
                            std::vector<Mark>& marks, std::vector<SignalSegments::Look>& looks)
{
    d_pieces.clear();
    d_segments.process(samples, n, d_pieces, looks);
    take(d_pieces, symbols, marks);
}

void BlindReceiver::flush(std::vector<Complex>& symbols, std::vector<Mark>& marks)
{
    d_pieces.clear();
    d_segments.flush(d_pieces);
    take(d_pieces, symbols, marks);
}

void BlindReceiver::take(const std::vector<SignalSegments::Piece>& pieces, std::vector<Complex>& symbols,
                         std::vector<Mark>& marks)
{
    for (const auto& piece : pieces) {
        if (piece.begins) {
            d_chain = std::make_unique<Chain>(d_search, d_config, *piece.begins, piece.first, d_put_out);
            Mark mark;
            mark.symbol = d_put_out, mark.sample = piece.first, mark.tuned = true;
            mark.symbol_rate = piece.begins->symbol_rate, mark.carrier = piece.begins->center;
            marks.push_back(mark);
        }
        for (std::size_t at = 0; at < piece.samples.size(); at += PIECE)
            feed(piece.samples.data() + at, std::min(PIECE, piece.samples.size() - at), symbols, marks);
        if (piece.ends)
            finish(symbols, marks);
    }
}

void BlindReceiver::feed(const Complex* samples, std::size_t n, std::vector<Complex>& symbols,
                         std::vector<Mark>& marks)
{
    d_resampled.clear(), d_timed.clear(), d_marks.clear();
    d_chain->resampler.process(samples, n, d_resampled);
    d_chain->agc.process(d_resampled.data(), d_resampled.size(), d_resampled.data());
    d_chain->timing.process(d_resampled.data(), d_resampled.size(), d_timed, d_chain->instants);
    const std::size_t before = symbols.size();
    d_chain->recovery.process(d_timed.data(), d_timed.size(), symbols, d_marks);
    d_put_out += symbols.size() - before;
    tell(marks);
}

void BlindReceiver::finish(std::vector<Complex>& symbols, std::vector<Mark>& marks)
{
    const auto silence = static_cast<std::size_t>(std::ceil(TAIL / d_chain->tuning.symbol_rate));
    const std::vector<Complex> tail(silence);
    feed(tail.data(), tail.size(), symbols, marks);
    d_marks.clear();
    const std::size_t before = symbols.size();
    d_chain->recovery.flush(symbols, d_marks);
    d_put_out += symbols.size() - before;
    tell(marks);
    d_chain.reset();
}

// Marks of the recovery, in the units and counts of the whole stream.
void BlindReceiver::tell(std::vector<Mark>& marks)
{
    auto& chain = *d_chain;
    const double rate = chain.tuning.symbol_rate / (1 + chain.timing.clock_error());
    for (const auto& inner : d_marks) {
        Mark mark;
        mark.symbol = chain.first_symbol + inner.symbol;
        const auto last = static_cast<std::ptrdiff_t>(chain.instants.size()) - 1;
        const auto index = static_cast<std::ptrdiff_t>(inner.symbol - chain.first_instant);
        const double instant =
            last < 0 ? 0
                     : chain.instants[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(index, 0, last))];
        mark.sample = chain.first_sample +
                      static_cast<std::uint64_t>(std::max(0.0, std::round(instant * chain.resampler.step())));
        mark.changed = inner.changed, mark.locked = inner.locked;
        mark.constellation = inner.constellation;
        mark.noise_var = inner.noise_var;
        mark.symbol_rate = rate;
        mark.carrier = chain.tuning.center + inner.frequency * rate;
        mark.margin = inner.margin, mark.in_doubt = inner.in_doubt;
        marks.push_back(mark);
    }
    const std::uint64_t done = d_put_out - chain.first_symbol - chain.first_instant;
    if (done > PIECE && done < chain.instants.size()) { // the last one answers for what is told at the end
        chain.instants.erase(chain.instants.begin(),
                             chain.instants.begin() + static_cast<std::ptrdiff_t>(done));
        chain.first_instant += done;
    }
}

} // namespace softmod
