// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "background.h"
#include "blind_estimate.h"
#include "one_lock.h"
#include "rx_tags.h"
#include "status.h"

#include <gnuradio/softmod/blind_estimator_c.h>

#include <mutex>
#include <vector>

namespace gr::softmod
{

class blind_estimator_c_impl : public blind_estimator_c
{
public:
    blind_estimator_c_impl(double sample_rate, std::uint64_t length, std::uint64_t period, bool live);

    void set_period(std::uint64_t period) override;
    std::uint64_t period() const override;
    tally counts() const override;

    bool start() override;
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    using Block = std::vector<gr_complex>;

    void take_block(double rate, const pmt::pmt_t& about, std::unique_lock<std::mutex>& lock);
    void estimate(const Block& block, double rate, const pmt::pmt_t& about);

    const OneLock d_locked{};
    const ::softmod::BlindEstimator d_estimator;
    const bool d_live;
    std::uint64_t d_period;
    Block d_block;             // so far
    std::uint64_t d_first = 0; // sample that the block begins with, now or when it is there
    RxTags d_tags;
    bool d_busy = false;
    tally d_counts{};
    std::vector<gr::tag_t> d_new_tags;
    Status d_status;
    Background d_background; // last: its job uses all of the above
};

} // namespace gr::softmod
