// SPDX-License-Identifier: GPL-3.0-or-later
#include "hdlc_search.h"

#include <algorithm>
#include <queue>

namespace softmod
{

namespace
{

constexpr std::uint16_t CRC_POLYNOMIAL = 0x8408; // x^16 + x^12 + x^5 + 1, bits reversed
constexpr std::uint16_t CRC_GOOD = 0xf0b8;       // the register after data and their own check sequence
constexpr std::size_t FLAG_BITS = 8;

// The reader's state before a bit.
struct State {
    std::uint16_t crc = 0xffff;
    std::uint16_t ones = 0;   // in a row
    std::uint32_t length = 0; // bits of payload and check sequence so far
};

enum class Ending { none, flag, abort };

class Reader
{
public:
    Reader(const std::uint8_t* data, std::size_t n, const HdlcLimits& limits)
        : d_bits(data, data + n), d_states(n + 1), d_limits(limits)
    {
        d_end = read(0);
        d_unflipped = d_states;
        d_unflipped_end = d_end;
    }

    // Reads on from `first`, whose state is that of the bits as they came.
    bool frame_from(std::size_t first)
    {
        // The guess before this one may have left its states behind anywhere up to its end.
        std::copy_n(d_unflipped.begin(), first + 1, d_states.begin());
        d_end = read(first);
        return good();
    }

    bool good() const
    {
        if (d_ending != Ending::flag || d_end < FLAG_BITS)
            return false;
        const State& last = d_states[d_end - FLAG_BITS]; // before the closing flag
        return last.length % 8 == 0 && last.length >= 8 * (d_limits.min_bytes + 2) && last.crc == CRC_GOOD;
    }

    void flip(std::size_t bit) { d_bits[bit] ^= 1; }
    std::size_t end() const { return d_end; }
    std::size_t unflipped_end() const { return d_unflipped_end; }

    std::vector<std::uint8_t> payload() const
    {
        std::vector<std::uint8_t> bytes(d_states[d_end - FLAG_BITS].length / 8);
        for (std::size_t k = 0; k + FLAG_BITS < d_end; ++k)
            if (is_data(d_states[k], d_bits[k]) && d_bits[k])
                bytes[d_states[k].length / 8] |= static_cast<std::uint8_t>(1u << d_states[k].length % 8);
        bytes.resize(bytes.size() - 2);
        return bytes;
    }

private:
    static bool is_data(const State& before, std::uint8_t bit) { return before.ones != 5 || bit; }

    std::size_t read(std::size_t first)
    {
        State state = d_states[first];
        for (std::size_t k = first; k < d_bits.size(); ++k) {
            d_states[k] = state;
            const std::uint8_t bit = d_bits[k];
            if (!bit && state.ones == 6)
                return d_ending = Ending::flag, k + 1;
            if (is_data(state, bit)) {
                state.crc = static_cast<std::uint16_t>((state.crc >> 1) ^
                                                       ((state.crc ^ bit) & 1 ? CRC_POLYNOMIAL : 0));
                ++state.length;
            }
            state.ones = static_cast<std::uint16_t>(bit ? state.ones + 1 : 0);
            if (state.ones == 7 || state.length > 8 * (d_limits.max_bytes + 3))
                return d_ending = Ending::abort, k + 1;
        }
        return d_ending = Ending::none, d_bits.size();
    }

    std::vector<std::uint8_t> d_bits;
    std::vector<State> d_states, d_unflipped; // before each bit
    const HdlcLimits d_limits;
    Ending d_ending = Ending::none;
    std::size_t d_end = 0, d_unflipped_end = 0;
};

// Sets of indices in order of their total cost, without ever holding all of them: from a set whose largest
// index is i come the one with i + 1 added and the one with i replaced by i + 1.
class SetsByCost
{
public:
    explicit SetsByCost(const std::vector<WeakBit>& weak) : d_weak(weak)
    {
        if (!weak.empty())
            d_heap.push({weak[0].cost, {0}});
    }

    bool next(std::vector<std::size_t>& set)
    {
        if (d_heap.empty())
            return false;
        const Candidate top = d_heap.top();
        d_heap.pop();
        set = top.set;
        const std::size_t last = set.back();
        if (last + 1 < d_weak.size()) {
            const double step = d_weak[last + 1].cost;
            Candidate longer{top.cost + step, set}, shifted{top.cost + step - d_weak[last].cost, set};
            longer.set.push_back(last + 1);
            shifted.set.back() = last + 1;
            d_heap.push(std::move(longer));
            d_heap.push(std::move(shifted));
        }
        return true;
    }

private:
    struct Candidate {
        double cost;
        std::vector<std::size_t> set;
        bool operator<(const Candidate& other) const { return cost > other.cost; } // the cheapest on top
    };
    const std::vector<WeakBit>& d_weak;
    std::priority_queue<Candidate> d_heap;
};

} // namespace

HdlcFound search_hdlc_frame(const std::uint8_t* data, std::size_t n, const std::vector<WeakBit>& weak,
                            const std::vector<std::size_t>& spread, std::size_t guesses,
                            const HdlcLimits& limits)
{
    HdlcFound result;
    const auto finish = [&](const Reader& reader, const std::vector<std::size_t>& set) {
        result.found = true;
        result.end = reader.end();
        result.flipped = set;
        result.payload = reader.payload();
        return result;
    };
    Reader reader(data, n, limits);
    result.guesses = 1;
    if (reader.good())
        return finish(reader, {});

    SetsByCost sets(weak);
    std::vector<std::size_t> set, toggled;
    while (result.guesses < guesses && sets.next(set)) {
        ++result.guesses;
        toggled.clear();
        for (const std::size_t member : set)
            for (const std::size_t distance : spread) {
                const std::ptrdiff_t bit = weak[member].position + static_cast<std::ptrdiff_t>(distance);
                if (bit >= 0 && static_cast<std::size_t>(bit) < n)
                    toggled.push_back(static_cast<std::size_t>(bit));
            }
        if (toggled.empty())
            continue;
        const std::size_t first = *std::min_element(toggled.begin(), toggled.end());
        if (first >= reader.unflipped_end())
            continue; // nothing changes up to where reading ends
        for (const std::size_t bit : toggled)
            reader.flip(bit);
        if (reader.frame_from(first))
            return finish(reader, set);
        for (const std::size_t bit : toggled)
            reader.flip(bit);
    }
    return result;
}

} // namespace softmod
