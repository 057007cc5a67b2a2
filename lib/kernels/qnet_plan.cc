// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet_plan.h"

#include <algorithm>
#include <stdexcept>

namespace softmod
{
namespace
{

constexpr std::size_t max_weights = std::size_t{1} << 24;

std::size_t round_up(std::size_t n, std::size_t to)
{
    return (n + to - 1) / to * to;
}

class Planner
{
public:
    Planner(Plan& plan, const Model& model) : d_plan(plan), d_model(model) {}

    void plan(bool rows_only)
    {
        const auto& nodes = d_model.nodes;
        d_readers.resize(nodes.size());
        for (std::size_t i = 0; i < nodes.size(); ++i)
            for (const auto input : nodes[i].inputs)
                d_readers[input].push_back(i);
        d_plan.buffers.resize(nodes.size());
        std::vector<bool> merged(nodes.size());
        for (std::size_t i = 0; i < nodes.size(); ++i)
            merged[i] = merged_pool(i) != nullptr;
        d_layouts = rows_only ? std::vector<Layout>(nodes.size(), Layout::rows)
                              : layouts_of(d_model, d_readers, merged);
        d_plan.iq = d_plan.features = nodes.size();
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].op == Op::iq)
                d_plan.iq = i;
            if (nodes[i].op == Op::features)
                d_plan.features = i;
            if (!nodes[i].gives_logits && !merged[i])
                place(i);
        }
        for (std::size_t i = 0; i < nodes.size(); ++i)
            add_steps(i);
        // Kernels read behind what they need: eight rows and two vectors at most.
        std::size_t widest = 0;
        for (const auto& node : nodes)
            widest = std::max(widest, filled(node.channels));
        d_plan.arena = round_up(d_end + 8 * widest + 256, 64);
    }

private:
    // The pool that computes the maximum of each two rows of convolution i, where nothing else reads that.
    const std::size_t* merged_pool(std::size_t i) const
    {
        const auto& node = d_model.nodes[i];
        if (node.op != Op::conv || is_depthwise(d_model, node) || d_readers[i].size() != 1)
            return nullptr;
        const auto& reader = d_model.nodes[d_readers[i].front()];
        const bool fits = reader.op == Op::max_pool && reader.kernel == 2 && reader.stride == 2;
        return fits ? &d_readers[i].front() : nullptr;
    }

    // Gives node i its room: rows of padding as the most demanding reader wants them.
    void place(std::size_t i)
    {
        const auto& node = d_model.nodes[i];
        std::size_t left = 0, right = 0;
        for (const auto reader : d_readers[i]) {
            left = std::max(left, d_model.nodes[reader].left);
            right = std::max(right, d_model.nodes[reader].right);
        }
        auto& buffer = d_plan.buffers[i];
        buffer.used = true;
        buffer.layout = d_layouts[i];
        buffer.range = ByteRange::of(node.low, node.high);
        std::size_t width = node.channels;
        if (buffer.layout != Layout::rows) { // whole fours
            width = filled(width);
            left = round_up(left, 4);
            right = round_up(right, 4);
        }
        buffer.begin = take((left + node.length + right) * width);
        buffer.at = buffer.begin + left * width;
        buffer.end = buffer.begin + (left + node.length + right) * width;
    }

    std::size_t take(std::size_t bytes)
    {
        const std::size_t begin = d_end;
        d_end = round_up(d_end + bytes, 64);
        return begin;
    }

    void add_steps(std::size_t i)
    {
        const auto& node = d_model.nodes[i];
        if (node.op == Op::iq || node.op == Op::features)
            return;
        const bool is_merged = node.op == Op::max_pool && merged_pool(node.inputs[0]);
        if (is_merged)
            return;
        if (node.op == Op::concat) {
            concat(i);
            return;
        }
        const auto& input = d_model.nodes[node.inputs[0]];
        const auto& from = d_plan.buffers[node.inputs[0]];
        Step step;
        step.in_layout = from.layout;
        step.in = from.layout == Layout::rows ? from.at - node.left * input.channels
                                              : from.at - round_up(node.left, 4) * filled(input.channels);
        step.lead = from.layout == Layout::rows ? 0 : round_up(node.left, 4) - node.left;
        step.from = from.range;
        step.plain = is_plain(node);
        step.rows = node.length;
        step.channels = node.channels;
        step.in_channels = input.channels;
        step.kernel = node.kernel;
        step.stride = node.stride;
        step.scale = node.scale;
        step.offset = node.offset;
        step.logits = node.gives_logits;
        if (const auto* pool = merged_pool(i)) {
            step.pairs = true;
            step.rows = d_model.nodes[*pool].length;
            give(step, *pool);
        } else if (!step.logits) {
            give(step, i);
        }
        fill(step, node, input);
        d_plan.steps.push_back(std::move(step));
    }

    void give(Step& step, std::size_t node) const
    {
        step.out = d_plan.buffers[node].at;
        step.out_layout = d_plan.buffers[node].layout;
        step.to = d_plan.buffers[node].range;
    }

    void fill(Step& step, const ModelNode& node, const ModelNode& input)
    {
        switch (node.op) {
        case Op::conv:
            if (is_depthwise(d_model, node))
                depthwise(step, node);
            else
                step.weight = written_out(node, input);
            break;
        case Op::dense:
            step.kernel = input.length;
            step.weight = channels_last(node.weight, node.channels, input.channels, input.length);
            break;
        case Op::add:
            step.kind = Step::Kind::add;
            step.in2 = d_plan.buffers[node.inputs[1]].at;
            step.from2 = d_plan.buffers[node.inputs[1]].range;
            break;
        case Op::global_avg_pool:
            step.kernel = input.length;
            step.stride = 1;
            sum(step);
            break;
        case Op::avg_pool:
            sum(step);
            break;
        case Op::global_max_pool:
            step.kernel = input.length;
            step.kind = Step::Kind::max_pool;
            break;
        default:
            step.kind = Step::Kind::max_pool;
        }
        if (step.kind == Step::Kind::depthwise && (step.stride > 1 || step.in_layout == Layout::rows))
            step.scratch = take(step.stride * plane_bytes(step) + 64);
    }

    // A mean is a depthwise convolution with weights of 1.
    static void sum(Step& step)
    {
        step.kind = Step::Kind::depthwise;
        step.weight.assign(step.kernel * step.channels, 1);
        step.scale.assign(step.channels, step.scale.front());
        step.offset.assign(step.channels, step.offset.front());
    }

    static void depthwise(Step& step, const ModelNode& node)
    {
        step.kind = Step::Kind::depthwise;
        step.weight = channels_last(node.weight, 1, node.channels, node.kernel);
    }

    // [outer][channels][length] to [outer][length][channels].
    static std::vector<std::int8_t> channels_last(const std::vector<std::int8_t>& weight, std::size_t outer,
                                                  std::size_t channels, std::size_t length)
    {
        std::vector<std::int8_t> turned(weight.size());
        for (std::size_t o = 0; o < outer; ++o)
            for (std::size_t c = 0; c < channels; ++c)
                for (std::size_t t = 0; t < length; ++t)
                    turned[(o * length + t) * channels + c] = weight[(o * channels + c) * length + t];
        return turned;
    }

    // [channels][kernel][in_channels], zeros where an output does not read an input.
    std::vector<std::int8_t> written_out(const ModelNode& node, const ModelNode& input) const
    {
        const std::size_t group_in = input.channels / node.groups, group_out = node.channels / node.groups;
        const std::size_t depth = node.kernel * input.channels;
        if (depth > max_weights / node.channels)
            throw std::invalid_argument("node '" + node.name + "' has more than " +
                                        std::to_string(max_weights) + " weights with its groups written out");
        std::vector<std::int8_t> weight(node.channels * depth);
        for (std::size_t o = 0; o < node.channels; ++o)
            for (std::size_t i = 0; i < group_in; ++i)
                for (std::size_t k = 0; k < node.kernel; ++k)
                    weight[o * depth + k * input.channels + o / group_out * group_in + i] =
                        node.weight[(o * group_in + i) * node.kernel + k];
        return weight;
    }

    // Each input of a concatenation is one step; inputs with time are turned to channel-major there.
    void concat(std::size_t i)
    {
        const auto& node = d_model.nodes[i];
        std::size_t done = 0;
        for (std::size_t n = 0; n < node.inputs.size(); ++n) {
            const auto& input = d_model.nodes[node.inputs[n]];
            Step step;
            step.kind = Step::Kind::rescale;
            give(step, i);
            step.in = d_plan.buffers[node.inputs[n]].at;
            step.from = d_plan.buffers[node.inputs[n]].range;
            step.out += done;
            step.rows = input.length;
            step.channels = input.channels;
            step.scale = {node.scale[n]};
            step.plain = is_plain(node);
            done += input.channels * input.length;
            d_plan.steps.push_back(std::move(step));
        }
    }

    Plan& d_plan;
    const Model& d_model;
    std::vector<std::vector<std::size_t>> d_readers;
    std::vector<Layout> d_layouts;
    std::size_t d_end = 64; // room to read in front of the first
};

} // namespace

Plan::Plan(const Model& model, bool rows_only)
{
    Planner(*this, model).plan(rows_only);
}

} // namespace softmod
