// SPDX-License-Identifier: GPL-3.0-or-later
// Work on many symbols spread over threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>

namespace softmod
{

// Runs work(first, count) on pieces of n symbols, as many as threads and as are worth a thread's start. To be
// called without the GIL.
template <typename Work>
void spread(std::size_t n, unsigned threads, Work&& work, std::size_t worth_a_thread = 16384)
{
    const std::size_t pieces = std::clamp<std::size_t>(n / worth_a_thread, 1, std::max(threads, 1u));
    const auto first = [&](std::size_t piece) { return n * piece / pieces; };
    std::vector<std::thread> others;
    for (std::size_t piece = 1; piece < pieces; ++piece)
        others.emplace_back([&, piece] { work(first(piece), first(piece + 1) - first(piece)); });
    work(0, first(1));
    for (auto& other : others)
        other.join();
}

} // namespace softmod
