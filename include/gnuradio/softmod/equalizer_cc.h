// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_EQUALIZER_CC_H
#define INCLUDED_SOFTMOD_EQUALIZER_CC_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_decimator.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Linear equaliser whose taps climb the demapper's likelihood.
 * \ingroup softmod
 *
 * After every symbol y = w * x the taps take a step along the gradient of
 *
 *     ln p(y) = ln sum_s exp(-|y - s|^2 / noise_var)
 *
 * which is (E[s | y] - y) conj(x) / noise_var: the decision of decision-directed LMS gives way to the symbol
 * that the demapper expects, so doubtful symbols count for less. Steps are normalised by the power of the
 * samples in the filter. The noise variance at the output may be given, or is estimated by the same
 * likelihood.
 *
 * For comparison, and for the start, there are also decision-directed LMS ("decision") and the constant
 * modulus algorithm ("modulus"); the first `acquisition` symbols are always adapted by the latter, which
 * needs neither open eyes nor a locked carrier.
 *
 * Input: samples_per_symbol samples a symbol, at a mean power near 1. Output: one sample a symbol. The middle
 * tap begins at 1; tags move with the signal.
 *
 * Messages on `noise_var` (a number, a pair (noise_var . number) or a dictionary with that key) and on
 * `constellation` (a c32vector of points by label, or a pair (constellation . c32vector)) set those. One that
 * cannot be used changes nothing, is logged, and is told on the message port `status`: a dictionary with
 * block, severity and reason. Samples that are NaN or infinite count as 0; they are counted (invalid_count),
 * and told there with the key `count`, at most once a second.
 */
class SOFTMOD_API equalizer_cc : virtual public gr::sync_decimator
{
public:
    typedef std::shared_ptr<equalizer_cc> sptr;

    /*!
     * \param constellation points by label, scaled here to E|s|^2 = 1; in Python also a name, a Constellation
     * or a GNU Radio constellation object \param taps of the filter, over samples, 1 to 1024 \param
     * samples_per_symbol 1 to 64 \param step above 0 and at most 1, which would undo the whole error of a
     * symbol \param method "likelihood", "decision" or "modulus" \param noise_var E|n|^2 at the output; 0:
     * estimated \param acquisition how many symbols are first adapted by the constant modulus \throws
     * std::invalid_argument a parameter is out of its range
     */
    static sptr make(const std::vector<gr_complex>& constellation, unsigned taps = 11,
                     unsigned samples_per_symbol = 1, float step = 0.01f,
                     const std::string& method = "likelihood", float noise_var = 0,
                     unsigned acquisition = 3000, bool adapting = true);

    //! Points by label, 2^m of them, scaled here to E|s|^2 = 1. \throws std::invalid_argument
    virtual void set_constellation(const std::vector<gr_complex>& points) = 0;
    //! Points by label, at E|s|^2 = 1.
    virtual std::vector<gr_complex> constellation() const = 0;

    //! Above 0 and at most 1. \throws std::invalid_argument
    virtual void set_step(float step) = 0;
    //! Share of a symbol's error that one step undoes.
    virtual float step() const = 0;

    //! "likelihood", "decision" or "modulus". \throws std::invalid_argument
    virtual void set_method(const std::string& method) = 0;
    //! "likelihood", "decision" or "modulus".
    virtual std::string method() const = 0;

    //! E|n|^2 at the output, positive and finite, or 0 to have it estimated. \throws std::invalid_argument
    virtual void set_noise_var(float noise_var) = 0;
    //! As it was set.
    virtual float noise_var() const = 0;

    //! Whether the taps move.
    virtual void set_adapting(bool adapting) = 0;
    //! Whether the taps move.
    virtual bool adapting() const = 0;

    //! The middle tap 1, all others 0, and acquisition begins anew.
    virtual void reset() = 0;
    //! The taps, newest sample first.
    virtual std::vector<gr_complex> taps() const = 0;
    //! Running mean of |y - s|^2 over some 500 symbols, s as the demapper believes: the noise at the output.
    virtual float error_power() const = 0;
    //! Samples so far that were not finite.
    virtual std::uint64_t invalid_count() const = 0;
};

} // namespace gr::softmod

#endif
