// SPDX-License-Identifier: GPL-3.0-or-later
// The container of a model: named tensors and one document, in memory (the safetensors format).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace softmod
{

// Limits of docs/model_file.md.
constexpr std::size_t max_header = std::size_t{1} << 20, max_file = std::size_t{64} << 20,
                      max_dimension = 65536, max_tensor = std::size_t{16} << 20;

bool is_name(const std::string& name); // [a-z0-9_.]{1,64}

struct Tensor {
    std::string dtype; // "F32", "I8" or "U8"
    std::vector<std::size_t> shape;
    std::string_view bytes; // product of shape times the size of dtype; at any alignment

    std::size_t count() const; // at most max_tensor
    std::vector<float> floats() const;
};

// Views of the bytes it was made from, in order of name.
struct Safetensors {
    std::string document;
    std::map<std::string, Tensor> tensors;
};

// Throws std::invalid_argument for anything but tensors that lie one behind the other and fill the file.
Safetensors read_safetensors(std::string_view bytes);

} // namespace softmod
