// SPDX-License-Identifier: GPL-3.0-or-later
#include "coarse_frequency_cc_impl.h"

#include "keys.h"

#include <gnuradio/io_signature.h>

#include <algorithm>

namespace gr::softmod
{
namespace
{

constexpr std::size_t CHUNK = 1024; // samples taken in at a time

} // namespace

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
    // Samples that found no room need no more input to come out.
    ninput_items_required[0] = d_ready.empty() ? 1 : 0;
}

int coarse_frequency_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                           gr_vector_const_void_star& input_items,
                                           gr_vector_void_star& output_items)
{
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const std::size_t room = noutput_items, available = ninput_items[0];
    std::size_t consumed = 0;
    while (d_ready.size() < room && consumed < available) {
        const std::size_t n = std::min(CHUNK, available - consumed);
        d_coarse.process(in + consumed, n, d_ready, d_marks);
        consumed += n;
    }
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

    const std::size_t n = std::min(room, d_ready.size());
    std::copy_n(d_ready.begin(), n, static_cast<gr_complex*>(output_items[0]));
    d_ready.erase(d_ready.begin(), d_ready.begin() + static_cast<std::ptrdiff_t>(n));
    for (const auto& tag : d_tags.pop_before(nitems_written(0) + n))
        add_item_tag(0, tag);
    return static_cast<int>(n);
}

} // namespace gr::softmod
