// SPDX-License-Identifier: GPL-3.0-or-later
// A fixed number of threads that share out the frames of a call.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace softmod
{

class FramePool
{
public:
    explicit FramePool(std::size_t threads);
    ~FramePool();
    FramePool(const FramePool&) = delete;

    // Calls work(worker, frame) for each of n frames, and returns when all are done; worker is 0 .. threads -
    // 1, 0 the caller's thread. Allocates nothing. Not from two threads at once.
    template <typename Work>
    void run(std::size_t n, const Work& work)
    {
        run_erased(n, {&work, [](const void* self, std::size_t worker, std::size_t frame) {
                           (*static_cast<const Work*>(self))(worker, frame);
                       }});
    }

private:
    struct Erased {
        const void* self;
        void (*call)(const void* self, std::size_t worker, std::size_t frame);
    };

    void run_erased(std::size_t n, Erased work);
    void serve(std::size_t worker);
    void take_frames(std::size_t worker);

    Erased d_work{};
    std::size_t d_frames = 0, d_busy = 0;
    std::uint64_t d_call = 0; // counts the calls of run
    bool d_stop = false;
    std::atomic<std::size_t> d_next{0};
    std::mutex d_mutex;
    std::condition_variable d_start, d_done;
    std::vector<std::thread> d_threads;
};

} // namespace softmod
