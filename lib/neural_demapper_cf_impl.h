// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "demapper_file.h"
#include "demapper_shell.h"
#include "model_port.h"

#include <gnuradio/softmod/neural_demapper_cf.h>

#include <memory>

namespace gr::softmod
{

class neural_demapper_cf_impl : public neural_demapper_cf, public DemapperShell
{
public:
    neural_demapper_cf_impl(const std::string& model, float noise_var);

    void set_model(const std::string& model) override;
    std::string model() const override
    {
        return d_locked([&] { return d_model->hash; });
    }
    unsigned bits_per_symbol() const override
    {
        return d_locked([&] { return llrs_per_symbol(); });
    }
    std::vector<gr_complex> constellation() const override
    {
        return d_locked([&] { return d_model->points_at(d_noise_var); });
    }
    void set_noise_var(float noise_var) override;
    float noise_var() const override
    {
        return d_locked([&] { return d_noise_var; });
    }
    std::uint64_t invalid_count() const override
    {
        return d_locked([&] { return d_status.invalid_count(); });
    }

private:
    using Model = std::shared_ptr<const ::softmod::DemapperModel>;

    unsigned llrs_per_symbol() const override { return d_model->demapper.bits_per_symbol(); }
    std::size_t demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                      std::size_t first) override;

    Model d_model;
    ModelPort d_models; // last: its job uses all of the above
};

} // namespace gr::softmod
