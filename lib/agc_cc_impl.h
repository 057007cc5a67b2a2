// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "agc.h"

#include <gnuradio/softmod/agc_cc.h>

#include <atomic>

namespace gr::softmod
{

class agc_cc_impl : public agc_cc
{
public:
    explicit agc_cc_impl(unsigned length);
    float gain() const override { return d_gain; }
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    ::softmod::Agc d_agc;
    std::atomic<float> d_gain{0};
};

} // namespace gr::softmod
