// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet_pack.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace softmod
{
namespace
{

// One group of 4 weights for each lane, behind what is there.
template <typename WeightOf>
void append_quad(Aligned<std::int8_t>& packed, const PackFormat& format, WeightOf&& weight_of)
{
    if (!format.wide) {
        for (std::size_t lane = 0; lane < format.lanes; ++lane)
            for (std::size_t i = 0; i < 4; ++i)
                packed.push_back(weight_of(lane, i));
        return;
    }
    for (std::size_t first = 0; first < 2; ++first)
        for (std::size_t lane = 0; lane < format.lanes; ++lane)
            for (std::size_t i = first; i < 4; i += 2) {
                const std::int16_t weight = weight_of(lane, i);
                std::int8_t bytes[2];
                std::memcpy(bytes, &weight, 2);
                packed.insert(packed.end(), bytes, bytes + 2);
            }
}

// What a sum starts from: takes away what the zero point of the bytes adds.
std::int32_t start_of(std::int32_t sum_of_weights, const Step& step, const PackFormat& format)
{
    return ((format.signed_input ? 128 : 0) - step.from.zero) * sum_of_weights;
}

PackedUnit pack_unit(const Step& step, const PackFormat& format, std::size_t first)
{
    PackedUnit unit;
    unit.first = first;
    unit.channels = std::min(format.max_vectors * format.lanes, step.channels - first);
    unit.vectors = (unit.channels + format.lanes - 1) / format.lanes;
    const std::size_t depth = step.depth();
    const auto weight_of = [&](std::size_t channel, std::size_t i) -> std::int8_t {
        return channel < unit.channels && i < depth ? step.weight[(first + channel) * depth + i]
                                                    : std::int8_t{0};
    };
    for (std::size_t at = 0; at < depth; at += 4) {
        bool any = false;
        for (std::size_t c = 0; c < unit.channels && !any; ++c)
            for (std::size_t i = 0; i < 4; ++i)
                any |= weight_of(c, at + i) != 0;
        if (!any)
            continue;
        unit.quads.push_back(static_cast<std::uint32_t>(at));
        for (std::size_t v = 0; v < unit.vectors; ++v)
            append_quad(unit.weight, format, [&](std::size_t lane, std::size_t i) {
                return weight_of(v * format.lanes + lane, at + i);
            });
    }
    for (std::size_t c = 0; c < unit.vectors * format.lanes; ++c) {
        const bool real = c < unit.channels;
        std::int32_t sum = 0;
        for (std::size_t i = 0; real && i < depth; ++i)
            sum += weight_of(c, i);
        unit.start.push_back(start_of(sum, step, format));
        unit.scale.push_back(real ? step.scale[first + c] : 0.0f);
        unit.offset.push_back(real ? step.offset[first + c] : 0.0f);
    }
    return unit;
}

// The kernel turns 4 rows of bytes by interleaving within blocks of 16 bytes: dword i of block b of vector v
// then belongs to byte 16 b + 4 v + i.
PackedLanes pack_lanes(const Step& step, const PackFormat& format, std::size_t first)
{
    PackedLanes packed;
    const auto channel_of = [&](std::size_t vector, std::size_t lane) {
        return (first + 16 * (lane / 4) + 4 * vector + lane % 4) % step.channels;
    };
    for (std::size_t phase = 0; phase < step.stride; ++phase)
        for (std::size_t tap = 0; tap < 4 * step.quads; tap += 4)
            for (std::size_t v = 0; v < 4; ++v)
                append_quad(packed.weight, format, [&](std::size_t lane, std::size_t i) {
                    const std::size_t row = (tap + i) * step.stride + phase;
                    return row < step.kernel ? step.weight[row * step.channels + channel_of(v, lane)]
                                             : std::int8_t{0};
                });
    for (std::size_t v = 0; v < 4; ++v)
        for (std::size_t lane = 0; lane < format.lanes; ++lane) {
            const std::size_t c = channel_of(v, lane);
            std::int32_t sum = 0;
            for (std::size_t k = 0; k < step.kernel; ++k)
                sum += step.weight[k * step.channels + c];
            packed.start.push_back(start_of(sum, step, format));
            packed.scale.push_back(step.scale[c]);
            packed.offset.push_back(step.offset[c]);
        }
    return packed;
}

void pack_depthwise(Step& step, const PackFormat& format)
{
    // Passes advance by whole blocks of 4 rows, as few as are whole vectors.
    const std::size_t bytes = 4 * format.lanes;
    step.jump = bytes / std::gcd(bytes, 4 * step.channels);
    step.quads = (phase_taps(step, 0) + 3) / 4; // the first phase has the most taps
    const std::size_t pattern = std::min(4 * step.jump * step.channels, step.rows * step.channels);
    for (std::size_t first = 0; first < pattern; first += bytes)
        step.lanes.push_back(pack_lanes(step, format, first));
}

} // namespace

void pack(Plan& plan, const PackFormat& format)
{
    for (auto& step : plan.steps) {
        if (step.plain || format.lanes == 0)
            continue;
        if (step.kind == Step::Kind::conv)
            for (std::size_t first = 0; first < step.channels; first += format.max_vectors * format.lanes)
                step.units.push_back(pack_unit(step, format, first));
        if (step.kind == Step::Kind::depthwise)
            pack_depthwise(step, format);
    }
}

} // namespace softmod
