// SPDX-License-Identifier: GPL-3.0-or-later
#include "classifier.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr std::size_t max_threads = 256;
constexpr double least_power = 1e-60; // below it a frame is silent

// Places of the model's features in the set.
std::vector<std::size_t> places_of(const Model& model)
{
    const auto& known = feature_names();
    std::vector<std::size_t> places;
    for (const auto& name : model.feature_names)
        places.push_back(
            static_cast<std::size_t>(std::find(known.begin(), known.end(), name) - known.begin()));
    return places;
}

std::size_t checked_threads(std::size_t threads)
{
    if (threads < 1 || threads > max_threads)
        throw std::invalid_argument("threads is " + std::to_string(threads) + "; allowed are 1 to " +
                                    std::to_string(max_threads));
    return threads;
}

} // namespace

Classifier::Classifier(Model model, std::size_t threads)
    : d_model(std::move(model)), d_network(d_model), d_chosen(places_of(d_model)),
      d_has_iq(node_of(Op::iq) != nullptr), d_pool(checked_threads(threads))
{
    for (std::size_t i = 0; i < threads; ++i) {
        d_workers.push_back({QuantNetwork::Arena(d_network), FrameFeatures(frame_length(), d_chosen),
                             std::vector<float>(d_chosen.size())});
    }
    if (!d_chosen.empty()) {
        const std::vector<float> zeros(2 * d_model.frame_length);
        const float mean[2] = {0.0f, 0.0f};
        const auto* features = d_workers[0].features.of(zeros.data(), mean, 1.0f);
        for (const auto place : d_chosen)
            d_silent.push_back(features[place]);
    }
}

const ModelNode* Classifier::node_of(Op op) const
{
    const auto& nodes = d_model.nodes;
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [op](const ModelNode& node) { return node.op == op; });
    return found == nodes.end() ? nullptr : &*found;
}

void Classifier::frame_logits(Worker& worker, const float* frame, float* out) const
{
    const std::size_t n = d_model.frame_length;
    float mean[2] = {0.0f, 0.0f};
    if (d_model.remove_mean) {
        double sum[2] = {0.0, 0.0};
        for (std::size_t i = 0; i < 2 * n; ++i)
            sum[i % 2] += frame[i];
        for (std::size_t c = 0; c < 2; ++c)
            mean[c] = static_cast<float>(sum[c] / static_cast<double>(n));
    }
    const double power = d_network.sum_of_squares(frame, 2 * n, mean) / static_cast<double>(n);
    const bool heard = std::isfinite(power) && power >= least_power;
    const float gain = heard ? static_cast<float>(1.0 / std::sqrt(power)) : 0.0f;
    if (d_has_iq && heard)
        d_network.set_iq(worker.arena, frame, mean, gain);
    else if (d_has_iq)
        d_network.set_silence(worker.arena);
    if (!d_chosen.empty()) {
        if (heard) {
            const auto* features = worker.features.of(frame, mean, gain);
            std::transform(d_chosen.begin(), d_chosen.end(), worker.chosen.begin(),
                           [features](std::size_t place) { return features[place]; });
        }
        d_network.set_features(worker.arena, heard ? worker.chosen.data() : d_silent.data());
    }
    d_network.run(worker.arena, out);
}

void Classifier::probabilities_of(float* logits) const
{
    const std::size_t n = classes();
    const double largest = *std::max_element(logits, logits + n);
    double sum = 0.0;
    for (std::size_t c = 0; c < n; ++c)
        sum += std::exp((logits[c] - largest) / d_model.temperature);
    for (std::size_t c = 0; c < n; ++c)
        logits[c] = static_cast<float>(std::exp((logits[c] - largest) / d_model.temperature) / sum);
}

void Classifier::logits(const std::complex<float>* frames, std::size_t n, float* out)
{
    const std::lock_guard lock(d_mutex);
    const auto* samples = reinterpret_cast<const float*>(frames);
    d_pool.run(n, [&](std::size_t worker, std::size_t frame) {
        frame_logits(d_workers[worker], samples + 2 * frame * frame_length(), out + frame * classes());
    });
}

void Classifier::probabilities(const std::complex<float>* frames, std::size_t n, float* out)
{
    logits(frames, n, out);
    for (std::size_t frame = 0; frame < n; ++frame)
        probabilities_of(out + frame * classes());
}

void Classifier::check_range(Op op, const std::int16_t* values, std::size_t n) const
{
    const auto* node = node_of(op);
    const std::string name = op == Op::iq ? "iq" : "features";
    if (!node != !values)
        throw std::invalid_argument(name + " must be given if, and only if, the model has such a node");
    for (std::size_t i = 0; node && i < n * node->channels * node->length; ++i)
        if (values[i] < node->low || values[i] > node->high)
            throw std::invalid_argument(name + " holds " + std::to_string(values[i]) + "; allowed are " +
                                        std::to_string(node->low) + " to " + std::to_string(node->high));
}

void Classifier::integer_logits(const std::int16_t* iq, const std::int16_t* features, std::size_t n,
                                float* out)
{
    check_range(Op::iq, iq, n);
    check_range(Op::features, features, n);
    const std::lock_guard lock(d_mutex);
    d_pool.run(n, [&](std::size_t worker, std::size_t frame) {
        auto& arena = d_workers[worker].arena;
        if (iq)
            d_network.set_iq(arena, iq + 2 * frame * frame_length());
        if (features)
            d_network.set_features(arena, features + frame * d_chosen.size());
        d_network.run(arena, out + frame * classes());
    });
}

} // namespace softmod
