// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <vector>

namespace gr::softmod
{

/*!
 * \brief Timed samples of any constellation to symbols: carrier phase, amplitude and an optional equaliser.
 * \ingroup softmod
 *
 * The input has one sample a symbol, or two when there is an equaliser; the output one, with E|s|^2 = 1, in
 * phase with the constellation up to a turn of 2 pi / symmetry(). Without lock, up to 2 * acquisition symbols
 * are held back, and with lock none; a lock works backward over what is held, so that bursts are whole.
 *
 * The stream tag `coarse_frequency` (number) is added to what is reported as frequency.
 * Stream tag `locked` (PMT bool) where the lock changes; `noise_var` (double) where it begins and every 256
 * symbols. Messages on `status`, when the lock changes and every 16384 symbols: a dictionary with block,
 * severity, reason, locked (bool), frequency (double, in the unit of symbol_rate), noise_var and esn0_db
 * (double).
 */
class SOFTMOD_API symbol_recovery_cc : virtual public gr::block
{
public:
    typedef std::shared_ptr<symbol_recovery_cc> sptr;

    /*!
     * \param constellation points by label; scaled to E|s|^2 = 1.
     * \param rotation radians that the constellation turns each symbol; it is undone.
     * \param symbol_rate what the reported frequency is in proportion to; 1: cycles a symbol.
     * \param equalizer_taps 1: none, and one sample a symbol; odd and more: two samples a symbol.
     * \param loop_bandwidth noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2].
     * \param acquisition symbols that one search for the carrier looks at, a power of two from 64 to 16384;
     *        0: what the constellation needs.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(const std::vector<gr_complex>& constellation, double rotation = 0.0,
                     double symbol_rate = 1.0, unsigned equalizer_taps = 1, double loop_bandwidth = 0.01,
                     unsigned acquisition = 0);

    /*!
     * \param loop_bandwidth noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2].
     * \throws std::invalid_argument a parameter is out of its range.
     */
    virtual void set_loop_bandwidth(double loop_bandwidth) = 0;
    //! Whether the carrier is found.
    virtual bool locked() const = 0;
    //! Offset of the carrier, in the unit of symbol_rate.
    virtual double frequency() const = 0;
    //! E|n|^2 around the latest symbols, by soft decisions; 100 without lock.
    virtual double noise_var() const = 0;
    //! Turns by 2 pi / symmetry leave the constellation as it is.
    virtual unsigned symmetry() const = 0;
};

} // namespace gr::softmod
