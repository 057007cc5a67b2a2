// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_estimator_c_impl.h"

#include "keys.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace gr::softmod
{
namespace
{

// Of the message; what other blocks share is in keys.h.
namespace fields
{

const auto estimate = pmt::mp("estimate");
const auto symbol_rate = pmt::mp("symbol_rate");
const auto rate_quality_db = pmt::mp("rate_quality_db");
const auto center = pmt::mp("center");
const auto bandwidth = pmt::mp("bandwidth");
const auto carrier = pmt::mp("carrier");
const auto carrier_order = pmt::mp("carrier_order");
const auto carrier_quality_db = pmt::mp("carrier_quality_db");
const auto snr_db = pmt::mp("snr_db");
const auto active = pmt::mp("active");
const auto length = pmt::mp("length");

} // namespace fields

double checked_sample_rate(double rate)
{
    if (rate >= 0 && std::isfinite(rate))
        return rate;
    throw std::invalid_argument("sample_rate is " + std::to_string(rate) +
                                "; it must be 0 or positive and finite");
}

std::uint64_t checked_period(std::uint64_t period, std::uint64_t length)
{
    if (period == 0)
        return length;
    if (period >= length)
        return period;
    throw std::invalid_argument("period is " + std::to_string(period) +
                                "; it must be 0 or at least the length " + std::to_string(length));
}

} // namespace

blind_estimator_c::sptr blind_estimator_c::make(double sample_rate, std::uint64_t length,
                                                std::uint64_t period, bool live)
{
    return gnuradio::make_block_sptr<blind_estimator_c_impl>(sample_rate, length, period, live);
}

blind_estimator_c_impl::blind_estimator_c_impl(double sample_rate, std::uint64_t length, std::uint64_t period,
                                               bool live)
    : gr::sync_block("blind_estimator_c", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                     gr::io_signature::make(0, 0, 0)),
      d_estimator(length), d_live(live), d_period(checked_period(period, length)),
      d_tags(checked_sample_rate(sample_rate)), d_status(*this, d_logger)
{
    d_block.reserve(length);
    message_port_register_out(fields::estimate);
}

void blind_estimator_c_impl::set_period(std::uint64_t period)
{
    d_locked([&] { d_period = checked_period(period, d_estimator.length()); });
}

std::uint64_t blind_estimator_c_impl::period() const
{
    return d_locked([&] { return d_period; });
}

blind_estimator_c::tally blind_estimator_c_impl::counts() const
{
    return d_locked([&] { return d_counts; });
}

bool blind_estimator_c_impl::start()
{
    const auto lock = d_locked.hold();
    d_block.clear();
    d_first = nitems_read(0); // of another run, perhaps
    return sync_block::start();
}

int blind_estimator_c_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                                 gr_vector_void_star&)
try {
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const std::uint64_t begin = nitems_read(0), end = begin + static_cast<std::uint64_t>(noutput_items);
    auto lock = d_locked.hold();
    get_tags_in_range(d_new_tags, 0, begin, end);
    std::stable_sort(d_new_tags.begin(), d_new_tags.end(), gr::tag_t::offset_compare);
    for (const auto& tag : d_new_tags)
        d_tags.push(tag);
    for (auto at = std::max(begin, d_first + d_block.size()); at < end; at = d_first + d_block.size()) {
        const auto n = std::min<std::uint64_t>(d_estimator.length() - d_block.size(), end - at);
        d_block.insert(d_block.end(), in + (at - begin), in + (at - begin) + n);
        if (d_block.size() < d_estimator.length())
            break;
        d_tags.advance(d_first, d_status);
        const double rate = d_tags.rate() > 0 ? d_tags.rate() : 1;
        auto about = d_tags.add_to(pmt::make_dict(), d_first, std::nullopt);
        about = pmt::dict_add(about, keys::sample_index, pmt::from_uint64(d_first));
        about = pmt::dict_add(about, fields::length, pmt::from_uint64(d_estimator.length()));
        take_block(rate, about, lock);
        d_block.clear();
        d_first += d_period;
        if (d_first >= end)
            break;
    }
    return noutput_items;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

// The lock is free while it is estimated.
void blind_estimator_c_impl::take_block(double rate, const pmt::pmt_t& about,
                                        std::unique_lock<std::mutex>& lock)
{
    if (!d_live) {
        lock.unlock();
        estimate(d_block, rate, about);
        lock.lock();
    } else if (d_busy) {
        ++d_counts.skipped;
    } else {
        d_busy = true;
        d_background.run([this, rate, about, block = d_block] { estimate(block, rate, about); });
    }
}

void blind_estimator_c_impl::estimate(const Block& block, double rate, const pmt::pmt_t& about)
{
    const auto found = d_estimator.estimate(block.data(), block.size());
    const bool signal = found.bandwidth > 0;
    if (signal) {
        auto message = about;
        const auto add = [&](const pmt::pmt_t& key, double value) {
            message = pmt::dict_add(message, key, pmt::from_double(value));
        };
        add(fields::symbol_rate, found.symbol_rate * rate);
        add(fields::rate_quality_db, found.rate_quality_db);
        add(fields::center, found.center * rate);
        add(fields::bandwidth, found.bandwidth * rate);
        add(fields::carrier, found.carrier * rate);
        message = pmt::dict_add(message, fields::carrier_order, pmt::from_long(found.carrier_order));
        add(fields::carrier_quality_db, found.carrier_quality_db);
        add(fields::snr_db, found.snr_db);
        add(fields::active, found.active);
        message_port_pub(fields::estimate, message);
    }
    d_locked([&] {
        ++(signal ? d_counts.estimated : d_counts.without_signal);
        d_busy = false;
    });
}

} // namespace gr::softmod
