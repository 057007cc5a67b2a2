// SPDX-License-Identifier: GPL-3.0-or-later
#include "coarse_frequency_cc_impl.h"

#include "keys.h"

#include <gnuradio/io_signature.h>

namespace gr::softmod
{
coarse_frequency_cc::sptr coarse_frequency_cc::make(unsigned samples_per_symbol, double symbol_rate,
                                                    double max_offset, double excess_bandwidth, double slew)
{
    return gnuradio::make_block_sptr<coarse_frequency_cc_impl>(::softmod::CoarseFrequencyConfig{
        samples_per_symbol, excess_bandwidth, symbol_rate, max_offset, slew});
}

coarse_frequency_cc_impl::coarse_frequency_cc_impl(const ::softmod::CoarseFrequencyConfig& config)
    : gr::block("coarse_frequency_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_coarse(config)
{
    set_tag_propagation_policy(TPP_CUSTOM); // samples may be held back for longer than the scheduler looks
}

double coarse_frequency_cc_impl::frequency() const
{
    return d_locked([&] { return d_coarse.frequency(); });
}

bool coarse_frequency_cc_impl::found() const
{
    return d_locked([&] { return d_coarse.found(); });
}

void coarse_frequency_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    ninput_items_required[0] = d_ready.input_required();
}

int coarse_frequency_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                           gr_vector_const_void_star& input_items,
                                           gr_vector_void_star& output_items)
{
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto consumed = d_ready.fill(in, ninput_items[0], noutput_items,
                                       [&](const gr_complex* piece, std::size_t n, auto& items) {
                                           d_coarse.process(piece, n, items, d_marks);
                                       });
    get_tags_in_window(d_window, 0, 0, consumed);
    for (const auto& tag : d_window)
        d_tags.push(tag, tag.offset); // sample for sample
    consume(0, static_cast<int>(consumed));

    for (const auto& mark : d_marks) {
        gr::tag_t tag;
        tag.key = keys::coarse_frequency;
        tag.value = pmt::from_double(mark.frequency);
        tag.srcid = alias_pmt();
        d_tags.push(tag, mark.sample);
    }
    d_marks.clear();

    const std::size_t n = d_ready.take(output_items[0], noutput_items);
    for (const auto& tag : d_tags.pop_before(nitems_written(0) + n))
        add_item_tag(0, tag);
    return static_cast<int>(n);
}

} // namespace gr::softmod
