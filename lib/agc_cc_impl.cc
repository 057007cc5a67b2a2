// SPDX-License-Identifier: GPL-3.0-or-later
#include "agc_cc_impl.h"

#include <gnuradio/io_signature.h>

#include <stdexcept>

namespace gr::softmod
{
namespace
{

unsigned checked_length(unsigned length)
{
    if (length < 16)
        throw std::invalid_argument("length is " + std::to_string(length) +
                                    "; it must be at least 16 samples");
    return length;
}

} // namespace

agc_cc::sptr agc_cc::make(unsigned length)
{
    return gnuradio::make_block_sptr<agc_cc_impl>(length);
}

agc_cc_impl::agc_cc_impl(unsigned length)
    : gr::sync_block("agc_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                     gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_agc(checked_length(length))
{
}

int agc_cc_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                      gr_vector_void_star& output_items)
{
    d_agc.process(static_cast<const gr_complex*>(input_items[0]), noutput_items,
                  static_cast<gr_complex*>(output_items[0]));
    d_gain = d_agc.gain();
    return noutput_items;
}

} // namespace gr::softmod
