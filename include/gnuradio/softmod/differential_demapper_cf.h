// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <vector>

namespace gr::softmod
{

/*!
 * \brief Symbols of differentially coded PSK to log-likelihood ratios ln P(1)/P(0).
 * \ingroup softmod
 *
 * The LLRs are those of the label whose point's phase, counted from that of label 0, is the turn from one
 * symbol to the next; BPSK: 1 is a change. Exact for coherently recovered symbols, and blind to the carrier's
 * phase ambiguity.
 *
 * The noise variance E|n|^2 comes from the parameter, from stream tags `noise_var` (double) or from messages
 * on the port `noise_var` (a number, or a pair or dictionary with that key). Stream tags `constellation`
 * (c32vector of points by label) and messages on the port of that name change the points, and with them the
 * number of LLRs a symbol; the LLRs of points that are no PSK are 0. Bad values are reported on `status` and
 * ignored.
 */
class SOFTMOD_API differential_demapper_cf : virtual public gr::block
{
public:
    typedef std::shared_ptr<differential_demapper_cf> sptr;

    /*!
     * \param constellation PSK points by label.
     * \param noise_var E|n|^2 of the complex noise where E|s|^2 = 1; positive and finite.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(const std::vector<gr_complex>& constellation, double noise_var = 1.0);

    /*!
     * Holds until a tag or a message says otherwise.
     * \param noise_var E|n|^2 of the complex noise where E|s|^2 = 1; positive and finite.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    virtual void set_noise_var(double noise_var) = 0;
    //! E|n|^2 that the next symbol without a tag is demapped with.
    virtual double noise_var() const = 0;
};

} // namespace gr::softmod
