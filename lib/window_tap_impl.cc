// SPDX-License-Identifier: GPL-3.0-or-later
#include "window_tap_impl.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

const auto rx_time = pmt::mp("rx_time"), rx_freq = pmt::mp("rx_freq"), rx_rate = pmt::mp("rx_rate");

gr::io_signature::sptr inputs(std::size_t llrs)
{
    if (llrs == 0)
        return gr::io_signature::make(1, 1, sizeof(gr_complex));
    return gr::io_signature::make2(2, 2, sizeof(gr_complex), static_cast<int>(llrs * sizeof(float)));
}

double finite_number(const pmt::pmt_t& value)
{
    if (!pmt::is_number(value) || pmt::is_complex(value))
        throw std::invalid_argument("its value is not a number");
    const auto number = pmt::to_double(value);
    if (!std::isfinite(number) || std::abs(number) > 1e12)
        throw std::invalid_argument("its value is not within 1e12");
    return number;
}

// UHD's time: (uint64 whole seconds, double fraction).
void set_time(::softmod::StreamState& state, const gr::tag_t& tag)
{
    if (!pmt::is_tuple(tag.value) || pmt::length(tag.value) != 2 ||
        !pmt::is_uint64(pmt::tuple_ref(tag.value, 0)) || !pmt::is_real(pmt::tuple_ref(tag.value, 1)))
        throw std::invalid_argument("its value is not (whole seconds, fraction)");
    const auto seconds = pmt::to_uint64(pmt::tuple_ref(tag.value, 0));
    const auto fraction = pmt::to_double(pmt::tuple_ref(tag.value, 1));
    if (seconds > 253402300798 ||
        !(fraction >= 0 && fraction <= 1)) // the year 9999 is the last with four digits
        throw std::invalid_argument("its value is no time");
    state.time_at = tag.offset;
    state.seconds = seconds;
    state.fraction = fraction;
    state.timed = true;
}

} // namespace

window_tap::sptr window_tap::make(std::size_t length, std::uint64_t period, std::size_t history,
                                  std::size_t queue, std::size_t llrs_per_sample)
{
    return gnuradio::make_block_sptr<window_tap_impl>(length, period, history, queue, llrs_per_sample);
}

window_tap_impl::window_tap_impl(std::size_t length, std::uint64_t period, std::size_t history,
                                 std::size_t queue, std::size_t llrs_per_sample)
    : gr::sync_block("window_tap", inputs(llrs_per_sample), gr::io_signature::make(0, 0, 0)),
      d_cutter(history, length, period, queue, llrs_per_sample), d_status(*this, d_logger)
{
}

std::string window_tap_impl::ask(std::uint64_t first, std::size_t length, std::uint64_t id)
{
    using Answer = ::softmod::WindowCutter::Answer;
    switch (d_cutter.ask(first, length, id)) {
    case Answer::too_late:
        return "too_late";
    case Answer::too_long:
        return "too_long";
    case Answer::too_many:
        return "too_many";
    case Answer::accepted:
        break;
    }
    return {};
}

std::optional<window_tap::window> window_tap_impl::take(unsigned milliseconds)
{
    auto w = d_cutter.take(std::chrono::milliseconds(milliseconds));
    if (!w)
        return std::nullopt;
    const auto& s = w->state;
    return window{w->sequence, w->first,  w->id,      s.rate,           s.frequency,      s.timed,
                  s.time_at,   s.seconds, s.fraction, std::move(w->iq), std::move(w->llr)};
}

void window_tap_impl::set_period(std::uint64_t period)
{
    d_cutter.set_period(period);
}
std::uint64_t window_tap_impl::period() const
{
    return d_cutter.period();
}
std::uint64_t window_tap_impl::written() const
{
    return d_cutter.written();
}

window_tap::tally window_tap_impl::counts() const
{
    const auto c = d_cutter.counts();
    return {c.cut, c.queue_full, c.too_late, c.too_many_asked};
}

void window_tap_impl::read_tags(std::uint64_t begin, std::uint64_t end)
{
    std::vector<gr::tag_t> tags;
    get_tags_in_range(tags, 0, begin, end);
    if (tags.empty())
        return;
    std::stable_sort(tags.begin(), tags.end(), gr::tag_t::offset_compare);
    auto state = d_cutter.latest_state();
    for (const auto& tag : tags) {
        d_status.try_tag(tag, [&] {
            if (pmt::eq(tag.key, rx_freq))
                state.frequency = finite_number(tag.value);
            else if (pmt::eq(tag.key, rx_rate)) {
                const auto rate = finite_number(tag.value);
                if (!(rate > 0))
                    throw std::invalid_argument("its value is not positive");
                state.rate = rate;
            } else if (pmt::eq(tag.key, rx_time))
                set_time(state, tag);
            else
                return;
            state.from = tag.offset;
            d_cutter.set_state(state);
        });
    }
}

int window_tap_impl::work(int noutput_items, gr_vector_const_void_star& input_items, gr_vector_void_star&)
try {
    const auto begin = nitems_read(0);
    read_tags(begin, begin + static_cast<std::uint64_t>(noutput_items));
    d_cutter.push(static_cast<const gr_complex*>(input_items[0]),
                  input_items.size() > 1 ? static_cast<const float*>(input_items[1]) : nullptr,
                  static_cast<std::size_t>(noutput_items));
    return noutput_items;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

bool window_tap_impl::start()
{
    d_cutter.begin();
    return true;
}

bool window_tap_impl::stop()
{
    d_cutter.finish();
    return true;
}

} // namespace gr::softmod
