// SPDX-License-Identifier: GPL-3.0-or-later
#include "matched_resampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr double PI = 3.14159265358979323846;
constexpr double HALF_SPAN = 8; // symbols on either side of the pulse's middle
constexpr std::size_t LANES = 16;
constexpr double STEPS_A_SYMBOL = 512; // of the bank; a straight line between them is 60 dB better still

double root_raised_cosine(double t, double a)
{
    if (std::abs(t) < 1e-9)
        return 1 - a + 4 * a / PI;
    if (std::abs(std::abs(4 * a * t) - 1) < 1e-7)
        t += 1e-6; // near enough to where numerator and denominator vanish
    return (std::sin(PI * t * (1 - a)) + 4 * a * t * std::cos(PI * t * (1 + a))) /
           (PI * t * (1 - 16 * a * a * t * t));
}

const MatchedResamplerConfig& checked(const MatchedResamplerConfig& c)
{
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (!(c.samples_per_symbol >= 1.2 && c.samples_per_symbol <= 65536))
        fail("samples_per_symbol is " + std::to_string(c.samples_per_symbol) +
             "; it must be from 1.2 to 65536");
    if (!(std::abs(c.center) <= 0.5))
        fail("center is " + std::to_string(c.center) + " cycles a sample; it must be within half a cycle");
    if (!(c.excess_bandwidth > 0 && c.excess_bandwidth <= 1))
        fail("excess_bandwidth is " + std::to_string(c.excess_bandwidth) +
             "; it must be above 0 and at most 1");
    return c;
}

} // namespace

MatchedResampler::MatchedResampler(const MatchedResamplerConfig& config)
    : d_step(checked(config).samples_per_symbol / OUTPUTS_PER_SYMBOL), d_turn(-2 * PI * config.center)
{
    const double sps = config.samples_per_symbol;
    const auto half = static_cast<std::size_t>(std::ceil(HALF_SPAN * sps));
    d_taps = (2 * half + LANES - 1) / LANES * LANES;
    d_phases = std::max<std::size_t>(16, static_cast<std::size_t>(std::ceil(STEPS_A_SYMBOL / sps)));
    d_bank.resize((d_phases + 1) * d_taps);
    // Tap j of a bank belongs to the sample j - (half - 1) behind the one before the instant.
    for (std::size_t phase = 0; phase <= d_phases; ++phase)
        for (std::size_t j = 0; j < d_taps; ++j) {
            const double t = (static_cast<double>(j) - static_cast<double>(half - 1) -
                              static_cast<double>(phase) / static_cast<double>(d_phases)) /
                             sps;
            if (std::abs(t) <= HALF_SPAN)
                d_bank[phase * d_taps + j] =
                    static_cast<float>(root_raised_cosine(t, config.excess_bandwidth) / sps);
        }
    d_re.resize(half - 1), d_im.resize(half - 1);
    d_instant = 0; // its first tap
}

void MatchedResampler::process(const Complex* in, std::size_t n, std::vector<Complex>& out)
{
    for (std::size_t k = 0; k < n; ++k) {
        const auto c = static_cast<float>(std::cos(d_angle)), s = static_cast<float>(std::sin(d_angle));
        d_re.push_back(in[k].real() * c - in[k].imag() * s);
        d_im.push_back(in[k].real() * s + in[k].imag() * c);
        d_angle = std::remainder(d_angle + d_turn, 2 * PI);
    }
    while (d_instant + static_cast<double>(d_taps) < static_cast<double>(d_re.size())) {
        const auto first = static_cast<std::size_t>(d_instant);
        const double position = (d_instant - static_cast<double>(first)) * static_cast<double>(d_phases);
        const auto phase = std::min(static_cast<std::size_t>(position), d_phases - 1);
        const auto between = static_cast<float>(position - static_cast<double>(phase));
        const float *early = d_bank.data() + phase * d_taps, *late = early + d_taps;
        const float *re = d_re.data() + first, *im = d_im.data() + first;
        std::array<float, LANES> sum_re{}, sum_im{}; // lanes of their own vectorise
        for (std::size_t j = 0; j < d_taps; j += LANES)
            for (std::size_t lane = 0; lane < LANES; ++lane) {
                const float tap = early[j + lane] + between * (late[j + lane] - early[j + lane]);
                sum_re[lane] += tap * re[j + lane];
                sum_im[lane] += tap * im[j + lane];
            }
        float i = 0, q = 0;
        for (std::size_t lane = 0; lane < LANES; ++lane)
            i += sum_re[lane], q += sum_im[lane];
        out.emplace_back(i, q);
        d_instant += d_step;
        forget();
    }
}

// Always as many samples at the same output, whatever the calls: how instants are rounded depends on it.
void MatchedResampler::forget()
{
    constexpr std::size_t UNNEEDED = 8192;
    if (d_instant >= UNNEEDED) {
        d_re.erase(d_re.begin(), d_re.begin() + UNNEEDED);
        d_im.erase(d_im.begin(), d_im.begin() + UNNEEDED);
        d_instant -= UNNEEDED;
    }
}

} // namespace softmod
