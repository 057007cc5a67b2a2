// SPDX-License-Identifier: GPL-3.0-or-later
#include "ber_counter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr unsigned most_errors_to_sync = 76; // of 256: 6.4 standard deviations from a coin
constexpr unsigned most_errors_to_stay = 90; // of 256: at an error rate of 0.2, 6 standard deviations away
constexpr unsigned trial_bits = 2048;
constexpr double most_errors_on_trial = 0.26;
constexpr unsigned glance = 32, most_errors_at_a_glance = 12;
constexpr double z = 1.959963984540054; // of 95 %, two-sided

} // namespace

Rate rate_of(std::uint64_t events, std::uint64_t trials)
{
    if (trials == 0)
        return {std::numeric_limits<double>::quiet_NaN(), 0, 1};
    const double n = static_cast<double>(trials), p = events / n;
    const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return {p, events == 0 ? 0 : middle - half, events == trials ? 1 : middle + half};
}

BerCounts& BerCounts::operator+=(const BerCounts& other)
{
    bits += other.bits;
    errors += other.errors;
    frames += other.frames;
    frame_errors += other.frame_errors;
    return *this;
}

BerCounter::BerCounter(KnownSequence sequence, std::uint64_t frame_bits)
    : d_sequence(std::move(sequence)),
      d_frame_bits(frame_bits || d_sequence.is_prbs() ? frame_bits : d_sequence.period()),
      d_frame_step(d_sequence.is_prbs() ? 1 : std::min(d_frame_bits, d_sequence.period()))
{
    if (!d_sequence.is_prbs() && (d_sequence.period() % d_frame_step || d_frame_bits % d_frame_step))
        throw std::invalid_argument("frame_bits is " + std::to_string(frame_bits) +
                                    "; it must divide the known sequence of " +
                                    std::to_string(d_sequence.period()) + " bits or be a multiple of it");
}

void BerCounter::count(const std::uint8_t* bits, std::size_t n)
{
    for (std::size_t i = 0; i < n; ++i) {
        const bool bit = bits[i];
        d_ring[d_received++ % d_ring.size()] = bit;
        d_recent = d_recent << 1 | bit;
        if (d_tracking)
            compare(bit);
        if (!d_synced)
            search();
    }
}

void BerCounter::compare(bool bit)
{
    if (d_frame_left == 0 && d_frame_bits && d_position % d_frame_step == 0) {
        d_frame_left = d_frame_bits;
        d_frame_error = false;
    }
    const bool wrong = bit ^ d_inverted ^ d_sequence.bit(d_position);
    d_position = d_sequence.next(d_position);
    ++d_block.bits;
    d_block.errors += wrong;
    d_frame_error |= wrong;
    if (d_frame_left && --d_frame_left == 0) {
        ++d_block.frames;
        d_block.frame_errors += d_frame_error;
    }
    if (d_synced && d_block.bits == block_bits)
        end_block();
}

void BerCounter::end_block()
{
    if (d_block.errors > most_errors_to_stay) {
        d_synced = false; // the block goes on until synchronisation is found
        return;
    }
    (d_confirmed ? d_counted : d_trial) += d_held;
    d_held = d_block;
    d_block = {};
    if (!d_confirmed && d_trial.bits >= trial_bits)
        end_trial();
}

void BerCounter::end_trial()
{
    if (d_trial.errors > most_errors_on_trial * d_trial.bits) {
        d_tracking = d_synced = false;
        d_held = {};
    } else {
        d_confirmed = true;
        d_counted += d_trial;
    }
    d_trial = {};
}

void BerCounter::search()
{
    if (d_received < KnownSequence::located_by + block_bits)
        return;
    for (const bool inverted : {false, true}) {
        d_sequence.locate(inverted ? ~d_recent : d_recent, d_candidates);
        const auto agree = [&](auto position) { return agrees(position, inverted); };
        const auto end = std::remove_if(d_candidates.begin(), d_candidates.end(), std::not_fn(agree));
        if (end == d_candidates.begin())
            continue;
        if (d_tracking && agrees(d_position, d_inverted))
            return resume();
        if (end == d_candidates.begin() + 1) // of two that agree, later bits will choose
            return begin(d_candidates.front(), inverted);
    }
}

// Whether the bits before those that gave the position are the sequence, too.
bool BerCounter::agrees(KnownSequence::Position position, bool inverted) const
{
    for (unsigned i = 0; i < KnownSequence::located_by; ++i)
        position = d_sequence.previous(position);
    const std::uint64_t newest = d_received - 1 - KnownSequence::located_by;
    unsigned errors = 0;
    for (unsigned i = 0; i < block_bits; ++i) {
        position = d_sequence.previous(position);
        errors += d_ring[(newest - i) % d_ring.size()] ^ inverted ^ d_sequence.bit(position);
        if (i == glance && errors > most_errors_at_a_glance)
            return false;
    }
    return errors <= most_errors_to_sync;
}

// The sequence is where it would be: what was received since the loss is a burst of errors.
void BerCounter::resume()
{
    d_synced = true;
    (d_confirmed ? d_counted : d_trial) += d_held;
    d_held = d_block;
    d_block = {};
}

void BerCounter::begin(KnownSequence::Position position, bool inverted)
{
    if (d_confirmed) {
        ++d_slips;
        if (d_frame_left) {
            ++d_counted.frames;
            ++d_counted.frame_errors;
        }
    }
    d_synced = d_tracking = true;
    d_confirmed = false;
    d_position = position;
    d_inverted = inverted;
    d_frame_left = 0;
    d_trial = d_held = d_block = {};
}

void BerCounter::finish()
{
    if (!d_synced)
        return;
    d_held += d_trial;
    if (d_block.errors <= std::max<std::uint64_t>(d_block.bits * most_errors_to_stay / block_bits, 8))
        d_held += d_block;
    if (d_confirmed || d_held.errors <= most_errors_on_trial * d_held.bits)
        d_counted += d_held;
    d_trial = d_held = d_block = {};
}

void BerCounter::reset()
{
    *this = BerCounter(std::move(d_sequence), d_frame_bits);
}

} // namespace softmod
