// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_WINDOW_TAP_H
#define INCLUDED_SOFTMOD_WINDOW_TAP_H

#include <gnuradio/softmod/api.h>
#include <gnuradio/sync_block.h>

#include <complex>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Cuts windows out of a stream for a thread that may be slow: the part of training_tap at sample rate.
 * \ingroup softmod
 *
 * Takes everything it is offered at once: it copies into a ring and never waits. Windows go into a bounded
 * queue that another thread empties; when it is full they are dropped and counted. Tags rx_time, rx_freq and
 * rx_rate are kept for the windows behind them. Input 1, where there is one, is vectors of LLRs, one a
 * sample.
 */
class SOFTMOD_API window_tap : virtual public gr::sync_block
{
public:
    typedef std::shared_ptr<window_tap> sptr;

    //! A window; NaN and -1 where nothing is known.
    struct window {
        std::uint64_t sequence, first, id;
        double rate, frequency;
        bool timed;
        std::uint64_t time_at, seconds;
        double fraction;
        std::vector<std::complex<float>> iq;
        std::vector<float> llr;
    };
    //! What became of windows.
    struct tally {
        std::uint64_t cut, queue_full, too_late, too_many_asked;
    };

    /*!
     * \param length samples of a window of every period
     * \param period samples from one to the next; 0: none
     * \param history samples that can still be asked for
     * \param queue windows held at most
     * \param llrs_per_sample of input 1; 0: there is no input 1
     * \throws std::invalid_argument one is out of its range
     */
    static sptr make(std::size_t length = 1024, std::uint64_t period = 0, std::size_t history = 1 << 18,
                     std::size_t queue = 64, std::size_t llrs_per_sample = 0);

    //! Asks for a window: "" or why it will not come ("too_late", "too_long", "too_many").
    virtual std::string ask(std::uint64_t first, std::size_t length, std::uint64_t id) = 0;
    //! The next window, or nothing within so many milliseconds.
    virtual std::optional<window> take(unsigned milliseconds) = 0;

    virtual void set_period(std::uint64_t period) = 0;
    virtual std::uint64_t period() const = 0;
    //! Samples taken in so far.
    virtual std::uint64_t written() const = 0;
    virtual tally counts() const = 0;
};

} // namespace gr::softmod

#endif
