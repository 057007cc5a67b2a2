// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/gr_complex.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gr::softmod
{

//! Items that a kernel has made and the block's output has no room for yet.
class ItemQueue
{
public:
    //! What `forecast` says: items that found no room need no more input to come out.
    int input_required() const { return d_items.empty() ? 1 : 0; }

    //! Calls `process(in, n, items)`, which appends to items, on pieces of the input until `room` items are
    //! there or the input is used up. Returns how much of it was used.
    template <class Process>
    std::size_t fill(const gr_complex* in, std::size_t available, std::size_t room, Process&& process)
    {
        constexpr std::size_t piece = 1024; // bounds what is made beyond the room
        std::size_t used = 0;
        while (d_items.size() < room && used < available) {
            const std::size_t n = std::min(piece, available - used);
            process(in + used, n, d_items);
            used += n;
        }
        return used;
    }

    //! Calls `make(items)`, which appends to items what needs no input: the end of the stream.
    template <class Make>
    void add(Make&& make)
    {
        make(d_items);
    }

    //! Moves up to `room` items to `out`; returns how many.
    std::size_t take(void* out, std::size_t room)
    {
        const std::size_t n = std::min(room, d_items.size());
        const auto end = d_items.begin() + static_cast<std::ptrdiff_t>(n);
        std::copy(d_items.begin(), end, static_cast<gr_complex*>(out));
        d_items.erase(d_items.begin(), end);
        return n;
    }

private:
    std::vector<gr_complex> d_items;
};

} // namespace gr::softmod
