// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_pool.h"

namespace softmod
{

FramePool::FramePool(std::size_t threads)
{
    for (std::size_t worker = 1; worker < threads; ++worker)
        d_threads.emplace_back([this, worker] { serve(worker); });
}

FramePool::~FramePool()
{
    {
        const std::lock_guard lock(d_mutex);
        d_stop = true;
    }
    d_start.notify_all();
    for (auto& thread : d_threads)
        thread.join();
}

void FramePool::run_erased(std::size_t n, Erased work)
{
    if (d_threads.empty() || n < 2) {
        for (std::size_t frame = 0; frame < n; ++frame)
            work.call(work.self, 0, frame);
        return;
    }
    {
        const std::lock_guard lock(d_mutex);
        d_work = work;
        d_frames = n;
        d_next = 0;
        d_busy = d_threads.size();
        ++d_call;
    }
    d_start.notify_all();
    take_frames(0);
    std::unique_lock lock(d_mutex);
    d_done.wait(lock, [this] { return d_busy == 0; });
}

void FramePool::take_frames(std::size_t worker)
{
    for (std::size_t frame; (frame = d_next.fetch_add(1)) < d_frames;)
        d_work.call(d_work.self, worker, frame);
}

void FramePool::serve(std::size_t worker)
{
    std::uint64_t served = 0;
    std::unique_lock lock(d_mutex);
    while (true) {
        d_start.wait(lock, [&] { return d_stop || d_call != served; });
        if (d_stop)
            return;
        served = d_call;
        lock.unlock();
        take_frames(worker);
        lock.lock();
        if (--d_busy == 0)
            d_done.notify_one();
    }
}

} // namespace softmod
