// SPDX-License-Identifier: GPL-3.0-or-later
// Model files made by hand for tests: whole ones, and ones that are wrong in a single place.
#pragma once

#include "sha256.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace softmod
{

using Json = nlohmann::json;

struct ModelBuilder {
    struct Data {
        std::string dtype;
        std::vector<std::size_t> shape;
        std::string bytes;
    };
    Json document = {{"format", 1},
                     {"conventions", 1},
                     {"kind", "classifier"},
                     {"name", "made by hand"},
                     {"class_names", {"BPSK", "\"hash\":\"{"}},
                     {"input", {{"frame_length", 16}, {"normalisation", "rms"}, {"remove_mean", false}}},
                     {"features", nullptr},
                     {"nodes", Json::array()},
                     {"temperature", 1.0},
                     {"trained_on", {{"preset", "none"}}},
                     {"parity", nullptr}};
    std::map<std::string, Data> tensors;

    void floats(const std::string& name, const std::vector<float>& values)
    {
        tensors[name] = {"F32", {values.size()}, std::string(values.size() * 4, '\0')};
        std::memcpy(tensors[name].bytes.data(), values.data(), values.size() * 4);
    }
    void weights(const std::string& name, const std::vector<std::size_t>& shape,
                 const std::vector<std::int8_t>& values)
    {
        tensors[name] = {"I8", shape, std::string(values.begin(), values.end())};
    }
    Json& node(const Json& json)
    {
        document["nodes"].push_back(json);
        return document["nodes"].back();
    }

    // iq -> conv -> global_avg_pool -> dense: [2, 16] -> [3, 16] -> [3] -> 2 logits.
    static ModelBuilder small()
    {
        ModelBuilder b;
        b.node({{"op", "iq"}, {"name", "iq"}, {"inputs", Json::array()}, {"output", {-127, 127}}});
        b.floats("iq.scale", {30.0f});
        b.node({{"op", "conv"},
                {"name", "conv"},
                {"inputs", {"iq"}},
                {"channels", 3},
                {"kernel", 3},
                {"stride", 1},
                {"padding", {1, 1}},
                {"groups", 1},
                {"bits", 8},
                {"output", {0, 255}}});
        std::vector<std::int8_t> weight(18);
        std::iota(weight.begin(), weight.end(), std::int8_t{-9});
        b.weights("conv.weight", {3, 2, 3}, weight);
        b.floats("conv.scale", {0.01f, -0.02f, 0.0f});
        b.floats("conv.offset", {0.5f, 10.0f, 3.0f});
        b.node({{"op", "global_avg_pool"}, {"name", "pool"}, {"inputs", {"conv"}}, {"output", {0, 255}}});
        b.floats("pool.scale", {1.0f / 16});
        b.floats("pool.offset", {0.0f});
        b.node({{"op", "dense"}, {"name", "logits"}, {"inputs", {"pool"}}, {"features", 2}, {"bits", 4}});
        b.tensors["logits.weight"] = {"U8", {3}, "\x1f\x72\x09"}; // -1 1, 2 7, -7 0
        b.floats("logits.scale", {0.1f, 0.2f});
        b.floats("logits.offset", {0.0f, 1.0f});
        return b;
    }

    std::string hash() const
    {
        Sha256 sha;
        sha.update(document.dump());
        for (const auto& [name, tensor] : tensors) {
            sha.update(name);
            sha.update(tensor.bytes);
        }
        return sha.hex();
    }

    // Header and data, for tests that spoil one of them.
    std::pair<Json, std::string> parts() const
    {
        Json whole = document;
        if (!whole.contains("hash"))
            whole["hash"] = hash();
        Json header = {{"__metadata__", {{"gr_softmod", whole.dump()}}}};
        std::string data;
        for (const auto& [name, tensor] : tensors) {
            header[name] = {{"dtype", tensor.dtype},
                            {"shape", tensor.shape},
                            {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
            data += tensor.bytes;
        }
        return {header, data};
    }
    static std::string join(const std::string& header, const std::string& data)
    {
        std::string file;
        for (int shift = 0; shift < 64; shift += 8)
            file += static_cast<char>(header.size() >> shift & 0xff);
        return file + header + data;
    }
    std::string file() const
    {
        const auto [header, data] = parts();
        return join(header.dump(), data);
    }
};

} // namespace softmod
