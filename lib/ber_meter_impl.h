// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ber_counter.h"
#include "one_lock.h"
#include "status.h"

#include <gnuradio/softmod/ber_meter.h>

namespace gr::softmod
{

class ber_meter_impl : public ber_meter
{
public:
    ber_meter_impl(::softmod::KnownSequence sequence, bool soft, std::uint64_t frame_bits,
                   std::uint64_t period);

    result counts() const override;
    void reset() override;
    void set_period(std::uint64_t period) override;
    std::uint64_t period() const override;

    bool stop() override;
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    result counts_unlocked() const;
    void count(const std::uint8_t* bits, std::size_t n);
    void tell_changes();
    void publish();

    const OneLock d_locked{};
    const bool d_soft;
    ::softmod::BerCounter d_counter;
    std::uint64_t d_period, d_since = 0; // bits from message to message, and since the latest
    std::uint64_t d_received = 0;
    bool d_told_synced = false;
    Status d_status;
    std::vector<std::uint8_t> d_bits;
};

} // namespace gr::softmod
