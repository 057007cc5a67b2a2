// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_SOFT_DEMAPPER_H
#define INCLUDED_SOFTMOD_SOFT_DEMAPPER_H

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Symbols to log-likelihood ratios (LLRs); what soft_demapper_cf and soft_demapper_cb have in common.
 * \ingroup softmod
 *
 * Every symbol y gives m = log2(points) LLRs, most significant bit of the label first:
 *
 *     llr[k] = ln P(b_k = 1 | y) - ln P(b_k = 0 | y),  P(y | s) proportional to exp(-|y - s|^2 / noise_var)
 *
 * so a positive LLR means 1, and 1 / (1 + exp(-llr)) is the probability of a 1. gr-fec's decoders take this
 * sign.
 *
 * Inputs: 0, symbols (complex), one sample a symbol at E|s|^2 = 1; 1 (may stay unconnected), LLRs (float) of
 * the bits known beforehand, m a symbol. With it, the output is a posteriori: subtract the input for the
 * extrinsic part. Output: m LLRs a symbol.
 *
 * Noise variance and constellation may change while running, the latest of these counting:
 * - setters, effective at a symbol boundary;
 * - messages on `noise_var` (a number, a pair (noise_var . number) or a dictionary with that key) and on
 *   `constellation` (a c32vector of points by label, or a pair (constellation . c32vector)), likewise;
 * - stream tags `noise_var` (a number) and `constellation` (a c32vector), from exactly the tagged symbol on.
 *
 * A constellation of other size changes how many LLRs a symbol gives; tags keep pointing at the first LLR of
 * their symbol. A message or tag that cannot be used (wrong type, a point or noise variance that is not
 * finite, a noise variance that is not positive) changes nothing, is logged, and is told on the message port
 * `status`: a dictionary with block, severity and reason.
 *
 * A symbol that is NaN or infinite gives LLRs of 0. Those are counted (invalid_count), and told on `status`
 * with the key `count`, at most once a second.
 *
 * The block has no memory: a constellation that turns from symbol to symbol (pi/4-QPSK) must be turned back
 * and an offset one (OQPSK) have its delay undone before it.
 */
class SOFTMOD_API soft_demapper : virtual public gr::block
{
public:
    //! Points by label, 2^m of them, scaled here to E|s|^2 = 1. \throws std::invalid_argument
    virtual void set_constellation(const std::vector<gr_complex>& points) = 0;
    //! Points by label, at E|s|^2 = 1.
    virtual std::vector<gr_complex> constellation() const = 0;
    //! m, how many LLRs a symbol gives.
    virtual unsigned bits_per_symbol() const = 0;

    //! E|n|^2 of the complex noise, positive and finite. \throws std::invalid_argument
    virtual void set_noise_var(float noise_var) = 0;
    //! E|n|^2 that the next symbol is demapped with.
    virtual float noise_var() const = 0;

    //! "exact" (log-MAP) or "maxlog" (the nearest point of each bit value alone). \throws
    //! std::invalid_argument
    virtual void set_method(const std::string& method) = 0;
    //! "exact" or "maxlog".
    virtual std::string method() const = 0;

    //! Symbols so far whose LLRs are 0 because a sample was not finite.
    virtual std::uint64_t invalid_count() const = 0;
};

/*!
 * \brief Symbols to log-likelihood ratios as float.
 * \ingroup softmod
 * \copydetails gr::softmod::soft_demapper
 */
class SOFTMOD_API soft_demapper_cf : virtual public soft_demapper
{
public:
    typedef std::shared_ptr<soft_demapper_cf> sptr;

    /*!
     * \param constellation points by label, 2^m of them, scaled here to E|s|^2 = 1; in Python also a name, a
     *        Constellation or a GNU Radio constellation object
     * \param noise_var E|n|^2 of the complex noise, until a tag or message tells another
     * \param method "exact" (log-MAP) or "maxlog"
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make(const std::vector<gr_complex>& constellation, float noise_var = 1,
                     const std::string& method = "exact");
};

/*!
 * \brief Symbols to log-likelihood ratios as int8: llr * scale, rounded and saturated to -127 .. 127.
 * \ingroup softmod
 * \copydetails gr::softmod::soft_demapper
 */
class SOFTMOD_API soft_demapper_cb : virtual public soft_demapper
{
public:
    typedef std::shared_ptr<soft_demapper_cb> sptr;

    /*!
     * \param constellation points by label, 2^m of them, scaled here to E|s|^2 = 1; in Python also a name, a
     *        Constellation or a GNU Radio constellation object
     * \param noise_var E|n|^2 of the complex noise, until a tag or message tells another
     * \param scale what an LLR of 1 becomes, positive; 8 saturates at LLRs of 15.9
     * \param method "exact" (log-MAP) or "maxlog"
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make(const std::vector<gr_complex>& constellation, float noise_var = 1, float scale = 8,
                     const std::string& method = "exact");

    //! What an LLR of 1 becomes, positive and finite. \throws std::invalid_argument
    virtual void set_scale(float scale) = 0;
    //! What an LLR of 1 becomes.
    virtual float scale() const = 0;
};

} // namespace gr::softmod

#endif
