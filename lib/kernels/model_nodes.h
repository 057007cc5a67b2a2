// SPDX-License-Identifier: GPL-3.0-or-later
// One node of a model from its JSON and its tensors. Internal to model_file.
#pragma once

#include "model_file.h"
#include "safetensors.h"

#include <nlohmann/json_fwd.hpp>

namespace softmod
{

// The tensors that no node has taken yet.
class TensorShelf
{
public:
    explicit TensorShelf(const Safetensors& file) : d_tensors(file.tensors) {}

    std::string_view take(const std::string& name, const char* dtype, const std::vector<std::size_t>& shape);
    std::vector<float> take_floats(const std::string& name, const std::vector<std::size_t>& shape); // finite
    void expect_empty() const;

private:
    std::map<std::string, Tensor> d_tensors;
};

// The next node of a model that has those before it. Throws std::invalid_argument.
ModelNode read_node(const nlohmann::json& json, const Model& model, TensorShelf& tensors);

} // namespace softmod
