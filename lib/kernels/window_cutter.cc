// SPDX-License-Identifier: GPL-3.0-or-later
#include "window_cutter.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

// Samples taken in at a time: the ring has room for them beyond the history.
constexpr std::size_t piece = 1 << 13;
constexpr std::size_t most_asked = 1024, most_states = 256;
constexpr std::size_t largest_history = std::size_t(1) << 28;

std::size_t checked(std::size_t value, std::size_t least, std::size_t most, const char* name)
{
    if (value >= least && value <= most)
        return value;
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + "; it must be from " +
                                std::to_string(least) + " to " + std::to_string(most));
}

} // namespace

WindowCutter::WindowCutter(std::size_t history, std::size_t length, std::uint64_t period, std::size_t queue,
                           std::size_t llrs_per_sample)
    : d_history(checked(history, 1, largest_history, "history")),
      d_length(checked(length, 1, history, "length")), d_queue_limit(checked(queue, 1, 1 << 16, "queue")),
      d_llrs(checked(llrs_per_sample, 0, 16, "llrs_per_sample")), d_period(period), d_iq(history + piece),
      d_llr(d_llrs * (history + piece))
{
    d_asked.reserve(most_asked);
}

void WindowCutter::push(const std::complex<float>* iq, const float* llr, std::size_t n)
{
    while (n > 0) {
        const auto part = std::min(n, piece);
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            store(iq, llr, part);
            cut_what_is_there();
        }
        iq += part;
        llr += llr ? part * d_llrs : 0;
        n -= part;
    }
}

void WindowCutter::store(const std::complex<float>* iq, const float* llr, std::size_t n)
{
    copy_in(d_iq, iq, d_written, n);
    if (d_llrs > 0)
        copy_in(d_llr, llr, d_written * d_llrs, n * d_llrs);
    d_written += n;
}

template <class T>
void WindowCutter::copy_in(std::vector<T>& ring, const T* from, std::uint64_t at, std::size_t n)
{
    const std::size_t start = at % ring.size(), first = std::min(n, ring.size() - start);
    std::copy_n(from, first, ring.begin() + static_cast<std::ptrdiff_t>(start));
    std::copy_n(from + first, n - first, ring.begin());
}

template <class T>
void WindowCutter::copy_out(const std::vector<T>& ring, std::uint64_t at, std::vector<T>& to, std::size_t n)
{
    const std::size_t start = at % ring.size(), first = std::min(n, ring.size() - start);
    const auto from = ring.begin() + static_cast<std::ptrdiff_t>(start);
    to.reserve(n);
    to.assign(from, from + static_cast<std::ptrdiff_t>(first));
    to.insert(to.end(), ring.begin(), ring.begin() + static_cast<std::ptrdiff_t>(n - first));
}

void WindowCutter::cut_what_is_there()
{
    while (d_period > 0 && d_next_periodic + d_length <= d_written) {
        cut({d_next_periodic, d_length, 0});
        d_next_periodic += d_period;
    }
    const auto waits = [this](const Asked& asked) { return asked.first + asked.length > d_written; };
    const auto ready = std::stable_partition(d_asked.begin(), d_asked.end(), waits);
    for (auto asked = ready; asked != d_asked.end(); ++asked)
        cut(*asked);
    d_asked.erase(ready, d_asked.end());
}

void WindowCutter::cut(const Asked& asked)
{
    ++d_counts.cut;
    const auto sequence = d_sequence++;
    if (d_queue.size() >= d_queue_limit) {
        ++d_counts.queue_full;
        return;
    }
    Window window;
    window.sequence = sequence;
    window.first = asked.first;
    window.id = asked.id;
    const auto later = std::find_if(d_states.rbegin(), d_states.rend(),
                                    [&](const StreamState& state) { return state.from <= asked.first; });
    window.state = later == d_states.rend() ? StreamState() : *later;
    copy_out(d_iq, asked.first, window.iq, asked.length);
    if (d_llrs > 0)
        copy_out(d_llr, asked.first * d_llrs, window.llr, asked.length * d_llrs);
    d_queue.push_back(std::move(window));
    d_more.notify_one();
}

void WindowCutter::set_state(const StreamState& state)
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    if (d_states.back().from == state.from)
        d_states.pop_back();
    d_states.push_back(state);
    if (d_states.size() > most_states)
        d_states.pop_front();
}

StreamState WindowCutter::latest_state() const
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    return d_states.back();
}

void WindowCutter::set_period(std::uint64_t period)
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    d_period = period;
    d_next_periodic = std::max(d_next_periodic, d_written);
}

std::uint64_t WindowCutter::period() const
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    return d_period;
}

WindowCutter::Answer WindowCutter::ask(std::uint64_t first, std::size_t length, std::uint64_t id)
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    if (length == 0 || length > d_history || first > std::numeric_limits<std::uint64_t>::max() - length)
        return Answer::too_long;
    if (first + d_history < d_written) {
        ++d_counts.too_late;
        return Answer::too_late;
    }
    if (first + length <= d_written) {
        cut({first, length, id});
        return Answer::accepted;
    }
    if (d_asked.size() >= most_asked) {
        ++d_counts.too_many_asked;
        return Answer::too_many;
    }
    d_asked.push_back({first, length, id});
    return Answer::accepted;
}

std::optional<Window> WindowCutter::take(std::chrono::milliseconds timeout)
{
    std::unique_lock<std::mutex> lock(d_mutex);
    d_more.wait_for(lock, timeout, [this] { return !d_queue.empty() || d_finished; });
    if (d_queue.empty())
        return std::nullopt;
    std::optional<Window> window(std::move(d_queue.front()));
    d_queue.pop_front();
    return window;
}

void WindowCutter::begin()
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    d_finished = false;
}

void WindowCutter::finish()
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    d_finished = true;
    d_more.notify_all();
}

std::uint64_t WindowCutter::written() const
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    return d_written;
}

WindowCutter::Counts WindowCutter::counts() const
{
    const std::lock_guard<std::mutex> lock(d_mutex);
    return d_counts;
}

} // namespace softmod
