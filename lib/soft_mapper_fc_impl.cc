// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_mapper_fc_impl.h"

#include "keys.h"
#include "packet_length.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <algorithm>

namespace gr::softmod
{

soft_mapper_fc::sptr soft_mapper_fc::make(const std::vector<gr_complex>& constellation)
{
    return gnuradio::make_block_sptr<soft_mapper_fc_impl>(constellation);
}

soft_mapper_fc_impl::soft_mapper_fc_impl(const std::vector<gr_complex>& constellation)
    : gr::block("soft_mapper_fc", gr::io_signature::make(1, 1, sizeof(float)),
                gr::io_signature::make2(1, 2, sizeof(gr_complex), sizeof(float))),
      d_points(checked_points(constellation)), d_mapper(d_points), d_status(*this, d_logger)
{
    set_tag_propagation_policy(TPP_CUSTOM);
    tell_rate();
    message_port_register_in(keys::constellation);
    set_msg_handler(keys::constellation, [this](const pmt::pmt_t& value) {
        d_locked([&] { d_status.try_message([&] { use_points(points_of(value)); }); });
    });
}

void soft_mapper_fc_impl::set_constellation(const std::vector<gr_complex>& points)
{
    d_locked([&] { use_points(checked_points(points)); });
}

std::vector<gr_complex> soft_mapper_fc_impl::constellation() const
{
    return d_locked([&] { return d_points; });
}

unsigned soft_mapper_fc_impl::bits_per_symbol() const
{
    return d_locked([&] { return d_mapper.bits_per_symbol(); });
}

std::uint64_t soft_mapper_fc_impl::invalid_count() const
{
    return d_locked([&] { return d_status.invalid_count(); });
}

void soft_mapper_fc_impl::use_points(const std::vector<gr_complex>& points)
{
    if (points == d_points)
        return;
    d_mapper = ::softmod::SoftMapper(points);
    d_points = points;
}

void soft_mapper_fc_impl::tell_rate()
{
    d_rate = d_mapper.bits_per_symbol();
    set_relative_rate(1, d_rate);
}

void soft_mapper_fc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = bits_per_symbol();
}

int soft_mapper_fc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                      gr_vector_const_void_star& input_items,
                                      gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto* llr = static_cast<const float*>(input_items[0]);
    auto* symbol = static_cast<gr_complex*>(output_items[0]);
    auto* variance = output_items.size() > 1 ? static_cast<float*>(output_items[1]) : nullptr;
    const std::size_t input = ninput_items[0], room = noutput_items;
    const std::uint64_t first = nitems_read(0);
    std::size_t symbols = 0, llrs = 0, invalid = 0; // so far

    get_tags_in_window(d_tags, 0, 0, input);
    std::stable_sort(d_tags.begin(), d_tags.end(), gr::tag_t::offset_compare);
    // Tags before `used` have taken effect, tags before `copied` stand on the output.
    for (auto used = d_tags.cbegin(), copied = used;;) {
        for (; used != d_tags.cend() && used->offset <= first + llrs; ++used)
            if (pmt::eq(used->key, keys::constellation))
                d_status.try_tag(*used, [&] { use_points(points_of(used->value)); });
        const unsigned m = d_mapper.bits_per_symbol();
        std::size_t n = std::min(room - symbols, (input - llrs) / m);
        if (used != d_tags.cend()) // up to the symbol that holds the next tag, and at least one
            n = std::min<std::size_t>(n, std::max<std::uint64_t>((used->offset - first - llrs) / m, 1));
        if (n == 0)
            break;
        invalid += d_mapper.map(llr + llrs, n, symbol + symbols, variance ? variance + symbols : nullptr);
        for (; copied != d_tags.cend() && copied->offset < first + llrs + n * m; ++copied)
            for (unsigned port = 0; port < output_items.size(); ++port)
                add_item_tag(port, nitems_written(0) + symbols + (copied->offset - first - llrs) / m,
                             copied->key, value_behind(*copied, m, 1), copied->srcid);
        symbols += n;
        llrs += n * m;
    }

    consume(0, llrs);
    if (d_mapper.bits_per_symbol() != d_rate)
        tell_rate();
    d_status.count_invalid(invalid, "they are taken as 0");
    return symbols;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

} // namespace gr::softmod
