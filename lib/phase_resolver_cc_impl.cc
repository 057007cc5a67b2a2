// SPDX-License-Identifier: GPL-3.0-or-later
#include "phase_resolver_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/block_detail.h>
#include <gnuradio/buffer_reader.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

const pmt::pmt_t DECODED = pmt::mp("decoded"), PHASE_KNOWN = pmt::mp("phase_known"), TURN = pmt::mp("turn"),
                 KNOWN = pmt::mp("known"), SYMMETRY = pmt::mp("symmetry");

} // namespace

phase_resolver_cc::sptr phase_resolver_cc::make(const std::vector<gr_complex>& constellation,
                                                const std::vector<std::uint8_t>& word, unsigned hold,
                                                unsigned dwell)
{
    return gnuradio::make_block_sptr<phase_resolver_cc_impl>(constellation, word, hold, dwell);
}

phase_resolver_cc_impl::phase_resolver_cc_impl(const std::vector<gr_complex>& constellation,
                                               const std::vector<std::uint8_t>& word, unsigned hold,
                                               unsigned dwell)
    : gr::block("phase_resolver_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_resolver(checked_points(constellation), word, hold, dwell), d_status(*this, d_logger)
{
    set_tag_propagation_policy(TPP_CUSTOM); // symbols may be held back for longer than the scheduler looks
    message_port_register_in(DECODED);
    set_msg_handler(DECODED, [this](const pmt::pmt_t& message) {
        d_locked([&] { d_status.try_message([&] { decoded(message); }); });
    });
}

bool phase_resolver_cc_impl::known() const
{
    return d_locked([&] { return d_resolver.known(); });
}

unsigned phase_resolver_cc_impl::turn() const
{
    return d_locked([&] { return d_resolver.turn(); });
}

void phase_resolver_cc_impl::decoded(const pmt::pmt_t& message)
{
    const auto value = pmt::is_dict(message) ? pmt::dict_ref(message, DECODED, pmt::PMT_NIL) : message;
    if (!pmt::is_bool(value))
        throw std::invalid_argument("decoded is neither true nor false");
    d_resolver.decoded(pmt::to_bool(value), d_marks);
    tell();
}

bool phase_resolver_cc_impl::ended() const
{
    const auto scheduled = detail();
    return scheduled && scheduled->input(0)->done();
}

void phase_resolver_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // What is held comes out when the input has ended: that needs no more of it.
    ninput_items_required[0] = ended() && !d_flushed ? 0 : d_ready.input_required();
}

void phase_resolver_cc_impl::obey(const gr::tag_t& tag, std::vector<gr_complex>& symbols)
{
    d_status.try_tag(tag, [&] {
        if (pmt::eq(tag.key, keys::constellation))
            d_resolver.set_constellation(points_of(tag.value));
        else if (pmt::eq(tag.key, keys::locked))
            d_resolver.set_locked(pmt::is_true(tag.value), symbols, d_marks);
    });
}

// Symbols between tags that matter are taken together.
void phase_resolver_cc_impl::take(const gr_complex* in, std::size_t n, std::vector<gr_complex>& symbols)
{
    const std::uint64_t first = d_taken;
    get_tags_in_range(d_window, 0, first, first + n);
    std::stable_sort(d_window.begin(), d_window.end(), gr::tag_t::offset_compare);
    for (const auto& tag : d_window) {
        const std::size_t before = tag.offset - d_taken;
        d_resolver.process(in + (d_taken - first), before, symbols, d_marks);
        d_taken += before;
        obey(tag, symbols);
        d_tags.push(tag, tag.offset); // symbol for symbol
    }
    d_resolver.process(in + (d_taken - first), first + n - d_taken, symbols, d_marks);
    d_taken = first + n;
}

int phase_resolver_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                         gr_vector_const_void_star& input_items,
                                         gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto consumed =
        d_ready.fill(in, ninput_items[0], noutput_items,
                     [&](const gr_complex* piece, std::size_t n, auto& symbols) { take(piece, n, symbols); });
    if (ninput_items[0] == static_cast<int>(consumed) && ended() && !d_flushed) {
        d_flushed = true;
        d_ready.add([&](auto& symbols) { d_resolver.flush(symbols); });
    }
    consume(0, static_cast<int>(consumed));
    tell();
    const std::size_t n = d_ready.take(output_items[0], noutput_items);
    for (const auto& due : d_tags.pop_before(nitems_written(0) + n))
        add_item_tag(0, due);
    return static_cast<int>(n);
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

void phase_resolver_cc_impl::tell()
{
    for (const auto& mark : d_marks) {
        gr::tag_t made;
        made.key = PHASE_KNOWN, made.value = pmt::from_bool(mark.known), made.srcid = alias_pmt();
        d_tags.push(made, mark.symbol);
        auto fields = pmt::dict_add(pmt::make_dict(), KNOWN, pmt::from_bool(mark.known));
        fields = pmt::dict_add(fields, TURN, pmt::from_long(mark.turn));
        fields = pmt::dict_add(fields, SYMMETRY, pmt::from_long(d_resolver.symmetry()));
        d_status.report(Severity::info, mark.known ? "the turn is known" : "the turn is not known", fields);
    }
    d_marks.clear();
}

} // namespace gr::softmod
