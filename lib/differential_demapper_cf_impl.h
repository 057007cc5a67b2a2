// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "demapper_shell.h"
#include "differential_demap.h"

#include <gnuradio/softmod/differential_demapper_cf.h>

#include <optional>

namespace gr::softmod
{

class differential_demapper_cf_impl : public differential_demapper_cf, public DemapperShell
{
public:
    differential_demapper_cf_impl(const std::vector<gr_complex>& constellation, double noise_var);

    void set_noise_var(double noise_var) override;
    double noise_var() const override;

private:
    unsigned llrs_per_symbol() const override { return d_bits; }
    std::size_t demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                      std::size_t first) override;
    void apply_other(const pmt::pmt_t& key, const pmt::pmt_t& value) override;

    std::vector<gr_complex> d_points;
    std::optional<::softmod::DifferentialDemapper> d_demapper; // none: the points are no PSK
    unsigned d_bits;
};

} // namespace gr::softmod
