// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_NOISE_ESTIMATOR_CC_H
#define INCLUDED_SOFTMOD_NOISE_ESTIMATOR_CC_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <cstdint>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Blind noise variance, Es/N0 and level of symbols of any constellation; the symbols pass on.
 * \ingroup softmod
 *
 * Maximum likelihood for y = gain * s + n, s equiprobable over the points, n complex white Gaussian of
 * E|n|^2 = noise_var. No decisions are taken, so nothing is biased where decisions fail; the level need not
 * be right. Whatever a carrier loop leaves of phase counts as noise, as it should for a demapper behind it.
 *
 * Input and output: symbols (complex), one sample a symbol. Every `period` symbols, and at first after 256,
 * 512, 1024, ... of them, an estimate is made of the most recent symbols: of as many as its standard error of
 * `accuracy_db` needs, at most `max_symbols`. It is given out as
 * - stream tags `noise_var` and `esn0_db` (doubles) on the next symbol;
 * - a message on `noise_var`: a dictionary of noise_var, esn0_db (10 log10 of gain^2 / noise_var), gain,
 * std_db (the standard error of esn0_db), symbols (how many were used) and offset (of the symbol tagged).
 *
 * With `normalize`, symbols leave divided by the latest gain, from the tagged symbol on, and noise_var is
 * that of what leaves: what a soft demapper behind needs when the level is not right. (An AGC to unit power
 * sets signal plus noise to 1, so its symbols are too small at low Es/N0.)
 *
 * Within 0.5 dB (some five standard errors) with the default settings: BPSK from -3 dB Es/N0, QPSK and 8-PSK
 * from 0, 16-QAM from 3, 16-PSK and 64-QAM from 6, 256-QAM from 21, 1024-QAM from 30, each up to 60 dB.
 * Denser constellations and lower Es/N0 need more symbols. Es/N0 is bounded to -20 .. 90 dB.
 *
 * The message port `constellation` (a c32vector of points by label, or a pair (constellation . c32vector))
 * and the stream tag `constellation` (a c32vector, at its symbol) change the constellation; the estimate then
 * starts anew. Symbols that are NaN or infinite pass on but are left out, counted (invalid_count), and told
 * on the message port `status`, as are messages and tags that cannot be used, and stretches without any
 * signal (no estimate is made there).
 */
class SOFTMOD_API noise_estimator_cc : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<noise_estimator_cc> sptr;

    /*!
     * \param constellation points by label, 2^m of them, scaled here to E|s|^2 = 1; in Python also a name, a
     *        Constellation or a GNU Radio constellation object
     * \param period symbols from one estimate to the next, at least 64
     * \param normalize divide the symbols by the estimated gain
     * \param max_symbols most recent symbols an estimate may use, at least 64; of a longer period so many are
     *        used, spread evenly
     * \param accuracy_db standard error of Es/N0 in dB at which no more symbols are taken; 0 takes all
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make(const std::vector<gr_complex>& constellation, std::uint64_t period = 4096,
                     bool normalize = false, std::uint64_t max_symbols = 32768, double accuracy_db = 0.1);

    //! Another constellation; the estimate starts anew. \throws std::invalid_argument
    virtual void set_constellation(const std::vector<gr_complex>& points) = 0;
    //! Points by label, at E|s|^2 = 1.
    virtual std::vector<gr_complex> constellation() const = 0;

    //! Symbols from one estimate to the next, at least 64. \throws std::invalid_argument
    virtual void set_period(std::uint64_t period) = 0;
    //! Symbols from one estimate to the next.
    virtual std::uint64_t period() const = 0;

    //! Whether symbols leave divided by the estimated gain.
    virtual void set_normalize(bool normalize) = 0;
    //! Whether symbols leave divided by the estimated gain.
    virtual bool normalize() const = 0;

    //! E|n|^2 of the symbols that leave, as estimated latest; NaN before the first estimate.
    virtual double noise_var() const = 0;
    //! 10 log10 of gain^2 / noise variance, as estimated latest; NaN before the first estimate.
    virtual double esn0_db() const = 0;
    //! Level of the symbols that come, as estimated latest; NaN before the first estimate.
    virtual double gain() const = 0;

    //! Symbols so far that were not finite.
    virtual std::uint64_t invalid_count() const = 0;
};

} // namespace gr::softmod

#endif
