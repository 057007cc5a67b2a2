// SPDX-License-Identifier: GPL-3.0-or-later
#include "model_nodes.h"

#include "json_document.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace softmod
{
namespace
{

constexpr std::size_t max_activation = std::size_t{1} << 20;
constexpr float max_float = 1e30f;
constexpr std::int64_t max_accumulator = std::int64_t{1} << 24; // float32(a) is exact below

struct OpEntry {
    const char* name;
    Op op;
    std::size_t least_inputs, most_inputs;
    std::vector<const char*> attributes;
};

const OpEntry& entry_of(const std::string& name, const std::string& what)
{
    static const std::vector<OpEntry> entries = {
        {"iq", Op::iq, 0, 0, {"output"}},
        {"features", Op::features, 0, 0, {"output"}},
        {"conv", Op::conv, 1, 1, {"channels", "kernel", "stride", "padding", "groups", "bits", "output"}},
        {"dense", Op::dense, 1, 1, {"features", "bits"}},
        {"add", Op::add, 2, 2, {"output"}},
        {"max_pool", Op::max_pool, 1, 1, {"kernel", "stride"}},
        {"avg_pool", Op::avg_pool, 1, 1, {"kernel", "stride", "output"}},
        {"global_avg_pool", Op::global_avg_pool, 1, 1, {"output"}},
        {"global_max_pool", Op::global_max_pool, 1, 1, {}},
        {"concat", Op::concat, 2, 255, {"output"}},
    };
    for (const auto& entry : entries)
        if (name == entry.name)
            return entry;
    throw std::invalid_argument(what + " has the unknown op '" + name + "'");
}

// Reads one node: `what` names it in every error.
class NodeReader
{
public:
    NodeReader(const nlohmann::json& json, const Model& model, TensorShelf& tensors)
        : d_json(json), d_model(model), d_tensors(tensors)
    {
    }

    ModelNode read()
    {
        if (!d_json.is_object() || !d_json.contains("name") || !d_json.contains("op"))
            throw std::invalid_argument("a node has no name or no op");
        d_node.name = string_of(d_json["name"], "name of a node");
        if (!is_name(d_node.name))
            throw std::invalid_argument("the name of a node must be 1 to 64 of a-z, 0-9, '_' and '.'");
        d_what = "node '" + d_node.name + "'";
        const auto& entry = entry_of(string_of(d_json["op"], "op of " + d_what), d_what);
        d_node.op = entry.op;
        check_keys(entry);
        read_inputs(entry);
        read_attributes();
        read_output();
        shape();
        read_numbers();
        return std::move(d_node);
    }

private:
    [[noreturn]] void refuse(const std::string& fault) const
    {
        throw std::invalid_argument(d_what + " " + fault);
    }

    const ModelNode& input(std::size_t i = 0) const { return d_model.nodes[d_node.inputs[i]]; }

    std::size_t count(const char* key, std::int64_t low = 1) const
    {
        return static_cast<std::size_t>(
            integer_of(d_json[key], std::string(key) + " of " + d_what, low, max_dimension));
    }

    void check_keys(const OpEntry& entry) const
    {
        std::vector<std::string> keys(entry.attributes.begin(), entry.attributes.end());
        for (const auto* key : {"op", "name", "inputs"})
            keys.emplace_back(key);
        for (const auto& key : keys)
            if (!d_json.contains(key))
                refuse("has no '" + key + "'");
        if (entry.op == Op::dense)
            keys.emplace_back("output");
        for (const auto& item : d_json.items())
            if (std::find(keys.begin(), keys.end(), item.key()) == keys.end())
                refuse("has the unknown key '" + item.key() + "'");
    }

    void read_inputs(const OpEntry& entry)
    {
        const auto place = [&](const std::string& name) {
            const auto& nodes = d_model.nodes;
            const auto same = [&](const ModelNode& node) { return node.name == name; };
            return static_cast<std::size_t>(std::find_if(nodes.begin(), nodes.end(), same) - nodes.begin());
        };
        if (place(d_node.name) < d_model.nodes.size())
            refuse("is there twice");
        for (const auto& name :
             list_of(d_json["inputs"], "inputs of " + d_what, entry.least_inputs, entry.most_inputs)) {
            d_node.inputs.push_back(place(string_of(name, "inputs of " + d_what)));
            if (d_node.inputs.back() >= d_model.nodes.size())
                refuse("reads '" + name.get<std::string>() + "', which is no earlier node");
            if (d_model.nodes[d_node.inputs.back()].gives_logits)
                refuse("reads logits");
        }
    }

    void read_attributes()
    {
        if (d_json.contains("kernel")) {
            d_node.kernel = count("kernel");
            d_node.stride = count("stride");
        }
        if (d_node.op == Op::conv) {
            d_node.channels = count("channels");
            d_node.groups = count("groups");
            const auto& padding = list_of(d_json["padding"], "padding of " + d_what, 2, 2);
            d_node.left =
                static_cast<std::size_t>(integer_of(padding[0], "padding of " + d_what, 0, max_dimension));
            d_node.right =
                static_cast<std::size_t>(integer_of(padding[1], "padding of " + d_what, 0, max_dimension));
        }
        if (d_node.op == Op::dense)
            d_node.channels = count("features");
        if (d_json.contains("bits"))
            d_node.bits = static_cast<unsigned>(integer_of(d_json["bits"], "bits of " + d_what, 2, 8));
    }

    void read_output()
    {
        d_node.gives_logits = d_node.op == Op::dense && !d_json.contains("output");
        if (d_node.op == Op::max_pool || d_node.op == Op::global_max_pool) {
            d_node.low = input().low;
            d_node.high = input().high;
        } else if (!d_node.gives_logits) {
            const auto what = "output of " + d_what;
            const auto& range = list_of(d_json["output"], what, 2, 2);
            d_node.low = static_cast<int>(integer_of(range[0], what, -127, 0));
            d_node.high = static_cast<int>(integer_of(range[1], what, 1, 255));
            const int levels = d_node.high + 1;
            const bool power = (levels & (levels - 1)) == 0;
            const bool is_unsigned = d_node.low == 0 && d_node.high >= 3;
            if (!power || !(is_unsigned || d_node.low == -d_node.high))
                refuse("has an output range that no number of bits from 2 to 8 gives");
        }
    }

    // The shape of what the node gives.
    void shape()
    {
        const auto with_time = [&](std::size_t padded) {
            if (!input().has_time)
                refuse("needs an input with time");
            if (padded < d_node.kernel)
                refuse("has a kernel longer than its input");
            d_node.has_time = true;
            d_node.length = (padded - d_node.kernel) / d_node.stride + 1;
        };
        switch (d_node.op) {
        case Op::iq:
            d_node.channels = 2;
            d_node.length = d_model.frame_length;
            d_node.has_time = true;
            break;
        case Op::features:
            d_node.channels = std::max<std::size_t>(1, d_model.feature_names.size());
            break;
        case Op::conv:
            if (!input().has_time)
                refuse("needs an input with time");
            if (input().channels % d_node.groups != 0 || d_node.channels % d_node.groups != 0)
                refuse("has groups that do not divide its channels");
            with_time(input().length + d_node.left + d_node.right);
            break;
        case Op::max_pool:
        case Op::avg_pool:
            with_time(input().length);
            d_node.channels = input().channels;
            break;
        case Op::global_avg_pool:
        case Op::global_max_pool:
            if (!input().has_time)
                refuse("needs an input with time");
            d_node.channels = input().channels;
            break;
        case Op::add:
            d_node.channels = input().channels;
            d_node.length = input().length;
            d_node.has_time = input().has_time;
            if (input(1).channels != d_node.channels || input(1).length != d_node.length ||
                input(1).has_time != d_node.has_time)
                refuse("adds inputs of different shapes");
            break;
        case Op::concat:
            d_node.channels = 0;
            for (std::size_t i = 0; i < d_node.inputs.size(); ++i)
                d_node.channels += input(i).channels * input(i).length;
            break;
        case Op::dense:
            break;
        }
        if (d_node.channels > max_dimension || d_node.length > max_dimension ||
            d_node.channels * d_node.length > max_activation)
            refuse("gives more than " + std::to_string(max_activation) + " values, or a dimension above " +
                   std::to_string(max_dimension));
    }

    std::vector<float> floats(const char* suffix, std::size_t size) const
    {
        return d_tensors.take_floats(d_node.name + suffix, {size});
    }

    void read_numbers()
    {
        bool positive = true;
        switch (d_node.op) {
        case Op::iq:
            d_node.scale = floats(".scale", 1);
            break;
        case Op::features:
            d_node.mean = floats(".mean", d_node.channels);
            d_node.scale = floats(".scale", d_node.channels);
            break;
        case Op::conv:
        case Op::dense:
            positive = false; // batch normalisation may turn a channel over
            d_node.scale = floats(".scale", d_node.channels);
            d_node.offset = floats(".offset", d_node.channels);
            read_weights();
            break;
        case Op::add:
        case Op::concat:
            d_node.scale = floats(".scale", d_node.inputs.size());
            break;
        case Op::avg_pool:
        case Op::global_avg_pool:
            d_node.scale = floats(".scale", 1);
            d_node.offset = floats(".offset", 1);
            break;
        case Op::max_pool:
        case Op::global_max_pool:
            break;
        }
        for (const auto scale : d_node.scale)
            if (positive && !(scale > 0.0f))
                refuse("has a scale that is not positive");
    }

    void read_weights()
    {
        const std::size_t depth = d_node.op == Op::conv ? input().channels / d_node.groups * d_node.kernel
                                                        : input().channels * input().length;
        if (depth > max_tensor / d_node.channels)
            refuse("has more than " + std::to_string(max_tensor) + " weights");
        const std::size_t count = d_node.channels * depth;
        const auto name = d_node.name + ".weight";
        if (d_node.bits == 8) {
            const auto bytes =
                d_node.op == Op::conv
                    ? d_tensors.take(name, "I8",
                                     {d_node.channels, input().channels / d_node.groups, d_node.kernel})
                    : d_tensors.take(name, "I8", {d_node.channels, depth});
            d_node.weight.assign(bytes.begin(), bytes.end());
        } else {
            unpack(d_tensors.take(name, "U8", {(count * d_node.bits + 7) / 8}), count);
        }
        const int most = (1 << (d_node.bits - 1)) - 1;
        for (const int weight : d_node.weight)
            if (weight < -most)
                refuse("has a weight outside -" + std::to_string(most) + " to " + std::to_string(most));
        check_accumulator(depth);
    }

    void unpack(std::string_view bytes, std::size_t count)
    {
        d_node.weight.resize(count);
        const unsigned bits = d_node.bits;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = i * bits / 8, shift = i * bits % 8;
            unsigned pair = static_cast<unsigned char>(bytes[at]);
            if (shift + bits > 8)
                pair |= unsigned{static_cast<unsigned char>(bytes[at + 1])} << 8;
            const int value = static_cast<int>(pair >> shift & ((1u << bits) - 1));
            d_node.weight[i] = static_cast<std::int8_t>(value >> (bits - 1) ? value - (1 << bits) : value);
        }
        if (const unsigned used = count * bits % 8;
            used > 0 && static_cast<unsigned char>(bytes.back()) >> used)
            refuse("has bits that are not 0 behind its last weight");
    }

    void check_accumulator(std::size_t depth) const
    {
        const std::int64_t largest = std::max(-input().low, input().high);
        for (std::size_t c = 0; c < d_node.channels; ++c) {
            std::int64_t sum = 0;
            for (std::size_t i = 0; i < depth; ++i)
                sum += std::abs(d_node.weight[c * depth + i]);
            if (sum * largest >= max_accumulator)
                refuse("may sum up to " + std::to_string(sum * largest) +
                       ", more than float32 holds exactly");
        }
    }

    const nlohmann::json& d_json;
    const Model& d_model;
    TensorShelf& d_tensors;
    ModelNode d_node;
    std::string d_what;
};

} // namespace

std::string_view TensorShelf::take(const std::string& name, const char* dtype,
                                   const std::vector<std::size_t>& shape)
{
    const auto found = d_tensors.find(name);
    if (found == d_tensors.end())
        throw std::invalid_argument("there is no tensor '" + name + "'");
    if (found->second.dtype != dtype || found->second.shape != shape) {
        std::string wanted;
        for (const auto size : shape)
            wanted += (wanted.empty() ? "" : ", ") + std::to_string(size);
        throw std::invalid_argument("tensor '" + name + "' must be " + dtype + " [" + wanted + "]");
    }
    const auto bytes = found->second.bytes;
    d_tensors.erase(found);
    return bytes;
}

std::vector<float> TensorShelf::take_floats(const std::string& name, const std::vector<std::size_t>& shape)
{
    const auto found = d_tensors.find(name);
    const auto tensor = found == d_tensors.end() ? Tensor{} : found->second;
    take(name, "F32", shape);
    auto values = tensor.floats();
    const auto fits = [](float value) { return std::fabs(value) <= max_float; }; // NaN does not
    if (!std::all_of(values.begin(), values.end(), fits))
        throw std::invalid_argument("tensor '" + name +
                                    "' has a value that is not finite or larger than 1e30");
    return values;
}

void TensorShelf::expect_empty() const
{
    if (!d_tensors.empty())
        throw std::invalid_argument("tensor '" + d_tensors.begin()->first + "' belongs to no node");
}

ModelNode read_node(const nlohmann::json& json, const Model& model, TensorShelf& tensors)
{
    return NodeReader(json, model, tensors).read();
}

} // namespace softmod
