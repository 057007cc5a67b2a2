// SPDX-License-Identifier: GPL-3.0-or-later
#include "neural_demapper_cf_impl.h"

#include "settings.h"

#include <gnuradio/io_signature.h>

namespace gr::softmod
{
namespace
{

std::shared_ptr<const ::softmod::DemapperModel> model_of(const std::string& model)
{
    return std::make_shared<const ::softmod::DemapperModel>(
        is_path(model) ? ::softmod::read_demapper(model) : ::softmod::parse_demapper(model, "model"));
}

} // namespace

neural_demapper_cf::sptr neural_demapper_cf::make(const std::string& model, float noise_var)
{
    return gnuradio::make_block_sptr<neural_demapper_cf_impl>(model, noise_var);
}

neural_demapper_cf_impl::neural_demapper_cf_impl(const std::string& model, float noise_var)
    : gr::block("neural_demapper_cf", gr::io_signature::make2(1, 2, sizeof(gr_complex), sizeof(float)),
                gr::io_signature::make(1, 1, sizeof(float))),
      DemapperShell(noise_var), d_model(model_of(model))
{
    tell_rate();
    d_models.listen(*this, d_locked, d_status, model_of, [this](Model& made) {
        d_model.swap(made);
        ModelPort::tell(d_status, d_model->name, d_model->hash);
    });
}

void neural_demapper_cf_impl::set_model(const std::string& model)
{
    auto made = model_of(model);
    d_locked([&] { d_model.swap(made); }); // the old one is freed outside the lock
}

void neural_demapper_cf_impl::set_noise_var(float noise_var)
{
    d_locked([&] { d_noise_var = checked_noise_var(noise_var); });
}

std::size_t neural_demapper_cf_impl::demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                                           std::size_t first)
{
    return d_model->demapper.demap(y, n, d_noise_var, static_cast<float*>(out) + first, priors);
}

} // namespace gr::softmod
