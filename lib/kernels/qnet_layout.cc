// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet_layout.h"

#include <algorithm>
#include <cmath>

namespace softmod
{

bool is_depthwise(const Model& model, const ModelNode& node)
{
    if (node.op == Op::avg_pool || node.op == Op::global_avg_pool)
        return true;
    if (node.op != Op::conv)
        return false;
    const auto channels = model.nodes[node.inputs[0]].channels;
    return node.groups == channels && node.channels == channels;
}

bool is_plain(const ModelNode& node)
{
    constexpr double largest_sum = 1 << 24, limit = 1 << 30;
    double scale = 0.0, offset = 0.0;
    for (const double s : node.scale)
        scale = std::max(scale, std::fabs(s));
    for (const double o : node.offset)
        offset = std::max(offset, std::fabs(o));
    const bool sums = node.op != Op::add && node.op != Op::concat;
    return !node.gives_logits && scale * (sums ? largest_sum : 512.0) + offset >= limit;
}

std::vector<Layout> layouts_of(const Model& model, const std::vector<std::vector<std::size_t>>& readers,
                               const std::vector<bool>& merged)
{
    const auto& nodes = model.nodes;
    const auto fits = [&](std::size_t i) {
        const auto& node = nodes[i];
        return node.has_time && node.length % 4 == 0 && node.channels > 2 && !is_plain(node) && !merged[i];
    };
    const auto all_readers = [&](std::size_t i, auto&& allow) {
        return std::all_of(readers[i].begin(), readers[i].end(),
                           [&](std::size_t r) { return !is_plain(nodes[r]) && allow(nodes[r]); });
    };
    std::vector<Layout> layouts(nodes.size(), Layout::rows);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const bool sums_channels = is_depthwise(model, nodes[i]);
        if (!fits(i))
            continue;
        if (sums_channels && all_readers(i, [&](const ModelNode& reader) {
                return reader.op == Op::conv && !is_depthwise(model, reader) && reader.kernel == 1 &&
                       reader.stride == 1 && reader.left + reader.right == 0;
            }))
            layouts[i] = Layout::blocks;
        if ((nodes[i].op == Op::add || (nodes[i].op == Op::conv && !sums_channels)) &&
            all_readers(i, [&](const ModelNode& reader) {
                return reader.op == Op::add || is_depthwise(model, reader);
            }))
            layouts[i] = Layout::turned;
    }
    // An addition has one layout for all three.
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].op != Op::add)
                continue;
            auto &sum = layouts[i], &first = layouts[nodes[i].inputs[0]],
                 &second = layouts[nodes[i].inputs[1]];
            if (sum == first && sum == second)
                continue;
            sum = first = second = Layout::rows;
            changed = true;
        }
    }
    return layouts;
}

} // namespace softmod
