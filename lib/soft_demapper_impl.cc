// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_demapper_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

namespace gr::softmod
{
namespace
{

using ::softmod::DemapMethod;
using ::softmod::SoftDemapper;

} // namespace

soft_demapper_impl::soft_demapper_impl(const std::vector<gr_complex>& constellation, float noise_var,
                                       const std::string& method)
    : DemapperShell(noise_var), d_points(checked_points(constellation)),
      d_demapper(d_points, checked_method(method))
{
    tell_rate();
    listen(keys::constellation);
}

void soft_demapper_impl::set_constellation(const std::vector<gr_complex>& points)
{
    d_locked([&] { use_points(checked_points(points)); });
}

void soft_demapper_impl::set_noise_var(float noise_var)
{
    d_locked([&] { d_noise_var = checked_noise_var(noise_var); });
}

void soft_demapper_impl::set_method(const std::string& method)
{
    d_locked([&] { d_demapper = SoftDemapper(d_points, checked_method(method)); });
}

std::string soft_demapper_impl::method() const
{
    return d_locked([&] { return d_demapper.method() == DemapMethod::exact ? "exact" : "maxlog"; });
}

void soft_demapper_impl::use_points(const std::vector<gr_complex>& points)
{
    if (points == d_points)
        return;
    d_demapper = SoftDemapper(points, d_demapper.method());
    d_points = points;
}

void soft_demapper_impl::apply_other(const pmt::pmt_t& key, const pmt::pmt_t& value)
{
    if (pmt::eq(key, keys::constellation))
        use_points(points_of(value));
}

soft_demapper_cf::sptr soft_demapper_cf::make(const std::vector<gr_complex>& constellation, float noise_var,
                                              const std::string& method)
{
    return gnuradio::make_block_sptr<soft_demapper_cf_impl>(constellation, noise_var, method);
}

soft_demapper_cf_impl::soft_demapper_cf_impl(const std::vector<gr_complex>& constellation, float noise_var,
                                             const std::string& method)
    : gr::block("soft_demapper_cf", gr::io_signature::make2(1, 2, sizeof(gr_complex), sizeof(float)),
                gr::io_signature::make(1, 1, sizeof(float))),
      soft_demapper_impl(constellation, noise_var, method)
{
}

std::size_t soft_demapper_cf_impl::demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                                         std::size_t first)
{
    return d_demapper.demap(y, n, d_noise_var, static_cast<float*>(out) + first, priors);
}

soft_demapper_cb::sptr soft_demapper_cb::make(const std::vector<gr_complex>& constellation, float noise_var,
                                              float scale, const std::string& method)
{
    return gnuradio::make_block_sptr<soft_demapper_cb_impl>(constellation, noise_var, scale, method);
}

soft_demapper_cb_impl::soft_demapper_cb_impl(const std::vector<gr_complex>& constellation, float noise_var,
                                             float scale, const std::string& method)
    : gr::block("soft_demapper_cb", gr::io_signature::make2(1, 2, sizeof(gr_complex), sizeof(float)),
                gr::io_signature::make(1, 1, sizeof(std::int8_t))),
      soft_demapper_impl(constellation, noise_var, method), d_scale(checked_scale(scale))
{
}

void soft_demapper_cb_impl::set_scale(float scale)
{
    d_locked([&] { d_scale = checked_scale(scale); });
}

std::size_t soft_demapper_cb_impl::demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                                         std::size_t first)
{
    return d_demapper.demap_int8(y, n, d_noise_var, d_scale, static_cast<std::int8_t*>(out) + first, priors);
}

} // namespace gr::softmod
