// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <cstdint>

namespace gr::softmod
{

/*!
 * \brief Scales samples to a mean power of 1, as fast at any level.
 * \ingroup softmod
 *
 * The time constant of GNU Radio's own AGC blocks is in proportion to the level of their input. This one
 * averages the power over `length` samples, starts again from the last `length / 16` when a burst begins or
 * ends (their power is off by more than 4 dB), and leaves digital silence silent. The first sample is scaled
 * already.
 */
class SOFTMOD_API agc_cc : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<agc_cc> sptr;

    /*!
     * \param length samples that the power is averaged over, at least 16.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(unsigned length = 1024);

    //! What the latest sample was multiplied by.
    virtual float gain() const = 0;
};

} // namespace gr::softmod
