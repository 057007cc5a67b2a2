// SPDX-License-Identifier: GPL-3.0-or-later
// Frames of IQ to the probabilities of their classes: normalisation, features, the network of integers.
#pragma once

#include "frame_features.h"
#include "frame_pool.h"
#include "model_file.h"
#include "qnet.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace softmod
{

// After construction nothing is allocated. Calls from several threads wait for one another.
class Classifier
{
public:
    // threads: frames of one call are shared out over as many (1: none but the caller's).
    // Throws std::invalid_argument for none or more than 256.
    explicit Classifier(Model model, std::size_t threads = 1);

    const Model& model() const { return d_model; }
    std::size_t classes() const { return d_model.class_names.size(); }
    std::size_t frame_length() const { return d_model.frame_length; }
    std::string instruction_set() const { return d_network.instruction_set(); }
    std::size_t arena_bytes() const { return d_network.arena_bytes(); }

    // frames: n * frame_length() samples. out: n * classes(). A frame with a sample that is not finite counts
    // as silence, as does one of zeros: it gives what the network gives for zeros.
    void logits(const std::complex<float>* frames, std::size_t n, float* out);
    void probabilities(const std::complex<float>* frames, std::size_t n, float* out);

    // From integers: iq [n][2][frame_length] and features [n][features], nullptr where the model has no such
    // node. Throws std::invalid_argument for one that is missing or a value outside its node's range.
    void integer_logits(const std::int16_t* iq, const std::int16_t* features, std::size_t n, float* out);

private:
    struct Worker {
        QuantNetwork::Arena arena;
        FrameFeatures features;
        std::vector<float> chosen;
    };
    void frame_logits(Worker& worker, const float* frame, float* out) const;
    void probabilities_of(float* logits) const;
    const ModelNode* node_of(Op op) const;
    void check_range(Op op, const std::int16_t* values, std::size_t n) const;

    Model d_model;
    QuantNetwork d_network;
    std::vector<std::size_t> d_chosen; // places of the model's features in the set
    std::vector<float> d_silent;       // those features of silence
    bool d_has_iq;
    std::vector<Worker> d_workers;
    FramePool d_pool;
    std::mutex d_mutex;
};

} // namespace softmod
