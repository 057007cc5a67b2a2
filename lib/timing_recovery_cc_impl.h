// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "item_queue.h"
#include "one_lock.h"
#include "tag_queue.h"
#include "timing_recovery.h"

#include <gnuradio/softmod/timing_recovery_cc.h>

namespace gr::softmod
{

class timing_recovery_cc_impl : public timing_recovery_cc
{
public:
    explicit timing_recovery_cc_impl(const ::softmod::TimingRecoveryConfig& config);

    void set_loop_bandwidth(double loop_bandwidth) override;
    bool locked() const override;
    double clock_error() const override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    OneLock d_locked;
    ::softmod::TimingRecovery d_timing;
    const std::size_t d_outputs; // per symbol
    ItemQueue d_ready;
    std::vector<double> d_instants; // of their symbols
    std::vector<gr::tag_t> d_window;
    TagQueue d_tags; // by input sample
};

} // namespace gr::softmod
