// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "one_lock.h"
#include "soft_map.h"
#include "status.h"

#include <gnuradio/softmod/soft_mapper_fc.h>

namespace gr::softmod
{

class soft_mapper_fc_impl : public soft_mapper_fc
{
public:
    explicit soft_mapper_fc_impl(const std::vector<gr_complex>& constellation);

    void set_constellation(const std::vector<gr_complex>& points) override;
    std::vector<gr_complex> constellation() const override;
    unsigned bits_per_symbol() const override;
    std::uint64_t invalid_count() const override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    void use_points(const std::vector<gr_complex>& points);
    void tell_rate();

    const OneLock d_locked{};
    std::vector<gr_complex> d_points;
    ::softmod::SoftMapper d_mapper;
    unsigned d_rate = 0; // LLRs a symbol, as the scheduler knows it
    Status d_status;
    std::vector<gr::tag_t> d_tags;
};

} // namespace gr::softmod
