// SPDX-License-Identifier: GPL-3.0-or-later
// A trained network from its file (docs/model_file.md): everything checked, nothing run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace softmod
{

enum class Op {
    iq,
    features,
    conv,
    dense,
    add,
    max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    concat,
};

// One node. Attributes that its op does not have keep their defaults.
struct ModelNode {
    Op op;
    std::string name;
    std::vector<std::size_t> inputs; // places of earlier nodes
    std::size_t kernel = 1, stride = 1, left = 0, right = 0, groups = 1;
    std::size_t channels = 1, length = 1; // of what it gives; [C] has length 1
    bool has_time = false;                // gives [C, T] rather than [C]
    int low = 0, high = 0;                // of the integers it gives
    bool gives_logits = false;            // float32 instead
    unsigned bits = 8;                    // of the weights
    std::vector<std::int8_t> weight;      // [channels, in / groups, kernel] or [features, in], C order
    std::vector<float> scale, offset;
    std::vector<float> mean; // of features
};

struct Model {
    std::string name, hash;
    std::string document; // the whole description, as JSON
    std::vector<std::string> class_names, feature_names;
    std::size_t frame_length = 0;
    bool remove_mean = false;
    double temperature = 1.0;
    std::vector<ModelNode> nodes;
    std::vector<float> parity_frame, parity_logits; // [2, N] and what it gives; empty where the file has none
};

// Multiply-accumulates of one frame: of conv and dense nodes.
std::size_t multiply_accumulates(const Model& model);

// Throw std::invalid_argument: one sentence that begins with `name` or the path and says what is wrong.
Model parse_model(std::string_view bytes, const std::string& name);
Model read_model(const std::string& path);

} // namespace softmod
