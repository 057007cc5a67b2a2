// SPDX-License-Identifier: GPL-3.0-or-later
// What a signal of which nothing is known has for symbol rate, place and carrier.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

// Frequencies in cycles a sample. What is not found is 0.
struct BlindEstimate {
    double symbol_rate = 0;
    double rate_quality_db = 0; // of the clock's line, over what surrounds it
    double center = 0;          // between the edges of the spectrum
    double bandwidth = 0;       // between the points of half the power density; 0: there is no signal
    double carrier = 0;         // without an order: the centre
    unsigned carrier_order = 0; // the power of the symbols that has a line: 2, 4 or 8; 0: none has
    double carrier_quality_db = 0;
    double snr_db = 0; // power over that of the noise in `bandwidth`: about Es/N0
    double active = 0; // share of the samples that was not silence between bursts
};

// The signal is the strongest one of the spectrum. Its symbol clock is the line of cyclostationary signals:
// X(f + r / 2) X*(f - r / 2) has a mean where r is the symbol rate and both frequencies are in the band. The
// samples are weighted in frequency by sqrt(S) / (S + N), S and N from the spectrum itself, which makes the
// line as strong as it can be over its surroundings; its frequency is that of the squared magnitude. Searched
// from 0.65 to 1.4 times the half-power bandwidth: linear modulations whose pulse is wider than the rate have
// it, and no analogue ones. Single tones are clipped to what surrounds them before, and samples between
// bursts are taken for 0. A block must hold 256 symbols.
//
// The carrier is that of the 2nd, 4th or 8th power of the symbols, taken behind a filter matched to the
// spectrum at the instants that the clock's line tells. It is known up to multiples of symbol_rate / order;
// the nearest to the centre is given. Of a carrier that drifts it is the middle's.
//
// Source: W. Gardner, "Signal interception: a unifying theoretical framework for feature detection", 1988;
// M. Oerder, H. Meyr, "Digital filter and square timing recovery", 1988.
class BlindEstimator
{
public:
    using Complex = std::complex<float>;
    static constexpr std::size_t SHORTEST = 4096;

    // length: samples of a block, a power of two from 4096 to 2^20. Throws std::invalid_argument.
    explicit BlindEstimator(std::size_t length = 65536);

    std::size_t length() const { return d_length; }

    // Of n samples: whole blocks, whose spectra are averaged; fewer than a block are cut to a power of two.
    // Samples that are not finite count as 0. Throws std::invalid_argument when n is below 4096.
    // With a rate found, `symbols` gets one sample a symbol of unit power, block by block: behind the matched
    // filter, in time, not yet turned back.
    BlindEstimate estimate(const Complex* samples, std::size_t n,
                           std::vector<Complex>* symbols = nullptr) const;

private:
    std::size_t d_length;
};

} // namespace softmod
