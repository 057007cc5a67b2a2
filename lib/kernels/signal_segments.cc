// SPDX-License-Identifier: GPL-3.0-or-later
#include "signal_segments.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr double SAME_RATE = 1e-3;   // share of the symbol rate
constexpr double SAME_CENTER = 0.04; // the same: what a matched filter bears
constexpr unsigned MISSES = 4;       // in a row: two windows of nothing
constexpr std::size_t BLOCK = 64;    // samples between places where a cut is tried

bool agree(const Tuning& a, const Tuning& b)
{
    return std::abs(a.symbol_rate - b.symbol_rate) < SAME_RATE * a.symbol_rate &&
           std::abs(a.center - b.center) < SAME_CENTER * a.symbol_rate;
}

// The line of a symbol clock in the power of some samples, block by block.
std::vector<std::complex<double>> clock_line(const std::complex<float>* samples, std::size_t blocks,
                                             double rate)
{
    std::vector<std::complex<double>> line(blocks);
    const auto step = std::polar(1.0, -2 * M_PI * rate);
    for (std::size_t b = 0; b < blocks; ++b) {
        auto turn = std::polar(1.0, -2 * M_PI * std::remainder(rate * static_cast<double>(b * BLOCK), 1.0));
        for (std::size_t k = 0; k < BLOCK; ++k, turn *= step)
            line[b] += static_cast<double>(std::norm(samples[b * BLOCK + k])) * turn;
    }
    return line;
}

} // namespace

SignalSegments::SignalSegments(std::size_t length, double lowest, double highest)
    : d_estimator(length), d_length(length), d_lowest(lowest), d_highest(highest), d_next_look(length)
{
    if (!(lowest >= 0 && lowest < highest && highest <= 1))
        throw std::invalid_argument("symbol rates from " + std::to_string(lowest) + " to " +
                                    std::to_string(highest) +
                                    " of the sample rate are no range within 0 and 1");
}

void SignalSegments::process(const Complex* samples, std::size_t n, std::vector<Piece>& pieces,
                             std::vector<Look>& looks)
{
    while (n > 0) {
        const std::uint64_t have = d_first + d_samples.size();
        const auto taken = std::min<std::uint64_t>(n, d_next_look - have);
        d_samples.insert(d_samples.end(), samples, samples + taken);
        samples += taken, n -= taken;
        if (have + taken == d_next_look)
            look(pieces, looks);
    }
}

void SignalSegments::flush(std::vector<Piece>& pieces)
{
    if (!d_current && !d_named && d_samples.size() >= BlindEstimator::SHORTEST) {
        const Tuning found = tuning_of(d_estimator.estimate(d_samples.data(), d_samples.size()));
        if (found.symbol_rate > 0)
            d_named = found;
    }
    if (!d_current && d_named) // a burst too short to be seen twice
        begin(*d_named, d_handed, pieces);
    if (d_current)
        end(d_first + d_samples.size(), pieces);
    forget(d_first + d_samples.size());
}

Tuning SignalSegments::tuning_of(const BlindEstimate& estimate) const
{
    if (!(estimate.symbol_rate >= d_lowest && estimate.symbol_rate <= d_highest))
        return {};
    // The carrier is exact where it is not another of its multiples.
    const bool exact = estimate.carrier_order > 0 &&
                       std::abs(estimate.carrier - estimate.center) < SAME_CENTER * estimate.symbol_rate;
    return {estimate.symbol_rate, exact ? estimate.carrier : estimate.center};
}

void SignalSegments::look(std::vector<Piece>& pieces, std::vector<Look>& looks)
{
    const std::uint64_t window = d_next_look - d_length;
    d_next_look += d_length / 2;
    looks.push_back({window, d_estimator.estimate(d_samples.data() + (window - d_first), d_length)});
    const Tuning found = tuning_of(looks.back().estimate);

    if (found.symbol_rate > 0 && d_current && agree(*d_current, found)) {
        d_agreed_at = window;
        d_misses = 0;
        d_named.reset();
        hand_out(window + d_length / 4, pieces); // another signal that began earlier would have been stronger
    } else if (found.symbol_rate > 0 && d_named && agree(*d_named, found)) {
        std::uint64_t at = d_named_at < d_length / 2 ? 0 : d_named_at - d_length / 2;
        if (d_current) {
            const std::uint64_t from = std::max(d_handed, d_agreed_at + d_length / 4);
            at = change_between(from, std::max(from, window + d_length / 2), d_current->symbol_rate,
                                found.symbol_rate);
            end(at, pieces);
        }
        begin(found, std::max(at, d_handed), pieces);
        d_agreed_at = window;
    } else {
        d_misses = found.symbol_rate > 0 ? 0 : d_misses + 1;
        d_named.reset();
        if (found.symbol_rate > 0)
            d_named = found, d_named_at = window;
        if (d_current && d_misses >= MISSES)
            end(d_agreed_at + d_length, pieces);
    }
    if (!d_current && window > d_length)
        forget(window - d_length); // as much as a signal found next may claim
}

void SignalSegments::begin(const Tuning& tuning, std::uint64_t at, std::vector<Piece>& pieces)
{
    d_without_signal += at - d_handed;
    d_handed = at;
    d_current = tuning;
    d_named.reset();
    d_misses = 0;
    Piece piece;
    piece.first = at;
    piece.begins = tuning;
    pieces.push_back(piece);
}

void SignalSegments::end(std::uint64_t at, std::vector<Piece>& pieces)
{
    hand_out(at, pieces);
    Piece piece;
    piece.first = d_handed;
    piece.ends = true;
    pieces.push_back(piece);
    d_current.reset();
}

void SignalSegments::hand_out(std::uint64_t until, std::vector<Piece>& pieces)
{
    if (until <= d_handed)
        return;
    Piece piece;
    piece.first = d_handed;
    const auto from = d_samples.begin() + static_cast<std::ptrdiff_t>(d_handed - d_first);
    piece.samples.assign(from, from + static_cast<std::ptrdiff_t>(until - d_handed));
    pieces.push_back(std::move(piece));
    d_handed = until;
    forget(std::min(until, d_next_look - d_length));
}

// Samples before this one are needed no more, unless they still have to be handed out or looked at.
void SignalSegments::forget(std::uint64_t before)
{
    if (!d_current && before > d_handed) {
        d_without_signal += before - d_handed;
        d_handed = before;
    }
    const std::uint64_t end = std::min({before, d_handed, d_first + d_samples.size()});
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(end - d_first));
    d_first = end;
}

// The most likely place at which the line of one symbol clock ends and that of another begins.
std::uint64_t SignalSegments::change_between(std::uint64_t from, std::uint64_t to, double before,
                                             double after) const
{
    const Complex* samples = d_samples.data() + (from - d_first);
    const std::size_t blocks = (to - from) / BLOCK;
    if (blocks < 8 || std::abs(before - after) < SAME_RATE * before)
        return from + blocks / 2 * BLOCK; // one clock for both tells nothing
    const auto a = clock_line(samples, blocks, before), b = clock_line(samples, blocks, after);
    // The phase of each is taken where it is sure: the first and last quarter.
    std::complex<double> phase_a = 0, phase_b = 0;
    for (std::size_t k = 0; k < blocks / 4; ++k)
        phase_a += a[k], phase_b += b[blocks - 1 - k];
    const double scale_a = std::abs(phase_a) + 1e-300, scale_b = std::abs(phase_b) + 1e-300;
    double sum = 0, highest = 0;
    std::size_t best = 0;
    for (std::size_t k = 0; k < blocks; ++k) {
        sum += (a[k] * std::conj(phase_a)).real() / scale_a - (b[k] * std::conj(phase_b)).real() / scale_b;
        if (sum > highest)
            highest = sum, best = k + 1;
    }
    return from + best * BLOCK;
}

} // namespace softmod
