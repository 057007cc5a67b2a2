// SPDX-License-Identifier: GPL-3.0-or-later
// The turn of the carrier's phase that a constellation hides, by a known word or by a decoder's success.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

// A constellation of symmetry s looks the same turned by 2 pi / s. Symbols come in with one of the s turns
// and go out without it.
//
// With a word of bits, those of a lock are held back until its symbols stand out of the correlation with them
// so far that noise would do that once in a million symbols, and within a third of a step of a turn; each
// later word may correct the turn (a slip). Symbols that come to `hold` before a word are let go as they are.
// A decoder's failure turns on by one step, its success keeps the turn; without either the turn goes on after
// `dwell` symbols.
class PhaseResolver
{
public:
    using Complex = std::complex<float>;
    static constexpr std::size_t FEWEST = 4; // symbols of a word

    // points: by label, 2^m of them. word: 0 and 1, or none. hold: at least the word. dwell: 0 for ever.
    // Throws std::invalid_argument.
    PhaseResolver(const std::vector<Complex>& points, const std::vector<std::uint8_t>& word, std::size_t hold,
                  std::uint64_t dwell);

    // What holds from a symbol on, counted from the first one ever put out.
    struct Mark {
        std::uint64_t symbol;
        bool known;
        unsigned turn; // in steps of 2 pi / symmetry
    };

    void process(const Complex* symbols, std::size_t n, std::vector<Complex>& out, std::vector<Mark>& marks);
    // Of symbols to come. A word too short for the points is not looked for.
    void set_constellation(const std::vector<Complex>& points);
    // A lock that begins has a turn of its own; what is held of the one before is let go.
    void set_locked(bool locked, std::vector<Complex>& out, std::vector<Mark>& marks);
    void decoded(bool success, std::vector<Mark>& marks);
    void flush(std::vector<Complex>& out) { release(d_held.size(), out); }

    bool known() const { return d_known; }
    unsigned turn() const { return d_turn; }
    unsigned symmetry() const { return d_symmetry; }
    std::size_t held() const { return d_held.size(); }

private:
    void release(std::size_t count, std::vector<Complex>& out);
    void settle(unsigned turn, bool known, std::vector<Mark>& marks);
    bool word_ends_here(unsigned& turn) const;

    const std::vector<std::uint8_t> d_bits;
    const std::size_t d_hold;
    const std::uint64_t d_dwell;
    unsigned d_symmetry = 1, d_turn = 0;
    bool d_locked = false, d_known = false, d_succeeded = false;
    std::vector<Complex> d_word, d_latest, d_held; // d_latest: as many as the word, the newest last
    float d_least_correlation = 1;                 // squared
    std::uint64_t d_put_out = 0, d_since = 0;      // d_since: symbols without a success
};

} // namespace softmod
