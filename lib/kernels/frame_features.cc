// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_features.h"

#include "frame_band_kernels.h"
#include "frame_features_kernels.h"
#include "frame_octave_kernels.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace softmod
{
namespace
{

using Complex = std::complex<double>;

double magnitude(Complex z)
{
    return std::sqrt(std::norm(z) + tiny);
}
double compress(double z)
{
    return z / std::sqrt(1.0 + std::fabs(z));
}

static_assert(set_1_count + envelope_bins == features_of_a_rate);
static_assert(band_count * (1 + envelope_bins) == band_features_of_a_rate);

void set_1(const float* x, std::size_t n, const float* mean, float gain, float* features)
{
    FeatureSums all;
    feature_kernel()(x, n, mean, gain, all);
    // Means: of products with a lag, over as many as there are.
    const auto real = [&](std::size_t at, std::size_t lag = 0) {
        return all.sums[at] / static_cast<double>(n - lag);
    };
    const auto complex = [&](std::size_t at, std::size_t lag = 0) {
        return Complex(real(at, lag), real(at + 1, lag));
    };
    float* out = features;
    const auto give = [&](double value) { *out++ = static_cast<float>(value); };

    give(magnitude(complex(sum_x)));
    for (const auto at : {sum_a, sum_ap, sum_low_4, sum_low_64})
        give(real(at));
    give(std::sqrt(std::max(all.peak, tiny)));

    const Complex m20 = complex(sum_m20), m40 = complex(sum_m40), m41 = complex(sum_m41),
                  m60 = complex(sum_m60), m61 = complex(sum_m61), m62 = complex(sum_m62);
    const double m42 = real(sum_m42), m63 = real(sum_m63), power20 = std::norm(m20);
    give(magnitude(m20));
    give(compress(magnitude(m40 - 3.0 * m20 * m20)));
    give(compress(magnitude(m41 - 3.0 * m20)));
    give(compress(m42 - power20 - 2.0));
    give(compress(magnitude(m60 - 15.0 * m20 * m40 + 30.0 * m20 * m20 * m20)));
    give(compress(magnitude(m61 - 5.0 * m40 - 10.0 * m20 * m41 + 30.0 * m20 * m20)));
    give(compress(magnitude(m62 - 6.0 * m20 * m42 - 8.0 * m41 - std::conj(m20) * m40 + 6.0 * power20 * m20 +
                            24.0 * m20)));
    give(compress(m63 - 9.0 * m42 + 12.0 - 6.0 * (m20 * std::conj(m41)).real() + 18.0 * power20));

    for (std::size_t i = 0; i < 4; ++i)
        give(magnitude(complex(sum_limited + 2 * i)));
    for (std::size_t i = 0; i < std::size(signal_lags); ++i)
        give(magnitude(complex(sum_lag + 2 * i, signal_lags[i])));
    const Complex lag1 = complex(sum_lag, 1), lag2 = complex(sum_lag + 2, 2);
    give(std::fabs(lag1.imag()));
    give(std::fabs((lag2 * std::conj(lag1) * std::conj(lag1)).imag()));
    for (std::size_t i = 0; i < 3; ++i)
        give(magnitude(complex(sum_turn_1 + 2 * i, turn_lags[0])));
    for (std::size_t i = 0; i < 2; ++i)
        give(magnitude(complex(sum_turn_4 + 2 * i, turn_lags[1])));
    for (std::size_t i = 0; i < 6; ++i)
        give(magnitude(complex(sum_line + 2 * i, line_lags[i % 2])));
    for (std::size_t i = 0; i < std::size(power_lags); ++i)
        give(real(sum_power + i, power_lags[i]) - 1.0);
}

void give_means(const double (&sums)[envelope_bins], std::size_t n, float* features)
{
    std::transform(sums, sums + envelope_bins, features,
                   [n](double sum) { return static_cast<float>(sum / static_cast<double>(n)); });
}

// What scales n samples of this energy to unit power; silence stays silent.
double power_gain(double energy, std::size_t n)
{
    return energy > 0.0 ? static_cast<double>(n) / energy : 1.0;
}

} // namespace

FrameFeatures::FrameFeatures(std::size_t n, const std::vector<std::size_t>& wanted)
    : d_length(n), d_values(feature_count)
{
    bool any_bands = false;
    for (const auto place : wanted) {
        const bool band = place >= set_2_count;
        const std::size_t rate =
            band ? (place - set_2_count) / band_features_of_a_rate : place / features_of_a_rate;
        d_rates.resize(std::max(d_rates.size(), rate + 1));
        const bool of_set_1 = !band && place % features_of_a_rate < set_1_count;
        (band ? d_rates[rate].bands : of_set_1 ? d_rates[rate].set_1 : d_rates[rate].envelope) = true;
        any_bands = any_bands || band;
    }
    for (std::size_t rate = 0; rate + 1 < d_rates.size(); ++rate)
        d_rates[rate].halved.resize(2 * (n >> (rate + 1)));
    if (any_bands) {
        d_padded.resize(2 * (n + 2 * band_reach));
        d_powers.resize(band_count * n);
    }
}

void FrameFeatures::bands(const float* x, std::size_t n, const float* mean, float gain, float* features)
{
    // Frames of lower rates are shorter: what is behind them has to be cleared, what is before stays.
    float* middle = d_padded.data() + 2 * band_reach;
    for (std::size_t i = 0; i < n; ++i) {
        middle[2 * i] = (x[2 * i] - mean[0]) * gain;
        middle[2 * i + 1] = (x[2 * i + 1] - mean[1]) * gain;
    }
    std::fill_n(middle + 2 * n, 2 * band_reach, 0.0f);
    double energies[band_count];
    band_kernel()(d_padded.data(), n, d_powers.data(), energies);
    for (std::size_t band = 0; band < band_count; ++band) {
        *features++ = static_cast<float>(std::sqrt(energies[band] / static_cast<double>(n) + tiny));
        double sums[envelope_bins] = {};
        octave_kernels().envelope_of_powers(d_powers.data() + band * n, n,
                                            static_cast<float>(power_gain(energies[band], n)), sums);
        give_means(sums, n, features);
        features += envelope_bins;
    }
}

const float* FrameFeatures::of(const float* x, const float* mean, float gain)
{
    const float none[2] = {0.0f, 0.0f};
    std::size_t n = d_length;
    float *plain = d_values.data(), *filtered = plain + set_2_count;
    for (auto& rate : d_rates) {
        if (rate.set_1)
            set_1(x, n, mean, gain, plain);
        if (rate.envelope) {
            double sums[envelope_bins] = {};
            octave_kernels().envelope(x, n, mean, gain, sums);
            give_means(sums, n, plain + set_1_count);
        }
        if (rate.bands)
            bands(x, n, mean, gain, filtered);
        plain += features_of_a_rate;
        filtered += band_features_of_a_rate;
        if (rate.halved.empty())
            break;
        const double energy = octave_kernels().halve(x, n, mean, gain, rate.halved.data());
        n /= 2;
        x = rate.halved.data();
        mean = none;
        gain = static_cast<float>(std::sqrt(power_gain(energy, n)));
    }
    return d_values.data();
}

} // namespace softmod
