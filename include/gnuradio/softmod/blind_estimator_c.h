// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_BLIND_ESTIMATOR_C_H
#define INCLUDED_SOFTMOD_BLIND_ESTIMATOR_C_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <cstdint>

namespace gr::softmod
{

/*!
 * \brief Symbol rate, place and carrier of a signal of which nothing is known.
 * \ingroup softmod
 *
 * A sink. Every `period` samples, a block of `length` of them is looked at; where the strongest signal of its
 * spectrum stands out, a message goes to `estimate`: a dictionary of
 * - symbol_rate (hertz; 0: no symbol clock was found, as in analogue signals) and rate_quality_db (of the
 *   clock's spectral line over what surrounds it);
 * - center and bandwidth (hertz): between the points of half the power density, relative to the stream's
 *   middle;
 * - carrier (hertz), known up to multiples of symbol_rate / carrier_order; carrier_order is the power of the
 *   symbols that has a spectral line (2: BPSK, PAM; 4: QPSK, QAM; 8: 8-PSK; 0: none was found, and carrier is
 *   the center), carrier_quality_db;
 * - snr_db: power of the signal over that of the noise in `bandwidth`, about Es/N0;
 * - active: share of the samples that was not silence between bursts;
 * - sample_index of the block's first sample, length, and, where tags have told them, rx_time (of that
 *   sample) and rx_freq (hertz, of the stream's middle).
 *
 * Linear modulations (PSK, QAM, PAM, ASK) have a rate from 1.3 samples a symbol up, if a block holds 256
 * symbols, better 2000. docs/blind.md has the accuracy.
 *
 * `live` is for sources that cannot wait: estimates are made on a thread of their own, and a block that comes
 * while it is busy is skipped and counted.
 *
 * The stream tags rx_time, rx_freq and rx_rate (where sample_rate is 0) are read. Samples that are not finite
 * count as 0. `status` tells of tags that could not be used.
 */
class SOFTMOD_API blind_estimator_c : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<blind_estimator_c> sptr;

    //! What became of blocks.
    struct tally {
        std::uint64_t estimated, without_signal, skipped;
    };

    /*!
     * \param sample_rate of the input, in hertz; 0: what tags rx_rate say, and 1 until one came
     * \param length samples of a block, a power of two from 4096 to 2^20
     * \param period samples from the start of one block to the next, at least length; 0: length
     * \param live skip blocks rather than let the source wait
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make(double sample_rate = 0, std::uint64_t length = 65536, std::uint64_t period = 0,
                     bool live = false);

    //! Samples from the start of one block to the next, from the next block on; 0: length.
    //! \throws std::invalid_argument
    virtual void set_period(std::uint64_t period) = 0;
    //! Samples from the start of one block to the next.
    virtual std::uint64_t period() const = 0;
    //! What became of blocks so far.
    virtual tally counts() const = 0;
};

} // namespace gr::softmod

#endif
