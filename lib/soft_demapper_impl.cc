// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_demapper_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <limits>

namespace gr::softmod
{
namespace
{

using ::softmod::DemapMethod;
using ::softmod::SoftDemapper;

} // namespace

soft_demapper_impl::soft_demapper_impl(const std::vector<gr_complex>& constellation, float noise_var,
                                       const std::string& method)
    : d_points(checked_points(constellation)), d_demapper(d_points, checked_method(method)),
      d_noise_var(checked_noise_var(noise_var)), d_status(*this, d_logger)
{
    set_tag_propagation_policy(TPP_CUSTOM);
    tell_rate();
    for (const auto& key : {keys::noise_var, keys::constellation}) {
        message_port_register_in(key);
        set_msg_handler(key, [this, key](const pmt::pmt_t& value) {
            d_locked([&] { d_status.try_message([&] { apply(key, value); }); });
        });
    }
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

void soft_demapper_impl::apply(const pmt::pmt_t& key, const pmt::pmt_t& value)
{
    if (pmt::eq(key, keys::noise_var))
        d_noise_var = noise_var_of(value);
    else if (pmt::eq(key, keys::constellation))
        use_points(points_of(value));
}

// An LLR comes out for each prior that goes in, so their tags keep their distance from the start.
void soft_demapper_impl::copy_prior_tags(std::size_t llrs)
{
    get_tags_in_window(d_tags, 1, 0, llrs);
    for (const auto& tag : d_tags)
        add_item_tag(0, tag.offset - nitems_read(1) + nitems_written(0), tag.key, tag.value, tag.srcid);
}

void soft_demapper_impl::tell_rate()
{
    d_rate = d_demapper.bits_per_symbol();
    set_relative_rate(d_rate, 1);
    set_output_multiple(d_rate);
}

void soft_demapper_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = 1;
    if (ninput_items_required.size() > 1)
        ninput_items_required[1] = bits_per_symbol();
}

int soft_demapper_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                     gr_vector_const_void_star& input_items,
                                     gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto* y = static_cast<const gr_complex*>(input_items[0]);
    const auto* priors = input_items.size() > 1 ? static_cast<const float*>(input_items[1]) : nullptr;
    const std::size_t input = ninput_items[0];
    const std::size_t room = priors ? std::min(noutput_items, ninput_items[1]) : noutput_items;
    const std::uint64_t first = nitems_read(0);
    std::size_t symbols = 0, llrs = 0, invalid = 0; // so far

    get_tags_in_window(d_tags, 0, 0, input);
    std::stable_sort(d_tags.begin(), d_tags.end(), gr::tag_t::offset_compare);
    for (auto tag = d_tags.cbegin();;) {
        auto later = tag;
        for (; later != d_tags.cend() && later->offset == first + symbols; ++later)
            d_status.try_tag(*later, [&] { apply(later->key, later->value); });
        const unsigned m = d_demapper.bits_per_symbol();
        std::size_t n = std::min(input - symbols, (room - llrs) / m);
        if (later != d_tags.cend())
            n = std::min<std::size_t>(n, later->offset - first - symbols);
        if (n == 0)
            break; // the tags are seen again with their symbol
        for (; tag != later; ++tag)
            add_item_tag(0, nitems_written(0) + llrs, tag->key, tag->value, tag->srcid);
        invalid += demap(d_demapper, y + symbols, n, d_noise_var, priors ? priors + llrs : nullptr,
                         output_items[0], llrs);
        symbols += n;
        llrs += n * m;
    }

    consume(0, symbols);
    if (priors) {
        copy_prior_tags(llrs);
        consume(1, llrs);
    }
    if (d_demapper.bits_per_symbol() != d_rate)
        tell_rate();
    d_status.count_invalid(invalid, "their LLRs are 0");
    return llrs;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
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

std::size_t soft_demapper_cf_impl::demap(const SoftDemapper& demapper, const gr_complex* y, std::size_t n,
                                         float noise_var, const float* priors, void* out,
                                         std::size_t first) const
{
    return demapper.demap(y, n, noise_var, static_cast<float*>(out) + first, priors);
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

std::size_t soft_demapper_cb_impl::demap(const SoftDemapper& demapper, const gr_complex* y, std::size_t n,
                                         float noise_var, const float* priors, void* out,
                                         std::size_t first) const
{
    return demapper.demap_int8(y, n, noise_var, d_scale, static_cast<std::int8_t*>(out) + first, priors);
}

} // namespace gr::softmod
