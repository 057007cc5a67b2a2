// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_CHANNELIZER_CC_H
#define INCLUDED_SOFTMOD_CHANNELIZER_CC_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_decimator.h>

#include <vector>

namespace gr
{
namespace softmod
{

/*!
 * \brief Splits a band into channels of equal width, each at its own rate, in one pass over the samples.
 * \ingroup softmod
 *
 * Output n is what lies n / channels of the sample rate above the middle of the band (those of the upper half
 * of numbers below it), brought down to zero, filtered with the taps, and every channels-th sample of that.
 * It gives what the in-tree polyphase channelizer and the blocks around it give, at oversampling 1, for
 * numbers of channels that are powers of two.
 */
class SOFTMOD_API channelizer_cc : virtual public gr::sync_decimator
{
public:
    typedef std::shared_ptr<channelizer_cc> sptr;

    /*!
     * \param channels how many: a power of two, 2 to 1024.
     * \param taps of the channel filter, at the rate of the band; at most 4096 a channel.
     * \throws std::invalid_argument when one is outside of that.
     */
    static sptr make(int channels, const std::vector<float>& taps);
};

} // namespace softmod
} // namespace gr

#endif
