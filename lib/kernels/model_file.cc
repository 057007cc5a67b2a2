// SPDX-License-Identifier: GPL-3.0-or-later
#include "model_file.h"

#include "frame_features.h"
#include "json_document.h"
#include "model_bytes.h"
#include "model_nodes.h"
#include "safetensors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace softmod
{
namespace
{

constexpr int conventions_version = 1; // of python/gr_softmod/conventions.py
constexpr std::size_t max_classes = 65536, max_nodes = 256, max_text = 4096;

std::string text_of(const nlohmann::json& value, const std::string& what)
{
    const auto& text = string_of(value, what);
    if (text.empty() || text.size() > max_text)
        throw std::invalid_argument(what + " must have 1 to " + std::to_string(max_text) + " characters");
    return text;
}

std::vector<std::string> different_texts(const nlohmann::json& list, const std::string& what)
{
    std::vector<std::string> texts;
    for (const auto& item : list_of(list, what, 1, max_classes))
        texts.push_back(text_of(item, what));
    if (std::set<std::string>(texts.begin(), texts.end()).size() != texts.size())
        throw std::invalid_argument(what + " has the same name twice");
    return texts;
}

void read_input(const nlohmann::json& input, Model& model)
{
    expect_keys(input, "input", {"frame_length", "normalisation", "remove_mean"});
    model.frame_length =
        static_cast<std::size_t>(integer_of(input["frame_length"], "frame_length", 1, max_dimension));
    if (string_of(input["normalisation"], "normalisation") != "rms")
        throw std::invalid_argument("normalisation must be 'rms'");
    if (!input["remove_mean"].is_boolean())
        throw std::invalid_argument("remove_mean must be true or false");
    model.remove_mean = input["remove_mean"].get<bool>();
}

void read_features(const nlohmann::json& features, Model& model)
{
    if (features.is_null())
        return;
    expect_keys(features, "features", {"set", "names"});
    const auto set = integer_of(features["set"], "set of features", 1, feature_sets);
    model.feature_names = different_texts(features["names"], "names of features");
    const auto& known = feature_names();
    const auto last = known.begin() + static_cast<std::ptrdiff_t>(feature_set_counts[set - 1]);
    for (const auto& name : model.feature_names)
        if (std::find(known.begin(), last, name) == last)
            throw std::invalid_argument("names of features has '" + name + "', which is not in set " +
                                        std::to_string(set));
    if (model.frame_length < shortest_feature_frame)
        throw std::invalid_argument("frame_length is " + std::to_string(model.frame_length) +
                                    "; features need at least " + std::to_string(shortest_feature_frame));
    const auto here = known_features(model.frame_length);
    for (const auto& name : model.feature_names) {
        const auto place = static_cast<std::size_t>(std::find(known.begin(), last, name) - known.begin());
        if (!std::binary_search(here.begin(), here.end(), place))
            throw std::invalid_argument("names of features has '" + name + "', which frames of " +
                                        std::to_string(model.frame_length) + " samples do not have");
    }
}

void read_parity(const nlohmann::json& parity, TensorShelf& tensors, Model& model)
{
    if (parity.is_null())
        return;
    expect_keys(parity, "parity", {"logits"});
    const auto classes = model.class_names.size();
    for (const auto& logit : list_of(parity["logits"], "logits of parity", classes, classes))
        model.parity_logits.push_back(
            static_cast<float>(std::clamp(number_of(logit, "logits of parity"), -1e30, 1e30)));
    model.parity_frame = tensors.take_floats("parity.frame", {2, model.frame_length});
}

void check_whole(const Model& model)
{
    const auto& last = model.nodes.back();
    if (!last.gives_logits || last.channels != model.class_names.size())
        throw std::invalid_argument("the last node, '" + last.name +
                                    "', does not give one logit for each of " +
                                    std::to_string(model.class_names.size()) + " classes");
    std::vector<bool> read(model.nodes.size());
    std::size_t iq = 0, features = 0;
    for (const auto& node : model.nodes) {
        for (const auto input : node.inputs)
            read[input] = true;
        iq += node.op == Op::iq;
        features += node.op == Op::features;
    }
    if (iq > 1 || features > 1 || features != !model.feature_names.empty())
        throw std::invalid_argument(
            "there must be at most one 'iq' node, and one 'features' node if, and only "
            "if, the document names features");
    for (std::size_t i = 0; i + 1 < model.nodes.size(); ++i)
        if (!read[i] || model.nodes[i].gives_logits)
            throw std::invalid_argument("node '" + model.nodes[i].name +
                                        "' is read by no other, or gives logits");
}

Model read_document(const Safetensors& file)
{
    Model model;
    model.document = file.document;
    const auto document = parse_json(file.document, "the document");
    expect_keys(document, "the document",
                {"format", "conventions", "kind", "name", "class_names", "input", "features", "nodes",
                 "temperature", "trained_on", "parity", "hash"});
    integer_of(document["format"], "format", 1, 1);
    integer_of(document["conventions"], "conventions", conventions_version, conventions_version);
    if (string_of(document["kind"], "kind") != "classifier")
        throw std::invalid_argument("kind must be 'classifier'");
    model.name = text_of(document["name"], "name");
    model.hash = string_of(document["hash"], "hash");
    model.class_names = different_texts(document["class_names"], "class_names");
    read_input(document["input"], model);
    read_features(document["features"], model);
    model.temperature = number_of(document["temperature"], "temperature");
    if (!(model.temperature > 0.0))
        throw std::invalid_argument("temperature must be positive");
    if (!document["trained_on"].is_object())
        throw std::invalid_argument("trained_on must be an object");
    TensorShelf tensors(file);
    for (const auto& node : list_of(document["nodes"], "nodes", 1, max_nodes))
        model.nodes.push_back(read_node(node, model, tensors));
    read_parity(document["parity"], tensors, model);
    tensors.expect_empty();
    check_whole(model);
    check_hash(file, model.hash); // last, so that a fuzzer reaches all the others
    return model;
}

} // namespace

std::size_t multiply_accumulates(const Model& model)
{
    return std::accumulate(
        model.nodes.begin(), model.nodes.end(), std::size_t{0},
        [](std::size_t sum, const ModelNode& node) { return sum + node.weight.size() * node.length; });
}

Model parse_model(std::string_view bytes, const std::string& name)
{
    try {
        return read_document(read_safetensors(bytes));
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(name + ": " + error.what());
    }
}

Model read_model(const std::string& path)
{
    return parse_model(read_bytes(path), path);
}

} // namespace softmod
