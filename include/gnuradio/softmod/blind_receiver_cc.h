// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Samples of a signal of which nothing is known to symbols of the constellation it turns out to have.
 * \ingroup softmod
 *
 * Symbol rate and frequency are estimated blindly and followed from signal to signal; then come matched
 * filter, timing and carrier. The constellation is the candidate under which the symbols are likeliest, and
 * may change. Samples are held back until it is known whose they are, and symbols until it is known of which
 * constellation, so that the first ones of a burst are not lost. Samples of no signal come to nothing.
 *
 * Stream tags: where a signal begins, `symbol_rate` (double, hertz), `center` (double, hertz) and
 * `sample_index` (uint64, of the input); where the lock or the constellation changes, `locked` (PMT bool),
 * `constellation` (c32vector of points by label) and `sample_index`; `noise_var` (double) with them and every
 * 256 symbols.
 *
 * Messages on `status`: dictionaries with block, severity, reason ("signal", "locked", "lock lost",
 * "tracking"), locked (bool), sample_index and symbol (uint64), decided_at (uint64, samples of the input that
 * had been taken then), symbol_rate and frequency (double, hertz), and with lock constellation (name),
 * noise_var, esn0_db, margin (double, nats by which this constellation led the next) and in_doubt (uint64,
 * symbols before this one that it explains better than the one they were put out with). Messages on
 * `estimate`: a dictionary for each look at symbol rate and frequency, with sample_index, symbol_rate,
 * rate_quality_db, center, carrier, bandwidth and snr_db. Messages to `log_priors`: a dictionary of
 * candidates' names and log-probabilities; candidates it does not name get the smallest of those it does.
 */
class SOFTMOD_API blind_receiver_cc : virtual public gr::block
{
public:
    typedef std::shared_ptr<blind_receiver_cc> sptr;

    /*!
     * \param names of the candidates.
     * \param constellations of the candidates: points by label; scaled to E|s|^2 = 1.
     * \param sample_rate of the input, in hertz.
     * \param excess_bandwidth roll-off of the root raised cosine pulse, in (0, 1].
     * \param lowest_symbol_rate in hertz; signals with fewer symbols a second are none.
     * \param highest_symbol_rate in hertz; 0: 0.8 of the sample rate.
     * \param timing_bandwidth noise bandwidth of the timing loop over the symbol rate, in (0, 0.1].
     * \param carrier_bandwidth noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2].
     * \param length samples that an estimate of symbol rate and frequency looks at: a power of two from 4096
     * to 2^20; a signal must be there for one and a half times as long. \param window symbols that a search
     * for the constellation looks at: a power of two from 256 to 8192. \param margin nats by which the
     * likeliest constellation must lead the next one. \param agreeing searches in a row that must find the
     * same constellation. \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(const std::vector<std::string>& names,
                     const std::vector<std::vector<gr_complex>>& constellations, double sample_rate,
                     double excess_bandwidth = 0.35, double lowest_symbol_rate = 0.0,
                     double highest_symbol_rate = 0.0, double timing_bandwidth = 0.002,
                     double carrier_bandwidth = 0.01, unsigned length = 16384, unsigned window = 1024,
                     double margin = 20.0, unsigned agreeing = 2);

    //! Whether the carrier of a signal is found.
    virtual bool locked() const = 0;
    //! Name of the latest constellation; empty before the first.
    virtual std::string constellation() const = 0;
    //! Samples in which no signal was found.
    virtual std::uint64_t without_signal() const = 0;
    //! Samples that were not finite and count as 0.
    virtual std::uint64_t invalid_count() const = 0;
};

} // namespace gr::softmod
