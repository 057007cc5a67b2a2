// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "demapper_shell.h"
#include "soft_demap.h"

#include <gnuradio/softmod/soft_demapper.h>

namespace gr::softmod
{

//! Everything but the type of the LLRs.
class soft_demapper_impl : virtual public soft_demapper, public DemapperShell
{
public:
    void set_constellation(const std::vector<gr_complex>& points) override;
    std::vector<gr_complex> constellation() const override
    {
        return d_locked([&] { return d_points; });
    }
    unsigned bits_per_symbol() const override
    {
        return d_locked([&] { return d_demapper.bits_per_symbol(); });
    }
    void set_noise_var(float noise_var) override;
    float noise_var() const override
    {
        return d_locked([&] { return d_noise_var; });
    }
    void set_method(const std::string& method) override;
    std::string method() const override;
    std::uint64_t invalid_count() const override
    {
        return d_locked([&] { return d_status.invalid_count(); });
    }

protected:
    soft_demapper_impl(const std::vector<gr_complex>& constellation, float noise_var,
                       const std::string& method);

    unsigned llrs_per_symbol() const override { return d_demapper.bits_per_symbol(); }
    void apply_other(const pmt::pmt_t& key, const pmt::pmt_t& value) override;

    std::vector<gr_complex> d_points;
    ::softmod::SoftDemapper d_demapper;

private:
    void use_points(const std::vector<gr_complex>& points);
};

class soft_demapper_cf_impl : public soft_demapper_cf, public soft_demapper_impl
{
public:
    soft_demapper_cf_impl(const std::vector<gr_complex>& constellation, float noise_var,
                          const std::string& method);

private:
    std::size_t demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                      std::size_t first) override;
};

class soft_demapper_cb_impl : public soft_demapper_cb, public soft_demapper_impl
{
public:
    soft_demapper_cb_impl(const std::vector<gr_complex>& constellation, float noise_var, float scale,
                          const std::string& method);
    void set_scale(float scale) override;
    float scale() const override
    {
        return d_locked([&] { return d_scale; });
    }

private:
    std::size_t demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                      std::size_t first) override;

    float d_scale;
};

} // namespace gr::softmod
