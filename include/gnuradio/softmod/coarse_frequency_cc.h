// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

namespace gr::softmod
{

/*!
 * \brief Takes a signal of known pulse shape to frequency 0 by the shape of its spectrum.
 * \ingroup softmod
 *
 * The power spectrum of every 512 symbols is compared with that of a root raised cosine pulse, for any
 * constellation. The standard deviation of one look is 0.02 to 0.03 of the symbol rate at 0 dB Es/N0 and 0.01
 * at 10 dB. Until a signal is found 512 symbols are held back, then nothing; the frequency follows an average
 * of later looks at `slew` and jumps when the signal does.
 *
 * Stream tag `coarse_frequency` (double, hertz) every 512 symbols: what is taken off from here on.
 */
class SOFTMOD_API coarse_frequency_cc : virtual public gr::block
{
public:
    typedef std::shared_ptr<coarse_frequency_cc> sptr;

    /*!
     * \param samples_per_symbol of the input: 2, 4 or 8.
     * \param symbol_rate in hertz; 1: all frequencies in cycles a symbol.
     * \param max_offset in hertz, how far off the signal may be; positive, and so small that the signal stays
     *        within half the sample rate.
     * \param excess_bandwidth of the pulse, in (0, 1].
     * \param slew most change once the signal is found, in symbol rates a symbol.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(unsigned samples_per_symbol, double symbol_rate, double max_offset,
                     double excess_bandwidth = 0.35, double slew = 1e-7);

    //! What is being taken off, in hertz.
    virtual double frequency() const = 0;
    //! Whether there is a signal.
    virtual bool found() const = 0;
};

} // namespace gr::softmod
