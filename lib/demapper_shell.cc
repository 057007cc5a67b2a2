// SPDX-License-Identifier: GPL-3.0-or-later
#include "demapper_shell.h"

#include "keys.h"
#include "packet_length.h"
#include "settings.h"

#include <algorithm>

namespace gr::softmod
{

DemapperShell::DemapperShell(float noise_var)
    : d_noise_var(checked_noise_var(noise_var)), d_status(*this, d_logger)
{
    set_tag_propagation_policy(TPP_CUSTOM);
    listen(keys::noise_var);
}

void DemapperShell::listen(const pmt::pmt_t& key)
{
    message_port_register_in(key);
    set_msg_handler(key, [this, key](const pmt::pmt_t& value) {
        d_locked([&] { d_status.try_message([&] { apply(key, value); }); });
    });
}

void DemapperShell::apply(const pmt::pmt_t& key, const pmt::pmt_t& value)
{
    if (pmt::eq(key, keys::noise_var))
        d_noise_var = noise_var_of(value);
    else
        apply_other(key, value);
}

// An LLR comes out for each prior that goes in, so their tags keep their distance from the start.
void DemapperShell::copy_prior_tags(std::size_t llrs)
{
    get_tags_in_window(d_tags, 1, 0, llrs);
    for (const auto& tag : d_tags)
        add_item_tag(0, tag.offset - nitems_read(1) + nitems_written(0), tag.key, tag.value, tag.srcid);
}

void DemapperShell::tell_rate()
{
    d_rate = llrs_per_symbol();
    set_relative_rate(d_rate, 1);
    set_output_multiple(d_rate);
}

void DemapperShell::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = 1;
    if (ninput_items_required.size() > 1)
        ninput_items_required[1] = d_locked([&] { return llrs_per_symbol(); });
}

int DemapperShell::general_work(int noutput_items, gr_vector_int& ninput_items,
                                gr_vector_const_void_star& input_items, gr_vector_void_star& output_items)
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
        const unsigned m = llrs_per_symbol();
        std::size_t n = std::min(input - symbols, (room - llrs) / m);
        if (later != d_tags.cend())
            n = std::min<std::size_t>(n, later->offset - first - symbols);
        if (n == 0)
            break; // the tags are seen again with their symbol
        for (; tag != later; ++tag)
            add_item_tag(0, nitems_written(0) + llrs, tag->key, value_behind(*tag, 1, m), tag->srcid);
        invalid += demap(y + symbols, n, priors ? priors + llrs : nullptr, output_items[0], llrs);
        symbols += n;
        llrs += n * m;
    }

    consume(0, symbols);
    if (priors) {
        copy_prior_tags(llrs);
        consume(1, llrs);
    }
    if (llrs_per_symbol() != d_rate)
        tell_rate();
    d_status.count_invalid(invalid, "their LLRs are 0");
    return llrs;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

} // namespace gr::softmod
