// SPDX-License-Identifier: GPL-3.0-or-later
// Streams cut into frames: one behind the other, overlapping, or with gaps.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

// Frame k of every channel is the samples from k * hop on. No sample that a frame needs is lost, whatever
// pieces the streams come in and however often the length of frames changes.
class FrameCutter
{
public:
    using Sample = std::complex<float>;

    // room: how many frames may wait before take() refuses samples. Throws std::invalid_argument for a
    // length, hop or room of 0 and for more than 2^27 samples (1 GiB) in all.
    FrameCutter(std::size_t channels, std::size_t length, std::size_t hop, std::size_t room = 1);

    // Counts from the next frame on, which begins where it would have begun. Throws as above and then changes
    // nothing.
    void set_frames(std::size_t length, std::size_t hop, std::size_t room);

    // Forgets what it holds: the next sample is number `position`, and a frame begins there.
    void restart(std::uint64_t position);

    // in: a pointer a channel. Takes the samples [first, first + n) of each, fewer where the room is full;
    // returns how many.
    std::size_t take(const Sample* const* in, std::size_t first, std::size_t n);

    std::size_t waiting() const; // whole frames
    std::uint64_t start() const { return d_start; }
    std::uint64_t position() const { return d_position; } // samples taken so far

    void copy(Sample* out) const; // the next frame, if one is waiting: [channels][length]
    void next();                  // goes on to the one after it

private:
    std::size_t capacity() const { return (d_room - 1) * d_hop + d_length; }

    std::size_t d_channels, d_length, d_hop, d_room;
    std::uint64_t d_start = 0, d_position = 0;
    std::size_t d_row = 0;                // samples of a channel that d_kept has place for
    std::size_t d_first = 0, d_count = 0; // where the kept samples lie in a row: those from d_start on
    std::vector<Sample> d_kept;           // [channels][d_row]
};

} // namespace softmod
