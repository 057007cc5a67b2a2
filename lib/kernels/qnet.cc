// SPDX-License-Identifier: GPL-3.0-or-later
#include "qnet.h"

#include "qnet_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace softmod
{

struct QuantNetwork::Arena::Bytes {
    Aligned<std::uint8_t> data;
};

QuantNetwork::Arena::Arena(const QuantNetwork& network) : d_bytes(std::make_unique<Bytes>())
{
    d_bytes->data.resize(network.d_plan->arena);
    // Padding is written here once: no step writes outside its rows.
    for (const auto& buffer : network.d_plan->buffers)
        if (buffer.used)
            std::memset(d_bytes->data.data() + buffer.begin, buffer.range.zero, buffer.end - buffer.begin);
}
QuantNetwork::Arena::~Arena() = default;
QuantNetwork::Arena::Arena(Arena&&) noexcept = default;

QuantNetwork::QuantNetwork(const Model& model)
    : d_model(std::make_shared<const Model>(model)), d_kernels(&qnet_kernels())
{
    auto plan = std::make_shared<Plan>(model, d_kernels->format.lanes == 0);
    pack(*plan, d_kernels->format);
    d_plan = plan;
}
QuantNetwork::~QuantNetwork() = default;

double QuantNetwork::sum_of_squares(const float* x, std::size_t n, const float* mean) const
{
    return d_kernels->sum_of_squares(x, n, mean);
}

void QuantNetwork::set_iq(Arena& arena, const float* x, const float* mean, float gain) const
{
    const auto& node = d_model->nodes[d_plan->iq];
    const auto& buffer = d_plan->buffers[d_plan->iq];
    d_kernels->quantise(x, 2 * node.length, mean, gain, node.scale[0], buffer.range,
                        arena.d_bytes->data.data() + buffer.at);
}

void QuantNetwork::set_silence(Arena& arena) const
{
    const auto& buffer = d_plan->buffers[d_plan->iq];
    std::memset(arena.d_bytes->data.data() + buffer.at, buffer.range.zero,
                2 * d_model->nodes[d_plan->iq].length);
}

void QuantNetwork::set_iq(Arena& arena, const std::int16_t* iq) const
{
    const auto& buffer = d_plan->buffers[d_plan->iq];
    const std::size_t length = d_model->nodes[d_plan->iq].length;
    std::uint8_t* bytes = arena.d_bytes->data.data() + buffer.at;
    for (std::size_t t = 0; t < length; ++t)
        for (std::size_t c = 0; c < 2; ++c)
            bytes[2 * t + c] = static_cast<std::uint8_t>(iq[c * length + t] + buffer.range.zero);
}

void QuantNetwork::set_features(Arena& arena, const float* features) const
{
    const auto& node = d_model->nodes[d_plan->features];
    const auto& buffer = d_plan->buffers[d_plan->features];
    for (std::size_t i = 0; i < node.channels; ++i) {
        const float value = std::rint((features[i] - node.mean[i]) * node.scale[i]);
        arena.d_bytes->data[buffer.at + i] = static_cast<std::uint8_t>(
            std::clamp(value, static_cast<float>(node.low), static_cast<float>(node.high)) +
            static_cast<float>(buffer.range.zero));
    }
}

void QuantNetwork::set_features(Arena& arena, const std::int16_t* features) const
{
    const auto& buffer = d_plan->buffers[d_plan->features];
    for (std::size_t i = 0; i < d_model->nodes[d_plan->features].channels; ++i)
        arena.d_bytes->data[buffer.at + i] = static_cast<std::uint8_t>(features[i] + buffer.range.zero);
}

void QuantNetwork::run(Arena& arena, float* logits) const
{
    std::uint8_t* bytes = arena.d_bytes->data.data();
    const auto& generic = qnet_kernels_generic();
    for (const auto& step : d_plan->steps) {
        const auto& kernels = step.plain ? generic : *d_kernels;
        switch (step.kind) {
        case Step::Kind::conv:
            kernels.conv(step, bytes, logits);
            break;
        case Step::Kind::depthwise:
            kernels.depthwise(step, bytes);
            break;
        case Step::Kind::add:
            kernels.add(step, bytes);
            break;
        case Step::Kind::max_pool:
            kernels.max_pool(step, bytes);
            break;
        case Step::Kind::rescale:
            kernels.rescale(step, bytes);
            break;
        }
    }
}

std::string QuantNetwork::instruction_set() const
{
    return d_kernels->name;
}

std::size_t QuantNetwork::arena_bytes() const
{
    return d_plan->arena;
}

std::size_t run_dot_products(std::size_t rounds)
{
    return qnet_kernels().dot_products(rounds);
}

} // namespace softmod
