// SPDX-License-Identifier: GPL-3.0-or-later
#include "blind_receiver_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/block_detail.h>
#include <gnuradio/buffer_reader.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

constexpr double HIGHEST_RATE = 0.8; // of the sample rate

std::vector<::softmod::CandidateConstellation>
candidates_of(const std::vector<std::string>& names,
              const std::vector<std::vector<gr_complex>>& constellations)
{
    if (names.size() != constellations.size())
        throw std::invalid_argument("there are " + std::to_string(names.size()) + " names for " +
                                    std::to_string(constellations.size()) + " constellations");
    std::vector<::softmod::CandidateConstellation> candidates;
    for (std::size_t k = 0; k < names.size(); ++k)
        candidates.push_back({names[k], checked_points(constellations[k])});
    return candidates;
}

} // namespace

blind_receiver_cc::sptr blind_receiver_cc::make(const std::vector<std::string>& names,
                                                const std::vector<std::vector<gr_complex>>& constellations,
                                                double sample_rate, double excess_bandwidth,
                                                double lowest_symbol_rate, double highest_symbol_rate,
                                                double timing_bandwidth, double carrier_bandwidth,
                                                unsigned length, unsigned window, double margin,
                                                unsigned agreeing)
{
    if (!(std::isfinite(sample_rate) && sample_rate > 0))
        throw std::invalid_argument("sample_rate is " + std::to_string(sample_rate) +
                                    "; it must be positive and finite");
    ::softmod::BlindReceiverConfig config;
    config.excess_bandwidth = excess_bandwidth;
    config.timing_bandwidth = timing_bandwidth;
    config.length = length;
    config.lowest_rate = lowest_symbol_rate / sample_rate;
    config.highest_rate = highest_symbol_rate == 0 ? HIGHEST_RATE : highest_symbol_rate / sample_rate;
    config.recovery.window = window;
    config.recovery.margin = margin;
    config.recovery.agreeing = agreeing;
    config.recovery.interval = std::max(config.recovery.interval, window);
    return gnuradio::make_block_sptr<blind_receiver_cc_impl>(candidates_of(names, constellations),
                                                             sample_rate, carrier_bandwidth, config);
}

blind_receiver_cc_impl::blind_receiver_cc_impl(
    const std::vector<::softmod::CandidateConstellation>& candidates, double sample_rate,
    double carrier_bandwidth, const ::softmod::BlindReceiverConfig& config)
    : gr::block("blind_receiver_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_sample_rate(sample_rate), d_search(candidates, carrier_bandwidth), d_receiver(d_search, config),
      d_status(*this, d_logger)
{
    set_tag_propagation_policy(TPP_DONT); // symbols come and go with the signals
    message_port_register_out(keys::estimate);
    message_port_register_in(keys::log_priors);
    set_msg_handler(keys::log_priors, [this](const pmt::pmt_t& message) {
        d_locked([&] { d_status.try_message([&] { set_log_priors(message); }); });
    });
}

bool blind_receiver_cc_impl::locked() const
{
    return d_locked([&] { return d_receiver.locked(); });
}

std::string blind_receiver_cc_impl::constellation() const
{
    return d_locked([&] {
        return d_constellation == ::softmod::BlindReceiver::NONE ? "" : d_search.name(d_constellation);
    });
}

std::uint64_t blind_receiver_cc_impl::without_signal() const
{
    return d_locked([&] { return d_receiver.without_signal(); });
}

std::uint64_t blind_receiver_cc_impl::invalid_count() const
{
    return d_locked([&] { return d_status.invalid_count(); });
}

bool blind_receiver_cc_impl::ended() const
{
    const auto scheduled = detail();
    return scheduled && scheduled->input(0)->done();
}

void blind_receiver_cc_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    // What is held comes out when the input has ended: that needs no more of it.
    ninput_items_required[0] = ended() && !d_flushed ? 0 : d_ready.input_required();
}

// Samples, or none: the end of the stream.
void blind_receiver_cc_impl::receive(const gr_complex* in, std::size_t n, std::vector<gr_complex>& symbols)
{
    d_finite.assign(in, in + n);
    std::size_t invalid = 0;
    for (auto& sample : d_finite)
        if (!std::isfinite(sample.real()) || !std::isfinite(sample.imag()))
            sample = 0, ++invalid;
    d_status.count_invalid(invalid, "they count as 0");
    d_receiver.process(d_finite.data(), n, symbols, d_marks, d_looks);
}

int blind_receiver_cc_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                         gr_vector_const_void_star& input_items,
                                         gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto consumed = d_ready.fill(
        in, ninput_items[0], noutput_items,
        [&](const gr_complex* piece, std::size_t n, auto& symbols) { receive(piece, n, symbols); });
    if (ninput_items[0] == static_cast<int>(consumed) && ended() && !d_flushed) {
        d_flushed = true;
        d_ready.add([&](auto& symbols) { d_receiver.flush(symbols, d_marks); });
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

} // namespace gr::softmod
