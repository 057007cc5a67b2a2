// SPDX-License-Identifier: GPL-3.0-or-later
// Cuts a stream into stretches of one symbol rate and place in the band.
#pragma once

#include "blind_estimate.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace softmod
{

// What a receiver must be tuned to; frequencies in cycles a sample.
struct Tuning {
    double symbol_rate = 0;
    double center = 0;
};

// Every half `length`, the latest `length` samples are estimated blindly. Two estimates in a row that agree
// begin a stretch, and two that agree on something else, or four of nothing, end it. Between two signals that
// follow each other closely it is cut where the lines of their symbol clocks change over. Samples are held
// back until it is sure whose they are: `length` to two and a half of it.
class SignalSegments
{
public:
    using Complex = std::complex<float>;

    // length: as BlindEstimator. A symbol rate outside [lowest, highest], in cycles a sample, is no signal.
    // Throws std::invalid_argument.
    SignalSegments(std::size_t length, double lowest, double highest);

    // A piece of a stretch, in the order of the stream.
    struct Piece {
        std::uint64_t first = 0;      // sample, from the first one ever
        std::vector<Complex> samples; // may be none
        std::optional<Tuning> begins; // with the first piece of a stretch
        bool ends = false;            // with the last
    };
    struct Look {
        std::uint64_t first; // sample of the estimate's window
        BlindEstimate estimate;
    };

    void process(const Complex* samples, std::size_t n, std::vector<Piece>& pieces, std::vector<Look>& looks);
    // The end of the stream: what is held belongs to the stretch there is.
    void flush(std::vector<Piece>& pieces);

    std::uint64_t without_signal() const { return d_without_signal; } // samples that no stretch has

private:
    void look(std::vector<Piece>& pieces, std::vector<Look>& looks);
    void hand_out(std::uint64_t until, std::vector<Piece>& pieces);
    void begin(const Tuning& tuning, std::uint64_t at, std::vector<Piece>& pieces);
    void end(std::uint64_t at, std::vector<Piece>& pieces);
    void forget(std::uint64_t before);
    std::uint64_t change_between(std::uint64_t from, std::uint64_t to, double before, double after) const;
    Tuning tuning_of(const BlindEstimate& estimate) const;

    const BlindEstimator d_estimator;
    const std::size_t d_length;
    const double d_lowest, d_highest;
    std::vector<Complex> d_samples; // from d_first on
    std::uint64_t d_first = 0, d_handed = 0, d_next_look, d_without_signal = 0;
    std::optional<Tuning> d_current, d_named;
    std::uint64_t d_named_at = 0, d_agreed_at = 0; // first samples of windows
    unsigned d_misses = 0;
};

} // namespace softmod
