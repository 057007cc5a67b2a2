// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbol_recovery_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <cmath>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

constexpr std::uint64_t REPORT_INTERVAL = 16384; // symbols

} // namespace

symbol_recovery_cc::sptr symbol_recovery_cc::make(const std::vector<gr_complex>& constellation,
                                                  double rotation, double symbol_rate,
                                                  unsigned equalizer_taps, double loop_bandwidth,
                                                  unsigned acquisition)
{
    const unsigned samples_per_symbol = equalizer_taps > 1 ? 2 : 1;
    return gnuradio::make_block_sptr<symbol_recovery_cc_impl>(
        constellation, symbol_rate,
        ::softmod::SymbolRecoveryConfig{rotation, samples_per_symbol, equalizer_taps, loop_bandwidth,
                                        acquisition});
}

symbol_recovery_cc_impl::symbol_recovery_cc_impl(const std::vector<gr_complex>& constellation,
                                                 double symbol_rate,
                                                 const ::softmod::SymbolRecoveryConfig& config)
    : gr::block("symbol_recovery_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_recovery(checked_points(constellation), config), d_samples_per_symbol(config.samples_per_symbol),
      d_symbol_rate(checked_symbol_rate(symbol_rate))
{
    set_relative_rate(1, d_samples_per_symbol);
    set_tag_propagation_policy(TPP_CUSTOM); // symbols may be held back for longer than the scheduler looks
    message_port_register_out(keys::status);
}

void symbol_recovery_cc_impl::set_loop_bandwidth(double loop_bandwidth)
{
    d_locked([&] { d_recovery.set_loop_bandwidth(loop_bandwidth); });
}

bool symbol_recovery_cc_impl::locked() const
{
    return d_locked([&] { return d_recovery.locked(); });
}

double symbol_recovery_cc_impl::frequency() const
{
    return d_locked([&] { return d_coarse_frequency + d_recovery.frequency() * d_symbol_rate; });
}

double symbol_recovery_cc_impl::noise_var() const
{
    return d_locked([&] { return d_recovery.noise_var(); });
}

void symbol_recovery_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = d_ready.input_required();
}

int symbol_recovery_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                          gr_vector_const_void_star& input_items,
                                          gr_vector_void_star& output_items)
{
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto consumed = d_ready.fill(in, ninput_items[0], noutput_items,
                                       [&](const gr_complex* piece, std::size_t n, auto& items) {
                                           d_recovery.process(piece, n, items, d_marks);
                                       });
    get_tags_in_window(d_window, 0, 0, consumed);
    for (const auto& tag : d_window)
        d_tags.push(tag,
                    tag.offset / d_samples_per_symbol); // symbol k is that of sample k * samples_per_symbol
    consume(0, static_cast<int>(consumed));

    const std::size_t n = d_ready.take(output_items[0], noutput_items);
    const std::uint64_t end = nitems_written(0) + n;
    const auto tags = d_tags.pop_before(end);
    auto tag = tags.cbegin();
    const auto pass_tags_until = [&](std::uint64_t symbol) {
        for (; tag != tags.cend() && tag->offset <= symbol; ++tag) {
            add_item_tag(0, *tag);
            if (pmt::eq(tag->key, keys::coarse_frequency) && pmt::is_number(tag->value))
                d_coarse_frequency = pmt::to_double(tag->value);
        }
    };
    auto mark = d_marks.cbegin();
    for (; mark != d_marks.cend() && mark->symbol < end; ++mark) {
        pass_tags_until(mark->symbol);
        tell(*mark);
    }
    d_marks.erase(d_marks.cbegin(), mark);
    pass_tags_until(end);
    return static_cast<int>(n);
}

void symbol_recovery_cc_impl::tell(const ::softmod::SymbolRecovery::Mark& mark)
{
    if (mark.changed)
        add_item_tag(0, mark.symbol, keys::locked, pmt::from_bool(mark.locked), alias_pmt());
    add_item_tag(0, mark.symbol, keys::noise_var, pmt::from_double(mark.noise_var), alias_pmt());
    if (!mark.changed && mark.symbol < d_next_report)
        return;
    d_next_report = mark.symbol + REPORT_INTERVAL;
    auto message = pmt::make_dict();
    const auto add = [&](const pmt::pmt_t& key, const pmt::pmt_t& value) {
        message = pmt::dict_add(message, key, value);
    };
    add(keys::block, alias_pmt());
    add(keys::severity, pmt::mp("info"));
    add(keys::reason, pmt::mp(!mark.changed ? "tracking" : mark.locked ? "locked" : "lock lost"));
    add(keys::locked, pmt::from_bool(mark.locked));
    add(keys::frequency, pmt::from_double(d_coarse_frequency + mark.frequency * d_symbol_rate));
    if (mark.locked) {
        add(keys::noise_var, pmt::from_double(mark.noise_var));
        add(keys::esn0_db, pmt::from_double(-10 * std::log10(mark.noise_var)));
    }
    message_port_pub(keys::status, message);
}

} // namespace gr::softmod
