// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_FINITE_CC_H
#define INCLUDED_SOFTMOD_FINITE_CC_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <cstdint>

namespace gr
{
namespace softmod
{

/*!
 * \brief Replaces samples that are NaN or infinite by 0, counts them, and tags where they were.
 * \ingroup softmod
 *
 * One NaN silences every recursive block behind it (AGC, PLL, clock recovery) for ever, so this block stands
 * before them. The tag `erasure` is true (PMT bool) at the first replaced sample, and false where `hold`
 * finite samples have followed the last one: so much memory do the filters behind this block have. Spans
 * nearer to each other than `hold` become one, which bounds the number of tags.
 */
class SOFTMOD_API finite_cc : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<finite_cc> sptr;

    /*!
     * \param hold finite samples after the last replaced one that still belong to its erasure; at least 1.
     * \throws std::invalid_argument when hold is 0.
     */
    static sptr make(std::uint64_t hold = 64);

    //! Samples replaced so far. May be called from any thread.
    virtual std::uint64_t replaced() const = 0;
};

} // namespace softmod
} // namespace gr

#endif
