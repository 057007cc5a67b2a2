// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace gr::softmod
{

/*! A thread for what must not hold up the samples, one job after the other. It starts with the first job; the
 * destructor drops those that wait and lets the one that runs finish. Jobs must not throw.
 */
class Background
{
public:
    Background() = default;
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    ~Background()
    {
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_ended = true;
        }
        d_wake.notify_one();
        if (d_thread.joinable())
            d_thread.join();
    }

    void run(std::function<void()> job)
    {
        {
            const std::lock_guard<std::mutex> lock(d_mutex);
            d_jobs.push_back(std::move(job));
            if (!d_thread.joinable())
                d_thread = std::thread([this] { loop(); });
        }
        d_wake.notify_one();
    }

private:
    void loop()
    {
        std::unique_lock<std::mutex> lock(d_mutex);
        for (;;) {
            d_wake.wait(lock, [this] { return d_ended || !d_jobs.empty(); });
            if (d_ended)
                return;
            const auto job = std::move(d_jobs.front());
            d_jobs.pop_front();
            lock.unlock();
            job();
            lock.lock();
        }
    }

    std::mutex d_mutex;
    std::condition_variable d_wake;
    std::deque<std::function<void()>> d_jobs;
    bool d_ended = false;
    std::thread d_thread;
};

} // namespace gr::softmod
