// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

namespace gr::softmod
{

/*!
 * \brief Samples behind a matched filter, 4 a symbol at a mean power of 1, to samples at the symbols.
 * \ingroup softmod
 *
 * Without lock, up to 2 * acquisition symbols are held back while the line of the symbol clock is searched;
 * with lock nothing is, and a lock works backward over what is held, so that bursts are whole.
 */
class SOFTMOD_API timing_recovery_cc : virtual public gr::block
{
public:
    typedef std::shared_ptr<timing_recovery_cc> sptr;

    /*!
     * \param excess_bandwidth of the pulse, in (0, 1].
     * \param loop_bandwidth noise bandwidth of the loop over the symbol rate, in (0, 0.1].
     * \param outputs_per_symbol 1, or 2: also the sample halfway to the next symbol.
     * \param largest_clock_error as a share of the symbol rate, up to 0.05.
     * \param acquisition symbols that one search looks at, a power of two from 128 to 16384;
     *        0: what the excess bandwidth needs.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(double excess_bandwidth = 0.35, double loop_bandwidth = 0.002,
                     unsigned outputs_per_symbol = 1, double largest_clock_error = 0.005,
                     unsigned acquisition = 0);

    /*!
     * \param loop_bandwidth noise bandwidth of the loop over the symbol rate, in (0, 0.1].
     * \throws std::invalid_argument a parameter is out of its range.
     */
    virtual void set_loop_bandwidth(double loop_bandwidth) = 0;
    //! Whether the symbol clock is found.
    virtual bool locked() const = 0;
    //! How much longer a symbol is than 4 samples, as a share of it.
    virtual double clock_error() const = 0;
};

} // namespace gr::softmod
