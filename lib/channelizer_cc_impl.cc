// SPDX-License-Identifier: GPL-3.0-or-later
#include "channelizer_cc_impl.h"

#include <gnuradio/io_signature.h>

#include <stdexcept>

namespace gr
{
namespace softmod
{

namespace
{

::softmod::Channelizer kernel_of(int channels, const std::vector<float>& taps)
{
    if (channels < 0)
        throw std::invalid_argument("channelizer_cc: channels is " + std::to_string(channels) +
                                    "; it must be a power of two, 2 to 1024");
    try {
        return {static_cast<std::size_t>(channels), taps};
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(std::string("channelizer_cc: ") + error.what());
    }
}

} // namespace

channelizer_cc::sptr channelizer_cc::make(int channels, const std::vector<float>& taps)
{
    return gnuradio::make_block_sptr<channelizer_cc_impl>(kernel_of(channels, taps));
}

channelizer_cc_impl::channelizer_cc_impl(::softmod::Channelizer kernel)
    : gr::sync_decimator("channelizer_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                         gr::io_signature::make(static_cast<int>(kernel.channels()),
                                                static_cast<int>(kernel.channels()), sizeof(gr_complex)),
                         static_cast<unsigned>(kernel.channels())),
      d_kernel(std::move(kernel)), d_out(d_kernel.channels())
{
}

int channelizer_cc_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                              gr_vector_void_star& output_items)
{
    for (std::size_t c = 0; c < d_out.size(); ++c)
        d_out[c] = static_cast<gr_complex*>(output_items[c]);
    d_kernel.run(static_cast<const gr_complex*>(input_items[0]), static_cast<std::size_t>(noutput_items),
                 d_out.data());
    return noutput_items;
}

} // namespace softmod
} // namespace gr
