// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "one_lock.h"
#include "soft_demap.h"
#include "status.h"

#include <gnuradio/softmod/soft_demapper.h>

namespace gr::softmod
{

//! Everything but the type of the LLRs.
class soft_demapper_impl : virtual public soft_demapper
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

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

protected:
    soft_demapper_impl(const std::vector<gr_complex>& constellation, float noise_var,
                       const std::string& method);

    //! Demaps n symbols to out[first] on; returns how many were not finite. Called under the lock.
    virtual std::size_t demap(const ::softmod::SoftDemapper& demapper, const gr_complex* y, std::size_t n,
                              float noise_var, const float* priors, void* out, std::size_t first) const = 0;

    const OneLock d_locked{};

private:
    void use_points(const std::vector<gr_complex>& points);
    void apply(const pmt::pmt_t& key, const pmt::pmt_t& value);
    void copy_prior_tags(std::size_t llrs);
    void tell_rate();

    std::vector<gr_complex> d_points;
    ::softmod::SoftDemapper d_demapper;
    float d_noise_var;
    unsigned d_rate = 0; // LLRs a symbol, as the scheduler knows it
    Status d_status;
    std::vector<gr::tag_t> d_tags;
};

class soft_demapper_cf_impl : public soft_demapper_cf, public soft_demapper_impl
{
public:
    soft_demapper_cf_impl(const std::vector<gr_complex>& constellation, float noise_var,
                          const std::string& method);

private:
    std::size_t demap(const ::softmod::SoftDemapper& demapper, const gr_complex* y, std::size_t n,
                      float noise_var, const float* priors, void* out, std::size_t first) const override;
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
    std::size_t demap(const ::softmod::SoftDemapper& demapper, const gr_complex* y, std::size_t n,
                      float noise_var, const float* priors, void* out, std::size_t first) const override;

    float d_scale;
};

} // namespace gr::softmod
