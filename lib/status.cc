// SPDX-License-Identifier: GPL-3.0-or-later
#include "status.h"

#include "keys.h"

namespace gr::softmod
{

Status::Status(gr::block& block, const gr::logger_ptr& logger) : d_block(block), d_logger(logger)
{
    block.message_port_register_out(keys::status);
}

void Status::report(Severity severity, const std::string& reason, const pmt::pmt_t& fields)
{
    static const pmt::pmt_t names[] = {pmt::mp("info"), pmt::mp("warning"), pmt::mp("error")};
    switch (severity) {
    case Severity::info:
        d_logger->info("{}", reason);
        break;
    case Severity::warning:
        d_logger->warn("{}", reason);
        break;
    case Severity::error:
        d_logger->error("{}", reason);
        break;
    }
    auto message = pmt::dict_add(fields, keys::block, d_block.alias_pmt());
    message = pmt::dict_add(message, keys::severity, names[static_cast<int>(severity)]);
    message = pmt::dict_add(message, keys::reason, pmt::mp(reason));
    d_block.message_port_pub(keys::status, message);
}

bool Status::report_seldom(Severity severity, const std::string& reason, const pmt::pmt_t& fields)
{
    if (!due(d_next))
        return false;
    report(severity, reason, fields);
    return true;
}

void Status::count_invalid(std::size_t count, const char* consequence)
{
    d_invalid += count;
    if (d_invalid == d_invalid_told || !due(d_next_invalid))
        return;
    d_invalid_told = d_invalid;
    report(Severity::warning, std::to_string(d_invalid) + " samples so far were not finite; " + consequence,
           pmt::dict_add(pmt::make_dict(), keys::count, pmt::from_uint64(d_invalid)));
}

bool Status::due(Clock::time_point& next)
{
    const auto now = Clock::now();
    if (now < next)
        return false;
    next = now + std::chrono::seconds(1);
    return true;
}

} // namespace gr::softmod
