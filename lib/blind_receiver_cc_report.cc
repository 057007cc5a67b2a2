// SPDX-License-Identifier: GPL-3.0-or-later
// What the block says and is told: tags and messages.
#include "blind_receiver_cc_impl.h"

#include "keys.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

constexpr std::uint64_t REPORT_INTERVAL = 16384; // symbols
const pmt::pmt_t DECIDED_AT = pmt::mp("decided_at");

} // namespace

void blind_receiver_cc_impl::set_log_priors(const pmt::pmt_t& message)
{
    if (!pmt::is_dict(message))
        throw std::invalid_argument("log_priors is no dictionary of names and log-probabilities");
    std::vector<double> values(d_search.size());
    std::vector<bool> named(d_search.size());
    double smallest = 0;
    for (std::size_t k = 0; k < values.size(); ++k) {
        const auto value = pmt::dict_ref(message, pmt::mp(d_search.name(k)), pmt::PMT_NIL);
        if (pmt::is_null(value))
            continue;
        if (!pmt::is_number(value) || pmt::is_complex(value))
            throw std::invalid_argument("the log-probability of '" + d_search.name(k) +
                                        "' is no real number");
        named[k] = true;
        values[k] = pmt::to_double(value);
        smallest = std::min(smallest, values[k]);
    }
    for (std::size_t k = 0; k < values.size(); ++k)
        if (!named[k])
            values[k] = smallest;
    d_search.set_log_priors(values);
}

void blind_receiver_cc_impl::tell()
{
    for (const auto& look : d_looks)
        publish(look);
    d_looks.clear();
    for (const auto& mark : d_marks) {
        tag(mark);
        report(mark);
    }
    d_marks.clear();
}

void blind_receiver_cc_impl::tag(const Mark& mark)
{
    const auto push = [&](const pmt::pmt_t& key, const pmt::pmt_t& value) {
        gr::tag_t made;
        made.key = key, made.value = value, made.srcid = alias_pmt();
        d_tags.push(made, mark.symbol);
    };
    if (mark.tuned) {
        push(keys::symbol_rate, pmt::from_double(mark.symbol_rate * d_sample_rate));
        push(keys::center, pmt::from_double(mark.carrier * d_sample_rate));
    }
    if (mark.constellation != d_constellation && mark.constellation != ::softmod::BlindReceiver::NONE) {
        d_constellation = mark.constellation;
        const auto& points = d_search.points(d_constellation);
        push(keys::constellation, pmt::init_c32vector(points.size(), points));
    }
    if (mark.changed)
        push(keys::locked, pmt::from_bool(mark.locked));
    if (mark.tuned || mark.changed)
        push(keys::sample_index, pmt::from_uint64(mark.sample));
    push(keys::noise_var, pmt::from_double(mark.noise_var));
}

void blind_receiver_cc_impl::report(const Mark& mark)
{
    if (!mark.tuned && !mark.changed && mark.symbol < d_next_report)
        return;
    d_next_report = mark.symbol + REPORT_INTERVAL;
    auto message = pmt::make_dict();
    const auto add = [&](const pmt::pmt_t& key, const pmt::pmt_t& value) {
        message = pmt::dict_add(message, key, value);
    };
    add(keys::block, alias_pmt());
    add(keys::severity, pmt::mp("info"));
    add(keys::reason, pmt::mp(mark.tuned      ? "signal"
                              : !mark.changed ? "tracking"
                              : mark.locked   ? "locked"
                                              : "lock lost"));
    add(keys::locked, pmt::from_bool(mark.locked));
    add(keys::sample_index, pmt::from_uint64(mark.sample));
    add(keys::symbol, pmt::from_uint64(mark.symbol));
    add(DECIDED_AT, pmt::from_uint64(nitems_read(0)));
    add(keys::symbol_rate, pmt::from_double(mark.symbol_rate * d_sample_rate));
    add(keys::frequency, pmt::from_double(mark.carrier * d_sample_rate));
    if (mark.locked) {
        add(keys::constellation, pmt::mp(d_search.name(mark.constellation)));
        add(keys::noise_var, pmt::from_double(mark.noise_var));
        add(keys::esn0_db, pmt::from_double(-10 * std::log10(mark.noise_var)));
        add(keys::margin, pmt::from_double(mark.margin));
        add(keys::in_doubt, pmt::from_uint64(mark.in_doubt));
    }
    message_port_pub(keys::status, message);
}

void blind_receiver_cc_impl::publish(const ::softmod::SignalSegments::Look& look)
{
    const auto& found = look.estimate;
    auto message = pmt::dict_add(pmt::make_dict(), keys::sample_index, pmt::from_uint64(look.first));
    const auto add = [&](const pmt::pmt_t& key, double value) {
        message = pmt::dict_add(message, key, pmt::from_double(value));
    };
    add(keys::symbol_rate, found.symbol_rate * d_sample_rate);
    add(keys::rate_quality_db, found.rate_quality_db);
    add(keys::center, found.center * d_sample_rate);
    add(keys::carrier, found.carrier * d_sample_rate);
    add(keys::bandwidth, found.bandwidth * d_sample_rate);
    add(keys::snr_db, found.snr_db);
    message_port_pub(keys::estimate, message);
}

} // namespace gr::softmod
