// SPDX-License-Identifier: GPL-3.0-or-later
// Takes a signal of known pulse shape to frequency 0 by the shape of its spectrum.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

struct CoarseFrequencyConfig {
    unsigned samples_per_symbol = 4; // 2, 4 or 8
    double excess_bandwidth = 0.35;  // of the root raised cosine pulse, in (0, 1]
    double symbol_rate = 1;          // the unit of every frequency but slew; 1: cycles a symbol
    double max_offset = 0.5;         // how far off the signal may be
    double slew = 1e-7;              // most change, in cycles a symbol per symbol, once the signal is found
};

// The power spectrum of 512 symbols is compared with that of the pulse at every offset. The standard
// deviation of one estimate is 0.02 to 0.03 cycles a symbol at 0 dB Es/N0 and 0.01 at 10 dB, whatever the
// constellation: enough for a carrier loop to find the rest.
//
// Until a signal is found, 512 symbols are held back, so that the first ones of a burst are turned with the
// others. From then on nothing is held back, and the frequency creeps towards the average of later estimates,
// so slowly that a carrier loop follows (Doppler). It jumps when two estimates in a row lie further away than
// a loop could find. When the signal is gone for 2048 symbols, all begins anew from the frequency last used.
//
// GNU Radio's fll_band_edge_cc serves the same purpose as a loop; its own noise pushes a carrier loop behind
// it out of lock unless it takes tens of thousands of symbols to settle. The output depends on the samples
// alone, not on how they are cut into calls.
class CoarseFrequency
{
public:
    using Complex = std::complex<float>;

    struct Mark {
        std::uint64_t sample;
        double frequency; // taken off from here on
    };

    // Throws std::invalid_argument, in one sentence.
    explicit CoarseFrequency(const CoarseFrequencyConfig& config);

    // Appends n samples, less those held back, to `out`, and to `marks` the frequency after each look at it.
    void process(const Complex* in, std::size_t n, std::vector<Complex>& out, std::vector<Mark>& marks);

    double frequency() const { return d_frequency * d_config.symbol_rate; }
    bool found() const { return d_found; }

private:
    struct Estimate {
        double frequency; // cycles a symbol
        bool clear;       // a signal stands out
    };

    void look(std::vector<Complex>& out, std::vector<Mark>& marks);
    Estimate estimate(const std::vector<float>& spectrum) const;
    std::vector<float> spectrum() const;
    void turn(const Complex* in, std::size_t n, std::vector<Complex>& out);

    const CoarseFrequencyConfig d_config;
    const std::size_t d_bins, d_block; // of a spectrum; samples that one is made of
    std::vector<float> d_window, d_shape;
    std::vector<Complex> d_samples; // of the block so far, as they came
    std::vector<float> d_average;   // spectrum
    std::uint64_t d_put_out = 0;
    double d_frequency = 0, d_target = 0, d_phase = 0; // cycles a symbol, the same, cycles
    unsigned d_unclear = 0, d_far = 0;                 // looks in a row
    bool d_found = false;
};

} // namespace softmod
