// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "item_queue.h"
#include "one_lock.h"
#include "symbol_recovery.h"
#include "tag_queue.h"

#include <gnuradio/softmod/symbol_recovery_cc.h>

namespace gr::softmod
{

class symbol_recovery_cc_impl : public symbol_recovery_cc
{
public:
    symbol_recovery_cc_impl(const std::vector<gr_complex>& constellation, double symbol_rate,
                            const ::softmod::SymbolRecoveryConfig& config);

    void set_loop_bandwidth(double loop_bandwidth) override;
    bool locked() const override;
    double frequency() const override;
    double noise_var() const override;
    unsigned symmetry() const override { return d_recovery.symmetry(); }

    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    void tell(const ::softmod::SymbolRecovery::Mark& mark);

    OneLock d_locked;
    ::softmod::SymbolRecovery d_recovery;
    const unsigned d_samples_per_symbol;
    const double d_symbol_rate;
    ItemQueue d_ready;
    std::vector<::softmod::SymbolRecovery::Mark> d_marks;
    std::vector<gr::tag_t> d_window;
    TagQueue d_tags;
    double d_coarse_frequency = 0;   // taken off before this block, in the unit of symbol_rate
    std::uint64_t d_next_report = 0; // in symbols
};

} // namespace gr::softmod
