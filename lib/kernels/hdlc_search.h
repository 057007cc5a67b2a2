// SPDX-License-Identifier: GPL-3.0-or-later
// HDLC frames with a CRC out of descrambled bits, some of which are guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

// Bits that may be wrong: flipping channel bit `position` flips the data bits at position + each of `spread`.
struct WeakBit {
    std::ptrdiff_t position; // of the channel bit, counted from the first data bit; may be negative
    double cost;             // what flipping it costs in log-likelihood: |LLR|
};

struct HdlcLimits {
    std::size_t min_bytes, max_bytes; // of the payload, without the two check bytes
};

struct HdlcFound {
    bool found = false;
    std::size_t end = 0;              // data bits up to and with the closing flag
    std::size_t guesses = 0;          // tried, with the one that fits
    std::vector<std::size_t> flipped; // indices into the weak bits
    std::vector<std::uint8_t> payload;
};

// Reads the frame behind an opening flag (data[0] is the first bit behind it). Sets of weak bits are flipped
// in order of their total cost, the empty set first, until a flag closes a frame of whole bytes whose CRC-16
// (ISO/IEC 13239) holds, or `guesses` sets are through. weak must be in ascending order of cost.
HdlcFound search_hdlc_frame(const std::uint8_t* data, std::size_t n, const std::vector<WeakBit>& weak,
                            const std::vector<std::size_t>& spread, std::size_t guesses,
                            const HdlcLimits& limits);

} // namespace softmod
