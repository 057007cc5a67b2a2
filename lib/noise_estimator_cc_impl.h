// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "noise_estimator.h"
#include "one_lock.h"
#include "status.h"

#include <gnuradio/softmod/noise_estimator_cc.h>

#include <optional>

namespace gr::softmod
{

class noise_estimator_cc_impl : public noise_estimator_cc
{
public:
    noise_estimator_cc_impl(const std::vector<gr_complex>& constellation, std::uint64_t period,
                            bool normalize, std::uint64_t max_symbols, double accuracy_db);

    void set_constellation(const std::vector<gr_complex>& points) override;
    std::vector<gr_complex> constellation() const override
    {
        return d_locked([&] { return d_points; });
    }
    void set_period(std::uint64_t period) override;
    std::uint64_t period() const override
    {
        return d_locked([&] { return d_period; });
    }
    void set_normalize(bool normalize) override;
    bool normalize() const override
    {
        return d_locked([&] { return d_normalize; });
    }
    double noise_var() const override;
    double esn0_db() const override;
    double gain() const override;
    std::uint64_t invalid_count() const override
    {
        return d_locked([&] { return d_status.invalid_count(); });
    }

    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    void start_anew(const std::vector<gr_complex>& points);
    std::size_t take(const gr_complex* in, std::size_t n, gr_complex* out);
    void publish(std::uint64_t offset);
    double output_scale() const { return d_normalize && d_latest ? 1 / d_latest->gain : 1; }

    const OneLock d_locked{};

    const std::size_t d_max_symbols;
    const double d_accuracy_db;
    std::vector<gr_complex> d_points;
    ::softmod::NoiseEstimator d_estimator;
    std::uint64_t d_period;
    bool d_normalize;
    std::uint64_t d_since = 0,
                  d_until; // symbols since the latest estimate, and at which count the next is made
    std::optional<::softmod::NoiseEstimate> d_latest;
    Status d_status;
    std::vector<gr::tag_t> d_tags;
};

} // namespace gr::softmod
