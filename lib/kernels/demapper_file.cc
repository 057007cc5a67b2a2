// SPDX-License-Identifier: GPL-3.0-or-later
#include "demapper_file.h"

#include "json_document.h"
#include "model_bytes.h"
#include "model_nodes.h"

#include <cmath>
#include <stdexcept>
#include <utility>

namespace softmod
{
namespace
{

constexpr int conventions_version = 1; // of python/gr_softmod/conventions.py
constexpr std::int64_t max_layers = 16, max_width = 4096, max_bits = 16, max_parity = 4096;

DemapperLayer read_layer(const nlohmann::json& json, std::size_t i, std::size_t inputs, TensorShelf& tensors)
{
    const std::string name = "layer" + std::to_string(i), what = "layer " + std::to_string(i);
    expect_keys(json, what, {"bits", "outputs"});
    const auto bits = integer_of(json["bits"], "bits of " + what, 8, 32);
    if (bits != 8 && bits != 32)
        throw std::invalid_argument("bits of " + what + " must be 8 or 32");
    DemapperLayer layer;
    layer.inputs = inputs;
    layer.outputs = static_cast<std::size_t>(integer_of(json["outputs"], "outputs of " + what, 1, max_width));
    if (bits == 8) {
        for (const char byte : tensors.take(name + ".weight", "I8", {layer.outputs, inputs}))
            layer.weight8.push_back(static_cast<std::int8_t>(byte));
        layer.scale = tensors.take_floats(name + ".scale", {layer.outputs});
        layer.input_scale = tensors.take_floats(name + ".input_scale", {1}).front();
    } else {
        layer.weight = tensors.take_floats(name + ".weight", {layer.outputs, inputs});
    }
    layer.bias = tensors.take_floats(name + ".bias", {layer.outputs});
    return layer;
}

NeuralDemapper read_network(const nlohmann::json& document, TensorShelf& tensors)
{
    std::vector<DemapperLayer> layers;
    for (const auto& json : list_of(document["layers"], "layers", 1, max_layers))
        layers.push_back(
            read_layer(json, layers.size(), layers.empty() ? 3 : layers.back().outputs, tensors));
    const auto bits = integer_of(document["bits_per_symbol"], "bits_per_symbol", 1, max_bits);
    if (layers.back().outputs != static_cast<std::size_t>(bits))
        throw std::invalid_argument("the last layer gives " + std::to_string(layers.back().outputs) +
                                    " LLRs for " + std::to_string(bits) + " bits a symbol");
    return {std::move(layers), static_cast<float>(number_of(document["llr_unit"], "llr_unit"))};
}

void read_points(const Safetensors& file, TensorShelf& tensors, DemapperModel& model)
{
    const auto found = file.tensors.find("points.noise_var");
    const std::size_t count = found == file.tensors.end() ? 1 : found->second.count();
    const std::size_t order = std::size_t{1} << model.demapper.bits_per_symbol();
    model.noise_var = tensors.take_floats("points.noise_var", {count});
    for (std::size_t i = 0; i < count; ++i)
        if (!(model.noise_var[i] > (i > 0 ? model.noise_var[i - 1] : 0.0f)))
            throw std::invalid_argument("points.noise_var does not ascend from a positive value");
    const auto values = tensors.take_floats("points.value", {count, order, 2});
    for (std::size_t i = 0; i < count * order; ++i) {
        if (i % order == 0)
            model.points.emplace_back();
        model.points.back().emplace_back(values[2 * i], values[2 * i + 1]);
    }
}

// What the network gives for some symbols is there for those who check it; here its form must be right.
void read_parity(const Safetensors& file, TensorShelf& tensors, std::size_t bits)
{
    const auto found = file.tensors.find("parity.noise_var");
    if (found == file.tensors.end())
        return;
    const std::size_t count = found->second.count();
    if (count < 1 || count > std::size_t{max_parity})
        throw std::invalid_argument("has " + std::to_string(count) + " symbols of parity");
    for (const float value : tensors.take_floats("parity.noise_var", {count}))
        if (!(value > 0.0f))
            throw std::invalid_argument("parity.noise_var is not positive");
    tensors.take_floats("parity.symbols", {count, 2});
    tensors.take_floats("parity.llr", {count, bits});
}

DemapperModel read_document(const Safetensors& file)
{
    const auto document = parse_json(file.document, "the document");
    if (document.is_object() && document.contains("kind") && document["kind"] == "classifier")
        throw std::invalid_argument("holds a classifier, not a demapper");
    expect_keys(document, "the document",
                {"format", "conventions", "kind", "name", "bits_per_symbol", "layers", "llr_unit",
                 "trained_on", "hash"});
    integer_of(document["format"], "format", 1, 1);
    integer_of(document["conventions"], "conventions", conventions_version, conventions_version);
    if (string_of(document["kind"], "kind") != "demapper")
        throw std::invalid_argument("kind must be 'demapper'");
    if (!document["trained_on"].is_object())
        throw std::invalid_argument("trained_on must be an object");
    TensorShelf tensors(file);
    DemapperModel model{string_of(document["name"], "name"),
                        string_of(document["hash"], "hash"),
                        read_network(document, tensors),
                        {},
                        {}};
    read_points(file, tensors, model);
    read_parity(file, tensors, model.demapper.bits_per_symbol());
    tensors.expect_empty();
    check_hash(file, model.hash);
    return model;
}

} // namespace

const std::vector<std::complex<float>>& DemapperModel::points_at(float at) const
{
    std::size_t best = 0;
    for (std::size_t i = 1; i < noise_var.size(); ++i)
        if (std::abs(std::log(noise_var[i] / at)) < std::abs(std::log(noise_var[best] / at)))
            best = i;
    return points[best];
}

DemapperModel parse_demapper(std::string_view bytes, const std::string& name)
{
    try {
        return read_document(read_safetensors(bytes));
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(name + ": " + error.what());
    }
}

DemapperModel read_demapper(const std::string& path)
{
    return parse_demapper(read_bytes(path), path);
}

} // namespace softmod
