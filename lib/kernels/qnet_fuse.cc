// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled with -ffp-contract=off: a product and a sum are two roundings.
#include "qnet_fuse.h"

#include <algorithm>
#include <cmath>

namespace softmod
{

std::optional<float> fused_offset(float scale, float offset, std::int32_t largest, const ByteRange& to)
{
    if (scale == 0.0f)
        return offset;
    // Downwards as upwards: a is any integer of both signs.
    const float rise = std::fabs(scale);
    const auto rounded = [&](std::int32_t a) {
        const float product = static_cast<float>(a) * rise;
        return std::rint(product + offset);
    };
    // Every step says between which offsets the fused one is there too. Exact in double precision.
    double least = -1e30, most = 1e30;
    std::vector<std::int32_t> steps; // the first a that gives at least k
    for (int k = to.low - to.zero + 1; k <= to.high - to.zero; ++k) {
        constexpr double reach = 3.0; // further from where it would be, a step is not looked for
        const double place = std::clamp((k - 0.5 - static_cast<double>(offset)) / static_cast<double>(rise),
                                        -largest - 1.0, largest + 1.0);
        auto a = static_cast<std::int32_t>(std::max(std::floor(place) - reach, -1.0 * largest));
        const auto end = static_cast<std::int32_t>(std::min(std::ceil(place) + reach, largest + 1.0));
        if (a > -largest && rounded(a) >= static_cast<float>(k))
            return {};
        while (a < end && rounded(a) < static_cast<float>(k))
            ++a;
        if (a == end && end <= largest)
            return {};
        steps.push_back(a);
        const double edge = k - 0.5;
        if (a <= largest)
            least = std::max(least, edge - a * static_cast<double>(rise));
        if (a > -largest)
            most = std::min(most, edge - (a - 1) * static_cast<double>(rise));
    }
    if (!(least < most))
        return {};
    const double margin = 0.25 * std::min(most - least, static_cast<double>(rise));
    const auto found =
        static_cast<float>(std::clamp(static_cast<double>(offset), least + margin, most - margin));
    // What was found in real numbers is tried in the machine's.
    int k = to.low - to.zero + 1;
    for (const auto a : steps) {
        const auto fused = [&](std::int32_t at) {
            return std::rint(std::fma(static_cast<float>(at), rise, found));
        };
        if ((a <= largest && fused(a) < static_cast<float>(k)) ||
            (a > -largest && fused(a - 1) >= static_cast<float>(k)))
            return {};
        ++k;
    }
    return found;
}

std::optional<IntegerSum> integer_sum(const Step& step)
{
    constexpr double one = 1 << 26;
    if (std::max(step.scale[0], step.scale[1]) >= 2.0f)
        return {};
    IntegerSum sum{};
    double start = 0.5 * one; // rounds to nearest
    for (std::size_t i = 0; i < 2; ++i) {
        const double by = std::rint(static_cast<double>(step.scale[i]) * one);
        sum.high[i] = static_cast<std::int16_t>(std::floor(by / 4096.0));
        sum.low[i] = static_cast<std::int16_t>(by - 4096.0 * sum.high[i]);
        start -= by * (i == 0 ? step.from : step.from2).zero;
    }
    if (std::fabs(start) > 0x7f000000)
        return {};
    sum.start = static_cast<std::int32_t>(start);
    const float low = static_cast<float>(step.to.low - step.to.zero),
                high = static_cast<float>(step.to.high - step.to.zero);
    for (int p = step.from.low; p <= step.from.high; ++p)
        for (int q = step.from2.low; q <= step.from2.high; ++q) {
            const float first = static_cast<float>(p - step.from.zero) * step.scale[0];
            const float second = static_cast<float>(q - step.from2.zero) * step.scale[1];
            const std::int32_t part = (p * sum.low[0] + q * sum.low[1] + sum.start) >> 12;
            const std::int32_t whole = (p * sum.high[0] + q * sum.high[1] + part) >> 14;
            if (std::clamp(std::rint(first + second), low, high) !=
                std::clamp(static_cast<float>(whole), low, high))
                return {};
        }
    return sum;
}

} // namespace softmod
