// SPDX-License-Identifier: GPL-3.0-or-later
// The steps as plainly as they can be written; the SIMD forms are tested against them.
//
// Compiled with -ffp-contract=off: a product and a sum are two roundings.
#include "qnet_kernels.h"

#include <algorithm>
#include <cmath>

namespace softmod
{
namespace
{

std::uint8_t to_byte(float value, const ByteRange& to)
{
    const float zero = static_cast<float>(to.zero);
    return static_cast<std::uint8_t>(
        std::clamp(std::rint(value), static_cast<float>(to.low) - zero, static_cast<float>(to.high) - zero) +
        zero);
}

float scaled(std::int32_t sum, float scale, float offset)
{
    return static_cast<float>(sum) * scale + offset;
}

void conv(const Step& step, std::uint8_t* arena, float* logits)
{
    const auto sum_of = [&](std::size_t row, std::size_t channel) {
        const std::uint8_t* in = arena + step.in + row * step.stride * step.in_channels;
        const std::int8_t* weight = step.weight.data() + channel * step.depth();
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < step.depth(); ++i)
            sum += (in[i] - step.from.zero) * weight[i];
        return sum;
    };
    for (std::size_t t = 0; t < step.rows; ++t)
        for (std::size_t c = 0; c < step.channels; ++c) {
            const auto value = [&](std::size_t row) {
                return scaled(sum_of(row, c), step.scale[c], step.offset[c]);
            };
            auto& out = arena[step.out + t * step.channels + c];
            if (step.logits)
                logits[c] = value(0);
            else if (step.pairs)
                out = std::max(to_byte(value(2 * t), step.to), to_byte(value(2 * t + 1), step.to));
            else
                out = to_byte(value(t), step.to);
        }
}

void depthwise(const Step& step, std::uint8_t* arena)
{
    for (std::size_t t = 0; t < step.rows; ++t)
        for (std::size_t c = 0; c < step.channels; ++c) {
            std::int32_t sum = 0;
            for (std::size_t k = 0; k < step.kernel; ++k)
                sum += (arena[step.in + (t * step.stride + k) * step.channels + c] - step.from.zero) *
                       step.weight[k * step.channels + c];
            arena[step.out + t * step.channels + c] =
                to_byte(scaled(sum, step.scale[c], step.offset[c]), step.to);
        }
}

void add(const Step& step, std::uint8_t* arena)
{
    for (std::size_t i = 0; i < step.rows * step.channels; ++i) {
        const float p = static_cast<float>(arena[step.in + i] - step.from.zero) * step.scale[0];
        const float q = static_cast<float>(arena[step.in2 + i] - step.from2.zero) * step.scale[1];
        arena[step.out + i] = to_byte(p + q, step.to);
    }
}

void max_pool(const Step& step, std::uint8_t* arena)
{
    for (std::size_t t = 0; t < step.rows; ++t)
        for (std::size_t c = 0; c < step.channels; ++c) {
            std::uint8_t best = 0;
            for (std::size_t k = 0; k < step.kernel; ++k)
                best = std::max(best, arena[step.in + (t * step.stride + k) * step.channels + c]);
            arena[step.out + t * step.channels + c] = best;
        }
}

void rescale(const Step& step, std::uint8_t* arena)
{
    for (std::size_t c = 0; c < step.channels; ++c)
        for (std::size_t t = 0; t < step.rows; ++t) {
            const int value = arena[step.in + t * step.channels + c] - step.from.zero;
            arena[step.out + c * step.rows + t] = to_byte(static_cast<float>(value) * step.scale[0], step.to);
        }
}

void quantise(const float* x, std::size_t n, const float* mean, float gain, float scale, const ByteRange& to,
              std::uint8_t* bytes)
{
    for (std::size_t i = 0; i < n; ++i) {
        const float normalised = (x[i] - mean[i % 2]) * gain;
        bytes[i] = to_byte(normalised * scale, to);
    }
}

double sum_of_squares(const float* x, std::size_t n, const float* mean)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        const double value = x[i] - mean[i % 2];
        sum += value * value;
    }
    return sum;
}

std::size_t dot_products(std::size_t rounds)
{
    volatile std::uint8_t byte = 3;
    std::int32_t sum = 0;
    for (std::size_t r = 0; r < rounds; ++r)
        sum += byte * static_cast<std::int8_t>(r);
    volatile std::int32_t kept = sum;
    (void)kept;
    return rounds;
}

} // namespace

const QnetKernels& qnet_kernels_generic()
{
    static constexpr QnetKernels kernels{"generic", {},      conv,     depthwise,      add,
                                         max_pool,  rescale, quantise, sum_of_squares, dot_products};
    return kernels;
}

} // namespace softmod
