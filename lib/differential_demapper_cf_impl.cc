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
    : gr::sync_interpolator("differential_demapper_cf", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                            gr::io_signature::make(1, 1, sizeof(float)), 1),
      d_demapper(checked_points(constellation)), d_noise_var(checked_noise_var(noise_var)),
      d_status(*this, d_logger)
{
    set_interpolation(d_demapper.bits_per_symbol());
    message_port_register_in(keys::noise_var);
    set_msg_handler(keys::noise_var,
                    [this](const pmt::pmt_t& value) { d_locked([&] { apply(value, "message"); }); });
}

void differential_demapper_cf_impl::set_noise_var(double noise_var)
{
    d_locked([&] { d_noise_var = checked_noise_var(noise_var); });
}

double differential_demapper_cf_impl::noise_var() const
{
    return d_locked([&] { return d_noise_var; });
}

void differential_demapper_cf_impl::apply(const pmt::pmt_t& value, const std::string& origin)
{
    try {
        d_noise_var = noise_var_of(value);
    } catch (const std::exception& error) {
        d_status.report_seldom(Severity::warning, origin + " ignored: " + error.what());
    }
}

int differential_demapper_cf_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                                        gr_vector_void_star& output_items)
{
    const auto lock = d_locked.hold();
    const auto* y = static_cast<const gr_complex*>(input_items[0]);
    auto* llr = static_cast<float*>(output_items[0]);
    const unsigned m = d_demapper.bits_per_symbol();
    const std::uint64_t symbols = noutput_items / m;

    get_tags_in_window(d_tags, 0, 0, symbols, keys::noise_var);
    std::stable_sort(d_tags.begin(), d_tags.end(), gr::tag_t::offset_compare);
    std::uint64_t done = 0;
    const auto demap_until = [&](std::uint64_t end) {
        d_demapper.demap(y + done, end - done, d_noise_var, llr + done * m);
        done = end;
    };
    for (const auto& tag : d_tags) {
        demap_until(tag.offset - nitems_read(0));
        apply(tag.value, "tag at symbol " + std::to_string(tag.offset));
    }
    demap_until(symbols);
    return noutput_items;
}

} // namespace gr::softmod
