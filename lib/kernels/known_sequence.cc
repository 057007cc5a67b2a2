// SPDX-License-Identifier: GPL-3.0-or-later
#include "known_sequence.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr std::size_t most_indexed = std::size_t{1} << 20, most_found = 16;

// The smallest shift that maps bits, repeated for ever, onto themselves (by the prefix function of Knuth,
// Morris and Pratt).
std::size_t smallest_period(const std::vector<std::uint8_t>& bits)
{
    std::vector<std::size_t> border(bits.size(), 0);
    for (std::size_t i = 1, length = 0; i < bits.size(); ++i) {
        while (length > 0 && bits[i] != bits[length])
            length = border[length - 1];
        if (bits[i] == bits[length])
            ++length;
        border[i] = length;
    }
    const std::size_t shift = bits.size() - border.back();
    return bits.size() % shift == 0 ? shift : bits.size();
}

} // namespace

KnownSequence KnownSequence::prbs(unsigned stages)
{
    KnownSequence sequence;
    sequence.d_stages = stages;
    switch (stages) {
    case 9:
        sequence.d_tap = 5;
        break;
    case 15:
        sequence.d_tap = 14;
        break;
    case 23:
        sequence.d_tap = 18;
        break;
    case 31:
        sequence.d_tap = 28;
        break;
    default:
        throw std::invalid_argument("the PRBS has " + std::to_string(stages) +
                                    " stages; it must have 9, 15, 23 or 31");
    }
    return sequence;
}

KnownSequence KnownSequence::of_bits(std::vector<std::uint8_t> bits)
{
    if (bits.empty() || bits.size() > std::numeric_limits<std::uint32_t>::max())
        throw std::invalid_argument("the known sequence has " + std::to_string(bits.size()) +
                                    " bits; it must have at least 1 and fewer than 2^32");
    for (std::size_t i = 0; i < bits.size(); ++i)
        if (bits[i] > 1)
            throw std::invalid_argument("item " + std::to_string(i) + " of the known sequence is " +
                                        std::to_string(bits[i]) + "; each must be a bit, 0 or 1");
    KnownSequence sequence;
    sequence.d_bits = std::move(bits);
    // Of a long sequence every so many-th place is enough: the others are passed soon.
    const std::size_t size = smallest_period(sequence.d_bits),
                      stride = (size + most_indexed - 1) / most_indexed;
    std::uint32_t window = 0;
    for (std::size_t i = 0; i < 32 + size; ++i) {
        if (i >= 32 && (i - 32) % stride == 0)
            sequence.d_index.emplace_back(window, i % size);
        window = window << 1 | sequence.d_bits[i % size];
    }
    std::sort(sequence.d_index.begin(), sequence.d_index.end());
    // Where windows of each upper half begin, so that a look-up does not search all.
    sequence.d_begin.assign(65537, 0);
    for (const auto& entry : sequence.d_index)
        ++sequence.d_begin[(entry.first >> 16) + 1];
    std::partial_sum(sequence.d_begin.begin(), sequence.d_begin.end(), sequence.d_begin.begin());
    return sequence;
}

void KnownSequence::locate(Recent recent, std::vector<Position>& found) const
{
    found.clear();
    if (d_stages) {
        // Each bit is the sum of two before; of random bits, half of these sums are wrong.
        const unsigned sums = 64 - d_stages;
        const std::bitset<64> wrong((recent ^ (recent >> d_tap) ^ (recent >> d_stages)) << d_stages >>
                                    d_stages);
        const Position position = recent & period();
        if (position != 0 && wrong.count() <= sums / 3)
            found.push_back(position);
        return;
    }
    const auto recent_bits = static_cast<std::uint32_t>(recent);
    const auto begin = d_index.begin() + d_begin[recent_bits >> 16];
    const auto end = d_index.begin() + d_begin[(recent_bits >> 16) + 1];
    for (auto place = std::lower_bound(begin, end, std::make_pair(recent_bits, 0u));
         place != end && place->first == recent_bits; ++place) {
        if (found.size() == most_found) { // such as a stretch of zeros: it tells nothing
            found.clear();
            return;
        }
        found.push_back(place->second);
    }
}

} // namespace softmod
