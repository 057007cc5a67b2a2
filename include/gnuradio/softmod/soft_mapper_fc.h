// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_SOFT_MAPPER_FC_H
#define INCLUDED_SOFTMOD_SOFT_MAPPER_FC_H

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <cstdint>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief LLRs to expected symbols: the inverse of the soft demapper.
 * \ingroup softmod
 *
 * Takes m = log2(points) LLRs (float), most significant bit of the label first, llr = ln P(b = 1) / P(b = 0),
 * and gives
 *
 *     output 0 (complex):              E[s] = sum over labels of P(label) * points[label]
 *     output 1 (float, may stay unconnected):   E|s - E[s]|^2, 0 for certain bits, 1 for unknown ones
 *
 * with bits taken as independent. LLRs of plus or minus infinity (or large ones) give the points themselves,
 * so hard bits as -100 and 100 are modulated as by any mapper; decoder output gives the soft symbols that
 * interference cancellation and turbo equalisation need. NaN counts as 0; it is counted (invalid_count) and
 * told on the message port `status` (a dictionary with block, severity, reason, count) at most once a second.
 *
 * The constellation may change while running, at a symbol boundary: by the setter, by the message port
 * `constellation` (a c32vector of points by label, or a pair (constellation . c32vector)), or by the stream
 * tag `constellation` (a c32vector) on the first LLR of a symbol; on another LLR it waits for the next
 * symbol. A message or tag that cannot be used changes nothing and is told on `status`. Tags go on to the
 * symbol of their LLR.
 */
class SOFTMOD_API soft_mapper_fc : virtual public gr::block
{
public:
    typedef std::shared_ptr<soft_mapper_fc> sptr;

    /*!
     * \param constellation points by label, 2^m of them, scaled here to E|s|^2 = 1; in Python also a name, a
     *        Constellation or a GNU Radio constellation object
     * \throws std::invalid_argument a parameter is out of its range
     */
    static sptr make(const std::vector<gr_complex>& constellation);

    //! Points by label, 2^m of them, scaled here to E|s|^2 = 1. \throws std::invalid_argument
    virtual void set_constellation(const std::vector<gr_complex>& points) = 0;
    //! Points by label, at E|s|^2 = 1.
    virtual std::vector<gr_complex> constellation() const = 0;
    //! m, how many LLRs a symbol takes.
    virtual unsigned bits_per_symbol() const = 0;

    //! LLRs so far that were NaN.
    virtual std::uint64_t invalid_count() const = 0;
};

} // namespace gr::softmod

#endif
