// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <complex>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

namespace softmod
{

//! What is known of the stream from one sample on. NaN: unknown.
struct StreamState {
    std::uint64_t from = 0;
    double rate = std::numeric_limits<double>::quiet_NaN();
    double frequency = std::numeric_limits<double>::quiet_NaN();
    std::uint64_t time_at = 0; //!< The sample whose time is known, when `timed`.
    std::uint64_t seconds = 0;
    double fraction = 0;
    bool timed = false;
};

//! A piece of the stream.
struct Window {
    std::uint64_t sequence = 0; //!< Counts windows cut, also those that were dropped later: a gap is a loss.
    std::uint64_t first = 0;    //!< Sample of the stream, from 0.
    std::uint64_t id = 0;       //!< Of what asked for it; 0: it is one of every period.
    StreamState state;
    std::vector<std::complex<float>> iq;
    std::vector<float> llr;
};

/*! Cuts windows out of a stream for somebody who may be slow.
 *
 * The latest samples are kept in a ring, so that a window can be asked for after it has passed. Windows go
 * into a bounded queue; when it is full they are dropped and counted. push() copies and never waits for the
 * one who takes: the lock is held by others for no longer than moving a window takes. Thread-safe.
 */
class WindowCutter
{
public:
    //! What became of windows.
    struct Counts {
        std::uint64_t cut, queue_full, too_late, too_many_asked;
    };
    enum class Answer { accepted, too_late, too_long, too_many };

    /*!
     * \param history samples that can still be asked for
     * \param length of the windows of every period
     * \param period samples from the start of one to the next; 0: none
     * \param queue windows held at most
     * \param llrs_per_sample values that push() gets beside each sample
     * \throws std::invalid_argument one is out of its range
     */
    WindowCutter(std::size_t history, std::size_t length, std::uint64_t period, std::size_t queue,
                 std::size_t llrs_per_sample);

    //! Takes in n samples, and n * llrs_per_sample values where there are any.
    void push(const std::complex<float>* iq, const float* llr, std::size_t n);

    //! From its sample on, this is known; samples rise from call to call.
    void set_state(const StreamState& state);
    StreamState latest_state() const;

    void set_period(std::uint64_t period);
    std::uint64_t period() const;

    //! Asks for a window; it comes when its last sample is there.
    Answer ask(std::uint64_t first, std::size_t length, std::uint64_t id);

    //! The next window in the queue; nothing when none comes in time or after finish().
    std::optional<Window> take(std::chrono::milliseconds timeout);

    //! Samples come: take() waits for them.
    void begin();
    //! No more samples come: take() gives what is left and waits no more.
    void finish();

    std::uint64_t written() const;
    Counts counts() const;

private:
    struct Asked {
        std::uint64_t first;
        std::size_t length;
        std::uint64_t id;
    };

    void store(const std::complex<float>* iq, const float* llr, std::size_t n);
    void cut_what_is_there();
    void cut(const Asked& asked);
    template <class T>
    static void copy_in(std::vector<T>& ring, const T* from, std::uint64_t at, std::size_t n);
    template <class T>
    static void copy_out(const std::vector<T>& ring, std::uint64_t at, std::vector<T>& to, std::size_t n);

    const std::size_t d_history, d_length, d_queue_limit, d_llrs;
    mutable std::mutex d_mutex;
    std::condition_variable d_more;
    std::uint64_t d_period, d_next_periodic = 0, d_written = 0, d_sequence = 0;
    std::vector<std::complex<float>> d_iq;
    std::vector<float> d_llr;
    std::vector<Asked> d_asked;
    std::deque<StreamState> d_states{StreamState()};
    std::deque<Window> d_queue;
    Counts d_counts{};
    bool d_finished = false;
};

} // namespace softmod
