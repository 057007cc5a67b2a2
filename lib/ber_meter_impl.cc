// SPDX-License-Identifier: GPL-3.0-or-later
#include "ber_meter_impl.h"

#include "keys.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>

namespace gr::softmod
{
namespace
{

const auto ber_port = pmt::mp("ber");
const auto reset_port = pmt::mp("reset");

std::uint64_t checked_period(std::uint64_t period)
{
    if (period > 0)
        return period;
    throw std::invalid_argument("period is 0; it must be at least 1 bit");
}

} // namespace

ber_meter::sptr ber_meter::make_prbs(unsigned stages, bool soft, std::uint64_t frame_bits,
                                     std::uint64_t period)
{
    return gnuradio::make_block_sptr<ber_meter_impl>(::softmod::KnownSequence::prbs(stages), soft, frame_bits,
                                                     period);
}

ber_meter::sptr ber_meter::make_bits(const std::vector<std::uint8_t>& bits, bool soft,
                                     std::uint64_t frame_bits, std::uint64_t period)
{
    return gnuradio::make_block_sptr<ber_meter_impl>(::softmod::KnownSequence::of_bits(bits), soft,
                                                     frame_bits, period);
}

ber_meter_impl::ber_meter_impl(::softmod::KnownSequence sequence, bool soft, std::uint64_t frame_bits,
                               std::uint64_t period)
    : gr::sync_block("ber_meter", gr::io_signature::make(1, 1, soft ? sizeof(float) : sizeof(std::uint8_t)),
                     gr::io_signature::make(0, 0, 0)),
      d_soft(soft), d_counter(std::move(sequence), frame_bits), d_period(checked_period(period)),
      d_status(*this, d_logger)
{
    message_port_register_out(ber_port);
    message_port_register_in(reset_port);
    set_msg_handler(reset_port, [this](const pmt::pmt_t&) { reset(); });
}

void ber_meter_impl::reset()
{
    d_locked([&] {
        d_counter.reset();
        d_since = 0;
        d_told_synced = false;
    });
}

void ber_meter_impl::set_period(std::uint64_t period)
{
    d_locked([&] { d_period = checked_period(period); });
}

std::uint64_t ber_meter_impl::period() const
{
    return d_locked([&] { return d_period; });
}

ber_meter::result ber_meter_impl::counts() const
{
    return d_locked([&] { return counts_unlocked(); });
}

ber_meter::result ber_meter_impl::counts_unlocked() const
{
    const auto& c = d_counter.counts();
    const auto ber = ::softmod::rate_of(c.errors, c.bits), fer = ::softmod::rate_of(c.frame_errors, c.frames);
    return {c.bits,           c.errors,  ber.value, ber.low,  ber.high,           c.frames,
            c.frame_errors,   fer.value, fer.low,   fer.high, d_counter.synced(), d_counter.inverted(),
            d_counter.slips()};
}

void ber_meter_impl::publish()
{
    d_since = 0;
    const auto r = counts_unlocked();
    auto message = pmt::make_dict();
    const auto add = [&](const char* key, const pmt::pmt_t& value) {
        message = pmt::dict_add(message, pmt::mp(key), value);
    };
    add("bits", pmt::from_uint64(r.bits));
    add("errors", pmt::from_uint64(r.errors));
    add("ber", pmt::from_double(r.ber));
    add("ber_low", pmt::from_double(r.ber_low));
    add("ber_high", pmt::from_double(r.ber_high));
    add("frames", pmt::from_uint64(r.frames));
    add("frame_errors", pmt::from_uint64(r.frame_errors));
    add("fer", pmt::from_double(r.fer));
    add("fer_low", pmt::from_double(r.fer_low));
    add("fer_high", pmt::from_double(r.fer_high));
    add("synced", pmt::from_bool(r.synced));
    add("inverted", pmt::from_bool(r.inverted));
    add("slips", pmt::from_uint64(r.slips));
    message_port_pub(ber_port, message);
}

void ber_meter_impl::tell_changes()
{
    if (d_counter.synced() == d_told_synced)
        return;
    d_told_synced = !d_told_synced;
    const auto near = " near bit " + std::to_string(d_received);
    if (d_told_synced)
        d_status.report(Severity::info, "synchronised" + near + (d_counter.inverted() ? ", inverted" : ""));
    else
        d_status.report(Severity::warning, "synchronisation lost" + near);
}

void ber_meter_impl::count(const std::uint8_t* bits, std::size_t n)
{
    while (n > 0) {
        // Short pieces, so that what is told of synchronisation is told of all of it, and near where it was.
        const std::size_t part =
            std::min<std::uint64_t>({n, d_period - std::min(d_since, d_period - 1), 256});
        d_counter.count(bits, part);
        bits += part;
        n -= part;
        d_received += part;
        d_since += part;
        tell_changes();
        if (d_since >= d_period)
            publish();
    }
}

int ber_meter_impl::work(int noutput_items, gr_vector_const_void_star& input_items, gr_vector_void_star&)
try {
    const auto lock = d_locked.hold();
    const auto n = static_cast<std::size_t>(noutput_items);
    d_bits.resize(n);
    std::size_t invalid = 0;
    if (d_soft) {
        const auto* llr = static_cast<const float*>(input_items[0]);
        for (std::size_t i = 0; i < n; ++i) {
            d_bits[i] = llr[i] > 0;
            invalid += std::isnan(llr[i]);
        }
    } else {
        const auto* bytes = static_cast<const std::uint8_t*>(input_items[0]);
        std::transform(bytes, bytes + n, d_bits.begin(), [](std::uint8_t byte) { return byte & 1; });
    }
    count(d_bits.data(), n);
    d_status.count_invalid(invalid, "they are taken as 0");
    return noutput_items;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

bool ber_meter_impl::stop()
{
    d_locked([&] {
        d_counter.finish();
        publish();
    });
    return true;
}

} // namespace gr::softmod
