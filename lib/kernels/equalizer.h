// SPDX-License-Identifier: GPL-3.0-or-later
// A linear equaliser whose taps climb the likelihood of its output under the demapper's model.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace softmod
{

// What the taps follow. With error e, the step is w += step * e * conj(x) / |x|^2 over the samples x in the
// filter (as in NLMS: a step of 1 would undo the whole error of this symbol).
enum class EqualizerMethod {
    likelihood, // e = E[s | y] - y: the gradient of ln p(y) = ln sum_s exp(-|y - s|^2 / noise_var), times
                // noise_var
    decision,   // e = nearest point - y: of the largest term alone, decision-directed LMS
    modulus, // e = y (R - |y|^2), R = E|s|^4 / E|s|^2: the constant modulus algorithm, which needs no carrier
};

struct EqualizerConfig {
    std::vector<std::complex<float>> points; // at E|s|^2 = 1
    std::size_t taps = 11;                   // over samples
    std::size_t samples_per_symbol = 1;
    EqualizerMethod method = EqualizerMethod::likelihood;
    float step = 0.01f;          // in (0, 1]
    float noise_var = 0.0f;      // E|n|^2 at the output; 0: estimated, by the same likelihood
    std::size_t acquisition = 0; // so many symbols first by the constant modulus
};

class Equalizer
{
public:
    // Throws std::invalid_argument with one sentence.
    explicit Equalizer(EqualizerConfig config);

    // x[(n - 1) * samples_per_symbol + taps] -> y[n]. Returns how many samples were not finite; they count as
    // 0.
    std::size_t process(const std::complex<float>* x, std::size_t n, std::complex<float>* y);

    // One at the middle tap, and acquisition begins anew.
    void reset();

    // All throw std::invalid_argument and change nothing when the value is not allowed.
    void set_points(std::vector<std::complex<float>> points);
    void set_method(EqualizerMethod method) { d_config.method = method; }
    void set_step(float step);
    void set_noise_var(float noise_var);
    void set_adapting(bool adapting) { d_adapting = adapting; }

    const EqualizerConfig& config() const { return d_config; }
    bool adapting() const { return d_adapting; }
    std::vector<std::complex<float>> taps() const { return {d_taps.rbegin(), d_taps.rend()}; }
    // Running mean of E[|y - s|^2 | y] over some 500 symbols: the noise variance that is most likely.
    float error_power() const { return d_error_power; }

private:
    std::complex<float> filter(const std::complex<float>* x, float& energy) const;
    std::complex<float> error_of(std::complex<float> y);

    EqualizerConfig d_config;
    std::vector<std::complex<float>> d_taps; // of the oldest sample first
    std::vector<std::complex<float>> d_clean;
    std::vector<float> d_metric;
    float d_modulus = 1.0f;
    float d_error_power = 0.1f;
    std::size_t d_symbols = 0; // since reset
    bool d_adapting = true;
};

} // namespace softmod
