// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>

#include <chrono>
#include <string>

namespace gr::softmod
{

enum class Severity { info, warning, error };

/*! What a block has to say while it runs: each report is one log line, and a dictionary of block, severity,
 * reason and given fields on the message port `status`. Not thread-safe: the block's lock guards it.
 */
class Status
{
public:
    //! Registers the port. Both arguments are the owner's.
    Status(gr::block& block, const gr::logger_ptr& logger);

    void report(Severity severity, const std::string& reason, const pmt::pmt_t& fields = pmt::make_dict());

    //! At most one report a second; the first at once, and what is held back is dropped (false).
    bool report_seldom(Severity severity, const std::string& reason,
                       const pmt::pmt_t& fields = pmt::make_dict());

    //! Makes the change that a message asks for; when that throws, says so.
    template <class Change>
    void try_message(Change&& change)
    {
        try {
            change();
        } catch (const std::exception& error) {
            report(Severity::warning, std::string("message ignored: ") + error.what());
        }
    }

    //! The same for a tag, of which there may be many.
    template <class Change>
    void try_tag(const gr::tag_t& tag, Change&& change)
    {
        try {
            change();
        } catch (const std::exception& error) {
            report_seldom(Severity::warning,
                          "tag at item " + std::to_string(tag.offset) + " ignored: " + error.what());
        }
    }

    //! Counts samples that were not finite, and tells of them at most once a second. consequence ends the
    //! sentence.
    void count_invalid(std::size_t count, const char* consequence);
    std::uint64_t invalid_count() const { return d_invalid; }

private:
    using Clock = std::chrono::steady_clock;
    static bool due(Clock::time_point& next);

    gr::block& d_block;
    gr::logger_ptr d_logger;
    Clock::time_point d_next{}, d_next_invalid{};
    std::uint64_t d_invalid = 0, d_invalid_told = 0;
};

} // namespace gr::softmod
