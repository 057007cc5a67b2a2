// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "equalizer.h"
#include "one_lock.h"
#include "status.h"

#include <gnuradio/softmod/equalizer_cc.h>

namespace gr::softmod
{

class equalizer_cc_impl : public equalizer_cc
{
public:
    explicit equalizer_cc_impl(const ::softmod::EqualizerConfig& config);

    void set_constellation(const std::vector<gr_complex>& points) override;
    std::vector<gr_complex> constellation() const override
    {
        return d_locked([&] { return d_equalizer.config().points; });
    }
    void set_step(float step) override
    {
        d_locked([&] { d_equalizer.set_step(step); });
    }
    float step() const override
    {
        return d_locked([&] { return d_equalizer.config().step; });
    }
    void set_method(const std::string& method) override;
    std::string method() const override;
    void set_noise_var(float noise_var) override
    {
        d_locked([&] { d_equalizer.set_noise_var(noise_var); });
    }
    float noise_var() const override
    {
        return d_locked([&] { return d_equalizer.config().noise_var; });
    }
    void set_adapting(bool adapting) override
    {
        d_locked([&] { d_equalizer.set_adapting(adapting); });
    }
    bool adapting() const override
    {
        return d_locked([&] { return d_equalizer.adapting(); });
    }
    void reset() override
    {
        d_locked([&] { d_equalizer.reset(); });
    }
    std::vector<gr_complex> taps() const override
    {
        return d_locked([&] { return d_equalizer.taps(); });
    }
    float error_power() const override
    {
        return d_locked([&] { return d_equalizer.error_power(); });
    }
    std::uint64_t invalid_count() const override
    {
        return d_locked([&] { return d_status.invalid_count(); });
    }

    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    template <class Change>
    void on_message(const pmt::pmt_t& key, Change change);

    const OneLock d_locked{};
    ::softmod::Equalizer d_equalizer;
    Status d_status;
};

} // namespace gr::softmod
