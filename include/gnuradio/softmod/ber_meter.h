// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_BER_METER_H
#define INCLUDED_SOFTMOD_BER_METER_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Bit and frame error rate against a known sequence, with 95 % intervals.
 * \ingroup softmod
 *
 * Input: soft bits (float LLRs, positive means 1; NaN and 0 are taken as 0), or hard bits (bytes, the lowest
 * bit counts).
 *
 * The known sequence is a PRBS of ITU-T O.150 (x^9 + x^5 + 1, x^15 + x^14 + 1, x^23 + x^18 + 1, x^31 + x^28 +
 * 1) or given bits, repeated for ever. The stream may begin anywhere in it and in either polarity: the meter
 * finds out, at bit error rates up to 0.2, from about 320 bits, and counts from there on once 2048 more have
 * confirmed it. O.150 sends the PRBS of 15, 23 and 31 stages inverted, so a standard generator of these reads
 * as inverted.
 *
 * When bits are lost or added, or the polarity turns, the meter synchronises anew; what came while it was
 * lost is not counted, as it says nothing of the channel. A burst of errors after which the sequence goes on
 * where it should is counted in full.
 *
 * Frames are runs of frame_bits bits: of given bits from the start of a repetition on, of a PRBS from where
 * it was found. A frame is in error when any bit is. A slip counts as one frame in error.
 *
 * Every `period` bits and at the end, a message on `ber`: a dictionary of bits, errors, ber, ber_low,
 * ber_high, frames, frame_errors, fer, fer_low, fer_high, synced, inverted, slips. Rates are NaN before
 * anything was counted. The intervals are Wilson's, of 95 %; they hold for independent errors. Behind a
 * decoder errors come in bursts: there trust the interval of the frame error rate. The message port `status`
 * tells of synchronisation gained and lost. Any message on `reset` starts the count anew.
 */
class SOFTMOD_API ber_meter : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<ber_meter> sptr;

    //! What has been counted so far, as in the message.
    struct result {
        std::uint64_t bits, errors;
        double ber, ber_low, ber_high;
        std::uint64_t frames, frame_errors;
        double fer, fer_low, fer_high;
        bool synced, inverted;
        std::uint64_t slips;
    };

    /*!
     * \param stages of the PRBS: 9, 15, 23 or 31
     * \param soft true: the input is float LLRs; false: bytes
     * \param frame_bits bits of a frame; 0: no frames
     * \param period bits from one message to the next
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make_prbs(unsigned stages, bool soft = true, std::uint64_t frame_bits = 0,
                          std::uint64_t period = 100000);

    /*!
     * \param bits the known sequence, each 0 or 1
     * \param soft true: the input is float LLRs; false: bytes
     * \param frame_bits bits of a frame, dividing the number of bits or a multiple of it; 0: all of them
     * \param period bits from one message to the next
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make_bits(const std::vector<std::uint8_t>& bits, bool soft = true,
                          std::uint64_t frame_bits = 0, std::uint64_t period = 100000);

    //! What was counted so far; in Python a dictionary with the keys of the message.
    virtual result counts() const = 0;
    //! Starts the count and the synchronisation anew.
    virtual void reset() = 0;

    //! Bits from one message to the next, at least 1. \throws std::invalid_argument
    virtual void set_period(std::uint64_t period) = 0;
    //! Bits from one message to the next.
    virtual std::uint64_t period() const = 0;
};

} // namespace gr::softmod

#endif
