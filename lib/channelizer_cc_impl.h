// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_CHANNELIZER_CC_IMPL_H
#define INCLUDED_SOFTMOD_CHANNELIZER_CC_IMPL_H

#include "kernels/channelizer.h"

#include <gnuradio/softmod/channelizer_cc.h>

namespace gr
{
namespace softmod
{

class channelizer_cc_impl : public channelizer_cc
{
public:
    explicit channelizer_cc_impl(::softmod::Channelizer kernel);
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    ::softmod::Channelizer d_kernel;
    std::vector<gr_complex*> d_out;
};

} // namespace softmod
} // namespace gr

#endif
