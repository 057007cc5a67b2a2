// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "blind_receiver.h"
#include "item_queue.h"
#include "one_lock.h"
#include "status.h"
#include "tag_queue.h"

#include <gnuradio/softmod/blind_receiver_cc.h>

#include <string>
#include <vector>

namespace gr::softmod
{

class blind_receiver_cc_impl : public blind_receiver_cc
{
public:
    blind_receiver_cc_impl(const std::vector<::softmod::CandidateConstellation>& candidates,
                           double sample_rate, double carrier_bandwidth,
                           const ::softmod::BlindReceiverConfig& config);

    bool locked() const override;
    std::string constellation() const override;
    std::uint64_t without_signal() const override;
    std::uint64_t invalid_count() const override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    using Mark = ::softmod::BlindReceiver::Mark;

    bool ended() const; // the input
    void receive(const gr_complex* in, std::size_t n, std::vector<gr_complex>& symbols);
    void set_log_priors(const pmt::pmt_t& message);
    void tell();
    void tag(const Mark& mark);
    void report(const Mark& mark);
    void publish(const ::softmod::SignalSegments::Look& look);

    OneLock d_locked;
    const double d_sample_rate;
    ::softmod::ConstellationSearch d_search;
    ::softmod::BlindReceiver d_receiver;
    Status d_status;
    ItemQueue d_ready;
    std::vector<Mark> d_marks;
    std::vector<::softmod::SignalSegments::Look> d_looks;
    TagQueue d_tags;
    std::vector<gr_complex> d_finite;
    bool d_flushed = false, d_was_locked = false;
    std::size_t d_constellation = ::softmod::BlindReceiver::NONE;
    std::uint64_t d_next_report = 0; // in symbols
};

} // namespace gr::softmod
