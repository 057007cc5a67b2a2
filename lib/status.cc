// SPDX-License-Identifier: GPL-3.0-or-later
#include "status.h"

#include "keys.h"

namespace gr::softmod
{

void report(gr::block& block, const gr::logger_ptr& logger, Severity severity, const std::string& reason,
            const pmt::pmt_t& fields)
{
    static const pmt::pmt_t names[] = {pmt::mp("info"), pmt::mp("warning"), pmt::mp("error")};
    switch (severity) {
    case Severity::info:
        logger->info("{}", reason);
        break;
    case Severity::warning:
        logger->warn("{}", reason);
        break;
    case Severity::error:
        logger->error("{}", reason);
        break;
    }
    auto message = pmt::dict_add(fields, keys::block, block.alias_pmt());
    message = pmt::dict_add(message, keys::severity, names[static_cast<int>(severity)]);
    message = pmt::dict_add(message, keys::reason, pmt::mp(reason));
    block.message_port_pub(keys::status, message);
}

bool RateLimit::ready()
{
    const auto now = std::chrono::steady_clock::now();
    if (now < d_next)
        return false;
    d_next = now + std::chrono::seconds(1);
    return true;
}

} // namespace gr::softmod
