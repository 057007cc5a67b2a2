// SPDX-License-Identifier: GPL-3.0-or-later
#include "symbol_recovery_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

using Lock = std::lock_guard<std::mutex>;
constexpr std::uint64_t REPORT_INTERVAL = 16384; // symbols
constexpr std::size_t CHUNK = 1024;              // samples taken in at a time

double checked_symbol_rate(double symbol_rate)
{
    if (!(std::isfinite(symbol_rate) && symbol_rate > 0))
        throw std::invalid_argument("symbol_rate is " + std::to_string(symbol_rate) +
                                    "; it must be positive and finite");
    return symbol_rate;
}

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
    const Lock lock(d_mutex);
    d_recovery.set_loop_bandwidth(loop_bandwidth);
}

bool symbol_recovery_cc_impl::locked() const
{
    const Lock lock(d_mutex);
    return d_recovery.locked();
}

double symbol_recovery_cc_impl::frequency() const
{
    const Lock lock(d_mutex);
    return d_recovery.frequency() * d_symbol_rate;
}

double symbol_recovery_cc_impl::noise_var() const
{
    const Lock lock(d_mutex);
    return d_recovery.noise_var();
}

void symbol_recovery_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // Symbols that found no room need no more input to come out.
    ninput_items_required[0] = d_ready.empty() ? 1 : 0;
}

int symbol_recovery_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                          gr_vector_const_void_star& input_items,
                                          gr_vector_void_star& output_items)
{
    const Lock lock(d_mutex);
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const std::size_t room = noutput_items, available = ninput_items[0];
    std::size_t consumed = 0;
    while (d_ready.size() < room && consumed < available) {
        const std::size_t n = std::min(CHUNK, available - consumed);
        d_recovery.process(in + consumed, n, d_ready, d_marks);
        consumed += n;
    }
    get_tags_in_window(d_window, 0, 0, consumed);
    d_tags.insert(d_tags.end(), d_window.begin(), d_window.end());
    consume(0, static_cast<int>(consumed));

    const std::size_t n = std::min(room, d_ready.size());
    std::copy_n(d_ready.begin(), n, static_cast<gr_complex*>(output_items[0]));
    d_ready.erase(d_ready.begin(), d_ready.begin() + static_cast<std::ptrdiff_t>(n));
    const auto first_later = std::find_if(d_marks.begin(), d_marks.end(), [&](const auto& mark) {
        return mark.symbol >= nitems_written(0) + n;
    });
    std::for_each(d_marks.begin(), first_later, [this](const auto& mark) { tell(mark); });
    d_marks.erase(d_marks.begin(), first_later);
    pass_tags(nitems_written(0) + n);
    return static_cast<int>(n);
}

// Symbol k is that of sample k * samples_per_symbol.
void symbol_recovery_cc_impl::pass_tags(std::uint64_t end)
{
    const auto later = std::stable_partition(d_tags.begin(), d_tags.end(), [&](const gr::tag_t& tag) {
        return tag.offset / d_samples_per_symbol < end;
    });
    std::for_each(d_tags.begin(), later, [this](const gr::tag_t& tag) {
        add_item_tag(0, tag.offset / d_samples_per_symbol, tag.key, tag.value, tag.srcid);
    });
    d_tags.erase(d_tags.begin(), later);
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
    add(keys::frequency, pmt::from_double(mark.frequency * d_symbol_rate));
    if (mark.locked) {
        add(keys::noise_var, pmt::from_double(mark.noise_var));
        add(keys::esn0_db, pmt::from_double(-10 * std::log10(mark.noise_var)));
    }
    message_port_pub(keys::status, message);
}

} // namespace gr::softmod
