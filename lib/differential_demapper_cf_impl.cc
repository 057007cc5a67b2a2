// SPDX-License-Identifier: GPL-3.0-or-later
#include "differential_demapper_cf_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <algorithm>

namespace gr::softmod
{
differential_demapper_cf::sptr differential_demapper_cf::make(const std::vector<gr_complex>& constellation,
                                                              double noise_var)
{
    return gnuradio::make_block_sptr<differential_demapper_cf_impl>(constellation, noise_var);
}

differential_demapper_cf_impl::differential_demapper_cf_impl(const std::vector<gr_complex>& constellation,
                                                             double noise_var)
    : gr::block("differential_demapper_cf", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(float))),
      DemapperShell(checked_noise_var(noise_var)), d_points(checked_points(constellation)),
      d_demapper(d_points), d_bits(d_demapper->bits_per_symbol())
{
    tell_rate();
    listen(keys::constellation);
}

void differential_demapper_cf_impl::set_noise_var(double noise_var)
{
    d_locked([&] { d_noise_var = checked_noise_var(noise_var); });
}

double differential_demapper_cf_impl::noise_var() const
{
    return d_locked([&] { return d_noise_var; });
}

void differential_demapper_cf_impl::apply_other(const pmt::pmt_t& key, const pmt::pmt_t& value)
{
    if (!pmt::eq(key, keys::constellation))
        return;
    const auto points = points_of(value);
    if (points == d_points)
        return;
    d_points = points;
    for (d_bits = 1; (std::size_t{1} << d_bits) < points.size();)
        ++d_bits;
    d_demapper.reset(); // if the next line throws, that is told, and LLRs are 0
    d_demapper.emplace(points);
}

std::size_t differential_demapper_cf_impl::demap(const gr_complex* y, std::size_t n, const float*, void* out,
                                                 std::size_t first)
{
    auto* llr = static_cast<float*>(out) + first;
    if (d_demapper)
        d_demapper->demap(y, n, d_noise_var, llr);
    else
        std::fill_n(llr, n * d_bits, 0.0f);
    return 0;
}

} // namespace gr::softmod
