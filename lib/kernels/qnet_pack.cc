// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet_pack.h"

#include "qnet_fuse.h"

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

// The offsets for fused multiply-adds, if there are such for all the channels: channel_of(lane) is the
// channel of each offset, or one that is none.
template <typename Packed, typename ChannelOf>
void fuse(Packed& packed, const Step& step, const PackFormat& format, ChannelOf&& channel_of)
{
    if (step.logits || !format.fuses)
        return;
    const auto input = std::max(step.from.high - step.from.zero, step.from.zero - step.from.low);
    Aligned<float> offsets = packed.offset;
    for (std::size_t lane = 0; lane < offsets.size(); ++lane) {
        const std::size_t c = channel_of(lane);
        if (c >= step.channels)
            continue;
        std::int32_t largest = 0;
        for (std::size_t k = 0; k < step.taps(); ++k)
            largest += input * std::abs(step.weight_of(c, k));
        const auto found = fused_offset(step.scale[c], step.offset[c], largest, step.to);
        if (!found)
            return;
        offsets[lane] = *found;
    }
    packed.offset = std::move(offsets);
    packed.fused = true;
}

PackedUnit pack_unit(const Step& step, const PackFormat& format, std::size_t first, std::size_t most)
{
    PackedUnit unit;
    unit.first = first;
    unit.channels = std::min(most, step.channels - first);
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
        // Of `blocks`, four channels every 16 bytes.
        unit.quads.push_back(static_cast<std::uint32_t>(step.in_layout == Layout::blocks ? 4 * at : at));
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
    fuse(unit, step, format, [&](std::size_t lane) { return first + lane; });
    return unit;
}

// Lanes `first` on of a depthwise convolution's flat result: see PackedLanes.
PackedLanes pack_lanes(const Step& step, const PackFormat& format, std::size_t first)
{
    PackedLanes packed;
    const std::size_t width = filled(step.channels);
    const auto channel_of = [&](std::size_t lane) { return (first + lane) % width; };
    // What row `row` of the input weighs in row `out` of the result, in that lane.
    const auto weight_of = [&](std::size_t lane, std::size_t row, std::size_t out) -> std::int8_t {
        const std::size_t c = channel_of(lane), before = step.lead + out * step.stride;
        return c < step.channels && row >= before && row < before + step.kernel
                   ? step.weight[(row - before) * step.channels + c]
                   : std::int8_t{0};
    };
    for (std::size_t turn = 0; turn < turns_of(step); ++turn) {
        PackedLanes::Turn found{turn % step.stride * plane_bytes(step) + turn / step.stride * 4 * width,
                                {},
                                packed.weight.size()};
        for (std::size_t out = 0; out < std::min<std::size_t>(4, step.rows); ++out) {
            for (std::size_t lane = 0; lane < format.lanes; ++lane)
                for (std::size_t i = 0; i < 4; ++i)
                    found.reads[out] |= weight_of(lane, 4 * turn + i, out) != 0;
            if (found.reads[out])
                append_quad(packed.weight, format, [&](std::size_t lane, std::size_t i) {
                    return weight_of(lane, 4 * turn + i, out);
                });
        }
        if (packed.weight.size() > found.weight)
            packed.turns.push_back(found);
    }
    for (std::size_t lane = 0; lane < format.lanes; ++lane) {
        const std::size_t c = channel_of(lane);
        const bool real = c < step.channels;
        std::int32_t sum = 0;
        for (std::size_t k = 0; real && k < step.kernel; ++k)
            sum += step.weight[k * step.channels + c];
        packed.start.push_back(start_of(sum, step, format));
        packed.scale.push_back(real ? step.scale[c] : 0.0f);
        packed.offset.push_back(real ? step.offset[c] : 0.0f);
    }
    fuse(packed, step, format, channel_of);
    return packed;
}

void pack_depthwise(Step& step, const PackFormat& format)
{
    const std::size_t width = filled(step.channels), lanes = (step.rows + 3) / 4 * width;
    const std::size_t pattern = std::min(std::lcm(width, format.lanes), lanes);
    for (std::size_t first = 0; first < pattern; first += format.lanes)
        step.lanes.push_back(pack_lanes(step, format, first));
}

void pack_conv(Step& step, const PackFormat& format)
{
    const bool rows = step.in_layout == Layout::rows && step.out_layout == Layout::rows;
    const std::size_t most = (rows ? format.max_vectors : format.vectors_of_four_rows) * format.lanes;
    for (std::size_t first = 0; first < step.channels; first += most)
        step.units.push_back(pack_unit(step, format, first, most));
}

} // namespace

void pack(Plan& plan, const PackFormat& format)
{
    for (auto& step : plan.steps) {
        if (step.plain || format.lanes == 0)
            continue;
        if (step.kind == Step::Kind::conv)
            pack_conv(step, format);
        if (step.kind == Step::Kind::depthwise)
            pack_depthwise(step, format);
        if (step.kind == Step::Kind::add)
            step.sum = integer_sum(step);
    }
}

} // namespace softmod
