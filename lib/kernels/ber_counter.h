// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "known_sequence.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace softmod
{

//! A rate and the ends of its 95 % confidence interval.
struct Rate {
    double value, low, high;
};

/*! Share of `events` among `trials`, with Wilson's score interval; NaN within 0 .. 1 for no trials.
 *
 * The interval holds for independent trials. Bit errors behind a decoder come in bursts: there the rate of
 * frames is the one to trust. Source: E. B. Wilson, "Probable inference, the law of succession, and
 * statistical inference", J. Am. Stat. Assoc. 22 (1927).
 */
Rate rate_of(std::uint64_t events, std::uint64_t trials);

struct BerCounts {
    std::uint64_t bits = 0, errors = 0, frames = 0, frame_errors = 0;
    BerCounts& operator+=(const BerCounts& other);
};

/*! Compares received bits with a known sequence, at whatever place of it they begin and in either polarity.
 *
 * Synchronisation: the last bits say where the sequence may be, the 256 before them whether it is (at most 30
 * % of them wrong; a random stream passes once in 10^10 trials). The next 2048 are a trial: more than 26 % of
 * errors there mean that the place was wrong after all, as it may be when errors made one PRBS register look
 * like another. Error rates up to 0.2 are found and held.
 *
 * From then on blocks of 256 bits are compared. One with more than 35 % of errors means that synchronisation
 * is lost. When it is found again where it would have been, there was a burst of errors, and those count.
 * When it is found elsewhere, bits were slipped: the two latest blocks before the loss and all since then do
 * not count (they say nothing of the channel), a slip does, and so does the frame it broke, as one in error.
 * For this, a block counts only when the one after it is good, or when finish() is called.
 *
 * Given bits should look random: where they are constant for hundreds of bits, errors may put them at a wrong
 * place first, which shows as a slip.
 *
 * Frames: of given bits, from the start of a repetition on; of a PRBS, from where it was found.
 */
class BerCounter
{
public:
    //! \param frame_bits 0: the period of given bits, no frames for a PRBS
    //! \throws std::invalid_argument when frames of given bits would not begin at the same places each time
    explicit BerCounter(KnownSequence sequence, std::uint64_t frame_bits = 0);

    //! n bits, each 0 or 1.
    void count(const std::uint8_t* bits, std::size_t n);
    //! Counts what is held back at the end of a stream.
    void finish();
    //! Forgets everything, synchronisation too.
    void reset();

    const BerCounts& counts() const { return d_counted; }
    //! Whether bits are being counted: synchronised, and past the trial.
    bool synced() const { return d_synced && d_confirmed; }
    //! Whether the bits are the complement of the sequence; false before it was found.
    bool inverted() const { return d_inverted; }
    std::uint64_t slips() const { return d_slips; }
    std::uint64_t frame_bits() const { return d_frame_bits; }

private:
    static constexpr unsigned block_bits = 256;

    void compare(bool bit);
    void end_block();
    void end_trial();
    void search();
    bool agrees(KnownSequence::Position position, bool inverted) const;
    void resume();
    void begin(KnownSequence::Position position, bool inverted);

    KnownSequence d_sequence;
    std::uint64_t d_frame_bits, d_frame_step; // frames begin where the position is a multiple of the step

    // received lately: a ring, and its newest 64 bits as a word
    std::array<std::uint8_t, 512> d_ring{};
    std::uint64_t d_received = 0;
    KnownSequence::Recent d_recent = 0;
    std::vector<KnownSequence::Position> d_candidates;

    // where the sequence is, or would be had it not been lost
    bool d_tracking = false, d_synced = false, d_confirmed = false, d_inverted = false;
    KnownSequence::Position d_position = 0;
    std::uint64_t d_slips = 0;

    // frame under way
    bool d_frame_error = false;
    std::uint64_t d_frame_left = 0;

    // sure; on trial; the block before; the block under way, or all since a loss
    BerCounts d_counted, d_trial, d_held, d_block;
};

} // namespace softmod
