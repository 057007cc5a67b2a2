// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "status.h"
#include "window_cutter.h"

#include <gnuradio/softmod/window_tap.h>

namespace gr::softmod
{

class window_tap_impl : public window_tap
{
public:
    window_tap_impl(std::size_t length, std::uint64_t period, std::size_t history, std::size_t queue,
                    std::size_t llrs_per_sample);

    std::string ask(std::uint64_t first, std::size_t length, std::uint64_t id) override;
    std::optional<window> take(unsigned milliseconds) override;
    void set_period(std::uint64_t period) override;
    std::uint64_t period() const override;
    std::uint64_t written() const override;
    tally counts() const override;

    bool start() override;
    bool stop() override;
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    void read_tags(std::uint64_t begin, std::uint64_t end);

    ::softmod::WindowCutter d_cutter;
    Status d_status; // used by work alone
};

} // namespace gr::softmod
