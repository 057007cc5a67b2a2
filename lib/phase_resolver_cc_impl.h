// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "item_queue.h"
#include "one_lock.h"
#include "phase_resolver.h"
#include "status.h"
#include "tag_queue.h"

#include <gnuradio/softmod/phase_resolver_cc.h>

#include <vector>

namespace gr::softmod
{

class phase_resolver_cc_impl : public phase_resolver_cc
{
public:
    phase_resolver_cc_impl(const std::vector<gr_complex>& constellation,
                           const std::vector<std::uint8_t>& word, unsigned hold, unsigned dwell);

    bool known() const override;
    unsigned turn() const override;

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    bool ended() const; // the input
    void take(const gr_complex* in, std::size_t n, std::vector<gr_complex>& symbols);
    void obey(const gr::tag_t& tag, std::vector<gr_complex>& symbols);
    void decoded(const pmt::pmt_t& message);
    void tell();

    OneLock d_locked;
    ::softmod::PhaseResolver d_resolver;
    Status d_status;
    ItemQueue d_ready;
    TagQueue d_tags;
    std::vector<gr::tag_t> d_window;
    std::vector<::softmod::PhaseResolver::Mark> d_marks;
    std::uint64_t d_taken = 0;
    bool d_flushed = false;
};

} // namespace gr::softmod
