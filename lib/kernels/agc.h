// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>

namespace softmod
{

// Scales samples to a mean power of 1. The time it takes depends on no level, and digital silence stays
// silence.
//
// The power is averaged over `length` samples: long, because what follows the average's own wandering is
// noise to dense constellations. A burst must not wait that long: when the power of the last `length / 16`
// samples is off by more than 2.5 (4 dB), the long average starts again from it.
class Agc
{
public:
    // length: at least 16 samples.
    explicit Agc(std::size_t length) : d_long(static_cast<double>(length)), d_short(d_long / 16) {}

    // Precondition: samples are finite. in and out may be the same.
    void process(const std::complex<float>* in, std::size_t n, std::complex<float>* out)
    {
        for (std::size_t i = 0; i < n; ++i) {
            const double power = static_cast<double>(in[i].real()) * in[i].real() +
                                 static_cast<double>(in[i].imag()) * in[i].imag();
            average(power, d_short, d_short_power, d_short_count);
            average(power, d_long, d_power, d_count);
            const bool off = d_short_power > JUMP * d_power || d_power > JUMP * d_short_power;
            if (off && d_count > d_short)
                d_power = d_short_power, d_count = d_short;
            d_gain = gain_for(std::max(d_power, power / LARGEST));
            out[i] = in[i] * d_gain;
        }
    }

    float gain() const { return d_gain; } // of the latest sample

private:
    static constexpr double JUMP = 2.5;
    static constexpr double LARGEST =
        16; // power of a sample: before an average knows of a burst, it is limited
    static constexpr double SILENCE = 1e-30; // below it there is nothing to scale

    static float gain_for(double power)
    {
        return power > SILENCE ? static_cast<float>(1 / std::sqrt(power)) : 0.0f;
    }

    // The mean of what there is until `length` samples are in, an exponential average from then on.
    static void average(double power, double length, double& mean, double& count)
    {
        if (count < length)
            ++count;
        mean += (power - mean) / count;
    }

    double d_long, d_short;
    double d_power = 0, d_count = 0, d_short_power = 0, d_short_count = 0;
    float d_gain = 0;
};

} // namespace softmod
