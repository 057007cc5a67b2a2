// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>

#include <chrono>
#include <string>

namespace gr::softmod
{

enum class Severity { info, warning, error };

//! One log line, and a dictionary (block, severity, reason, and the given fields) on the block's port
//! `status`.
void report(gr::block& block, const gr::logger_ptr& logger, Severity severity, const std::string& reason,
            const pmt::pmt_t& fields = pmt::make_dict());

//! Lets one report a second through, the first at once.
class RateLimit
{
public:
    bool ready();

private:
    std::chrono::steady_clock::time_point d_next{};
};

} // namespace gr::softmod
