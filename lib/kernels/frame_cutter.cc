// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_cutter.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr std::size_t most_samples = std::size_t(1) << 27;

void check(std::size_t channels, std::size_t length, std::size_t hop, std::size_t room)
{
    if (!channels || !length || !hop || !room)
        throw std::invalid_argument("channels, frame length, hop and room must be at least 1");
    const double samples =
        static_cast<double>(channels) *
        (static_cast<double>(room - 1) * static_cast<double>(hop) + 2.0 * static_cast<double>(length));
    if (samples > static_cast<double>(most_samples))
        throw std::invalid_argument(std::to_string(room) + " frames that may wait, with a hop of " +
                                    std::to_string(hop) + " samples, are more than 2^27 samples in all");
}

} // namespace

FrameCutter::FrameCutter(std::size_t channels, std::size_t length, std::size_t hop, std::size_t room)
    : d_channels(channels), d_length(length), d_hop(hop), d_room(room)
{
    check(channels, length, hop, room);
    set_frames(length, hop, room);
}

void FrameCutter::set_frames(std::size_t length, std::size_t hop, std::size_t room)
{
    check(d_channels, length, hop, room);
    // Beside what it may hold, place for a frame more, so that samples are moved to the front seldom.
    const std::size_t row = std::max((room - 1) * hop + length, d_count) + length;
    std::vector<Sample> kept(d_channels * row);
    for (std::size_t c = 0; c < d_channels; ++c)
        std::copy_n(d_kept.begin() + c * d_row + d_first, d_count, kept.begin() + c * row);
    d_kept.swap(kept);
    d_row = row;
    d_first = 0;
    d_length = length;
    d_hop = hop;
    d_room = room;
}

void FrameCutter::restart(std::uint64_t position)
{
    d_start = d_position = position;
    d_first = d_count = 0;
}

std::size_t FrameCutter::take(const Sample* const* in, std::size_t first, std::size_t n)
{
    const std::size_t gap = std::min<std::uint64_t>(n, d_start - std::min(d_start, d_position));
    const std::size_t added = std::min(n - gap, capacity() - std::min(capacity(), d_count));
    const bool move = d_first + d_count + added > d_row;
    for (std::size_t c = 0; c < d_channels; ++c) {
        Sample* row = d_kept.data() + c * d_row;
        if (move)
            std::copy_n(row + d_first, d_count, row);
        std::copy_n(in[c] + first + gap, added, row + (move ? 0 : d_first) + d_count);
    }
    if (move)
        d_first = 0;
    d_count += added;
    d_position += gap + added;
    return gap + added;
}

std::size_t FrameCutter::waiting() const
{
    return d_count < d_length ? 0 : (d_count - d_length) / d_hop + 1;
}

void FrameCutter::copy(Sample* out) const
{
    for (std::size_t c = 0; c < d_channels; ++c)
        std::copy_n(d_kept.data() + c * d_row + d_first, d_length, out + c * d_length);
}

void FrameCutter::next()
{
    const std::size_t dropped = std::min(d_hop, d_count);
    d_count -= dropped;
    d_first = d_count ? d_first + dropped : 0;
    d_start += d_hop;
}

} // namespace softmod
