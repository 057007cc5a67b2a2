// SPDX-License-Identifier: GPL-3.0-or-later
#include "phase_resolver.h"

#include "phase_statistic.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr double PI = 3.14159265358979323846;
constexpr double FALSE_ALARM = 1e-6; // of a symbol in noise
constexpr double NEAR_A_TURN = 1.0 / 3;

} // namespace

PhaseResolver::PhaseResolver(const std::vector<Complex>& points, const std::vector<std::uint8_t>& word,
                             std::size_t hold, std::uint64_t dwell)
    : d_bits(word), d_hold(hold), d_dwell(dwell)
{
    for (std::size_t k = 0; k < word.size(); ++k)
        if (word[k] > 1)
            throw std::invalid_argument("item " + std::to_string(k) + " of the word is " +
                                        std::to_string(word[k]) + "; each must be a bit, 0 or 1");
    if (hold < word.size() || hold > (std::size_t{1} << 24))
        throw std::invalid_argument("hold is " + std::to_string(hold) + " symbols; it must be from the " +
                                    std::to_string(word.size()) + " of the word to 2^24");
    set_constellation(points);
    if (!word.empty() && d_word.empty())
        throw std::invalid_argument("the word has " + std::to_string(word.size()) + " bits; " +
                                    std::to_string(points.size()) + " points need more, for " +
                                    std::to_string(FEWEST) + " symbols");
}

void PhaseResolver::set_constellation(const std::vector<Complex>& points)
{
    d_symmetry = symmetry_of(points);
    d_turn %= d_symmetry;
    unsigned m = 0;
    while ((std::size_t{1} << m) < points.size())
        ++m;
    d_word.clear(), d_latest.clear();
    const std::size_t length = d_bits.size() / std::max(1u, m);
    if (length < FEWEST)
        return;
    for (std::size_t k = 0; k < length; ++k) {
        std::size_t label = 0;
        for (unsigned b = 0; b < m; ++b)
            label = label << 1 | d_bits[k * m + b];
        d_word.push_back(points[label]);
    }
    // The squared correlation with noise is above x with probability (1 - x)^(length - 1).
    d_least_correlation =
        static_cast<float>(1 - std::pow(FALSE_ALARM, 1 / (static_cast<double>(length) - 1)));
}

void PhaseResolver::settle(unsigned turn, bool known, std::vector<Mark>& marks)
{
    if (turn != d_turn || known != d_known)
        marks.push_back({d_put_out, known, turn});
    d_turn = turn, d_known = known;
    d_since = 0;
}

void PhaseResolver::set_locked(bool locked, std::vector<Complex>& out, std::vector<Mark>& marks)
{
    release(d_held.size(), out);
    d_latest.clear();
    d_locked = locked;
    d_succeeded = false;
    settle(0, false, marks);
}

void PhaseResolver::decoded(bool success, std::vector<Mark>& marks)
{
    if (!d_locked)
        return;
    d_succeeded = success;
    settle(success ? d_turn : (d_turn + 1) % d_symmetry, success, marks);
}

void PhaseResolver::release(std::size_t count, std::vector<Complex>& out)
{
    const auto back = std::polar(1.0, -2 * PI * d_turn / d_symmetry);
    const Complex turn(static_cast<float>(back.real()), static_cast<float>(back.imag()));
    for (std::size_t k = 0; k < count; ++k)
        out.push_back(d_turn == 0 ? d_held[k] : d_held[k] * turn);
    d_held.erase(d_held.begin(), d_held.begin() + static_cast<std::ptrdiff_t>(count));
    d_put_out += count;
}

bool PhaseResolver::word_ends_here(unsigned& turn) const
{
    if (d_word.empty() || d_latest.size() < d_word.size())
        return false;
    Complex sum = 0;
    float energy = 0, word_energy = 0;
    for (std::size_t k = 0; k < d_word.size(); ++k) {
        sum += d_latest[k] * std::conj(d_word[k]);
        energy += std::norm(d_latest[k]), word_energy += std::norm(d_word[k]);
    }
    if (!(std::norm(sum) > d_least_correlation * energy * word_energy))
        return false;
    const double steps = std::arg(sum) / (2 * PI) * d_symmetry, nearest = std::round(steps);
    turn = static_cast<unsigned>(static_cast<int>(nearest) + static_cast<int>(d_symmetry)) % d_symmetry;
    return std::abs(steps - nearest) < NEAR_A_TURN;
}

void PhaseResolver::process(const Complex* symbols, std::size_t n, std::vector<Complex>& out,
                            std::vector<Mark>& marks)
{
    for (std::size_t k = 0; k < n; ++k) {
        d_held.push_back(symbols[k]);
        if (d_locked && !d_word.empty()) {
            if (d_latest.size() == d_word.size())
                d_latest.erase(d_latest.begin());
            d_latest.push_back(symbols[k]);
            unsigned turn = 0;
            if (word_ends_here(turn))
                settle(turn, true, marks);
        } else if (d_locked && d_dwell && !d_succeeded && ++d_since >= d_dwell) {
            settle((d_turn + 1) % d_symmetry, false, marks);
        }
        const bool waits = d_locked && !d_known && !d_word.empty();
        if (!waits)
            release(d_held.size(), out);
        else if (d_held.size() > d_hold)
            release(d_held.size() - d_hold, out);
    }
}

} // namespace softmod
