// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "differential_demap.h"
#include "one_lock.h"
#include "status.h"

#include <gnuradio/softmod/differential_demapper_cf.h>

namespace gr::softmod
{

class differential_demapper_cf_impl : public differential_demapper_cf
{
public:
    differential_demapper_cf_impl(const std::vector<gr_complex>& constellation, double noise_var);

    void set_noise_var(double noise_var) override;
    double noise_var() const override;
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    void apply(const pmt::pmt_t& value, const std::string& origin);

    OneLock d_locked;
    ::softmod::DifferentialDemapper d_demapper;
    float d_noise_var;
    Status d_status;
    std::vector<gr::tag_t> d_tags;
};

} // namespace gr::softmod
