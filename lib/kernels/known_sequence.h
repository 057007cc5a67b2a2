// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace softmod
{

/*! A periodic sequence of bits that a receiver knows: a PRBS of ITU-T O.150, or given bits.
 *
 * A position in given bits is the index of the bit to come next; a PRBS names positions by its shift
 * register.
 *
 * O.150 sends the sequences of 15, 23 and 31 stages inverted. Here all are the plain output of the shift
 * register, started with ones; a receiver that does not know the polarity finds out.
 */
class KnownSequence
{
public:
    using Position = std::uint64_t;
    using Recent = std::uint64_t; //!< the 64 bits received latest, the newest lowest

    //! Bits that locate() looks at.
    static constexpr unsigned located_by = 64;

    //! PRBS of 9 (x^9 + x^5 + 1), 15 (x^15 + x^14 + 1), 23 (x^23 + x^18 + 1) or 31 (x^31 + x^28 + 1) stages.
    //! \throws std::invalid_argument for another number
    static KnownSequence prbs(unsigned stages);

    //! bits are 0 or 1, repeated for ever. \throws std::invalid_argument for no bits or another value
    static KnownSequence of_bits(std::vector<std::uint8_t> bits);

    std::uint64_t period() const { return d_stages ? (std::uint64_t{1} << d_stages) - 1 : d_bits.size(); }
    bool is_prbs() const { return d_stages != 0; }
    Position start() const { return d_stages ? period() : 0; }

    bool bit(Position p) const
    {
        return d_stages ? ((p >> (d_stages - 1)) ^ (p >> (d_tap - 1))) & 1 : d_bits[p];
    }

    Position next(Position p) const
    {
        if (d_stages)
            return ((p << 1) | bit(p)) & period();
        return p + 1 == d_bits.size() ? 0 : p + 1;
    }

    Position previous(Position p) const
    {
        if (d_stages)
            return (p >> 1) | ((p ^ (p >> d_tap)) & 1) << (d_stages - 1);
        return (p ? p : d_bits.size()) - 1;
    }

    //! Where the sequence may be after these bits; replaces what found holds. The right position is among
    //! them when the last bits (as many as stages, or 32) hold no error; nothing is found when more than 16
    //! places of given bits look the same.
    void locate(Recent recent, std::vector<Position>& found) const;

private:
    KnownSequence() = default;

    unsigned d_stages = 0, d_tap = 0;                             // of a PRBS
    std::vector<std::uint8_t> d_bits;                             // given bits
    std::vector<std::pair<std::uint32_t, std::uint32_t>> d_index; // 32 bits and the position after, sorted
    std::vector<std::uint32_t> d_begin;                           // by the upper 16 bits, into d_index
};

} // namespace softmod
