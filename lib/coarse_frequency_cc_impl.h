// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "coarse_frequency.h"
#include "item_queue.h"
#include "one_lock.h"
#include "tag_queue.h"

#include <gnuradio/softmod/coarse_frequency_cc.h>

namespace gr::softmod
{

class coarse_frequency_cc_impl : public coarse_frequency_cc
{
public:
    explicit coarse_frequency_cc_impl(const ::softmod::CoarseFrequencyConfig& config);

    double frequency() const override;
    bool found() const override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    OneLock d_locked;
    ::softmod::CoarseFrequency d_coarse;
    ItemQueue d_ready;
    std::vector<::softmod::CoarseFrequency::Mark> d_marks;
    std::vector<gr::tag_t> d_window;
    TagQueue d_tags;
};

} // namespace gr::softmod
