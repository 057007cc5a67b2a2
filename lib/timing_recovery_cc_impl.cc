// SPDX-License-Identifier: GPL-3.0-or-later
#include "timing_recovery_cc_impl.h"

#include <gnuradio/io_signature.h>

#include <cmath>

namespace gr::softmod
{
timing_recovery_cc::sptr timing_recovery_cc::make(double excess_bandwidth, double loop_bandwidth,
                                                  unsigned outputs_per_symbol, double largest_clock_error,
                                                  unsigned acquisition)
{
    return gnuradio::make_block_sptr<timing_recovery_cc_impl>(::softmod::TimingRecoveryConfig{
        excess_bandwidth, loop_bandwidth, largest_clock_error, outputs_per_symbol, acquisition});
}

timing_recovery_cc_impl::timing_recovery_cc_impl(const ::softmod::TimingRecoveryConfig& config)
    : gr::block("timing_recovery_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_timing(config), d_outputs(config.outputs_per_symbol)
{
    set_relative_rate(d_outputs, ::softmod::TimingRecovery::SAMPLES_PER_SYMBOL);
    set_output_multiple(static_cast<int>(d_outputs));
    set_tag_propagation_policy(TPP_CUSTOM); // the symbols say which samples they are made of
}

void timing_recovery_cc_impl::set_loop_bandwidth(double loop_bandwidth)
{
    d_locked([&] { d_timing.set_loop_bandwidth(loop_bandwidth); });
}

bool timing_recovery_cc_impl::locked() const
{
    return d_locked([&] { return d_timing.locked(); });
}

double timing_recovery_cc_impl::clock_error() const
{
    return d_locked([&] { return d_timing.clock_error(); });
}

void timing_recovery_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = d_ready.input_required();
}

int timing_recovery_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                          gr_vector_const_void_star& input_items,
                                          gr_vector_void_star& output_items)
{
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto consumed = d_ready.fill(in, ninput_items[0], noutput_items,
                                       [&](const gr_complex* piece, std::size_t n, auto& items) {
                                           d_timing.process(piece, n, items, d_instants);
                                       });
    get_tags_in_window(d_window, 0, 0, consumed);
    for (const auto& tag : d_window)
        d_tags.push(tag, tag.offset);
    consume(0, static_cast<int>(consumed));

    const std::size_t n = d_ready.take(output_items[0], noutput_items), symbols = n / d_outputs;
    // A tag goes to the first symbol at or behind its sample.
    for (std::size_t symbol = 0; symbol < symbols; ++symbol) {
        const double instant = std::floor(d_instants[symbol]);
        for (auto& tag : d_tags.pop_before(instant < 0 ? 0 : static_cast<std::uint64_t>(instant) + 1)) {
            tag.offset = nitems_written(0) + symbol * d_outputs;
            add_item_tag(0, tag);
        }
    }
    d_instants.erase(d_instants.begin(), d_instants.begin() + static_cast<std::ptrdiff_t>(symbols));
    return static_cast<int>(n);
}

} // namespace gr::softmod
