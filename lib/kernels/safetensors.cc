// SPDX-License-Identifier: GPL-3.0-or-later
#include "safetensors.h"

#include "json_document.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace softmod
{
namespace
{

constexpr std::size_t max_rank = 3;

std::size_t size_of(const std::string& dtype, const std::string& what)
{
    if (dtype == "F32")
        return 4;
    if (dtype == "I8" || dtype == "U8")
        return 1;
    throw std::invalid_argument(what + " has another type than F32, I8 and U8");
}

Tensor read_tensor(const nlohmann::json& entry, std::string_view data, const std::string& what)
{
    expect_keys(entry, what, {"dtype", "shape", "data_offsets"});
    Tensor tensor;
    tensor.dtype = string_of(entry["dtype"], "dtype of " + what);
    std::size_t count = 1;
    for (const auto& size : list_of(entry["shape"], "shape of " + what, 1, max_rank)) {
        tensor.shape.push_back(static_cast<std::size_t>(integer_of(size, "shape of " + what, 1, max_tensor)));
        count *= tensor.shape.back(); // at most max_tensor^2: no overflow
        if (count > max_tensor)
            throw std::invalid_argument(what + " has more than " + std::to_string(max_tensor) + " elements");
    }
    const auto& offsets = list_of(entry["data_offsets"], "data_offsets of " + what, 2, 2);
    const auto size = static_cast<std::int64_t>(data.size());
    const auto begin = integer_of(offsets[0], "data_offsets of " + what, 0, size);
    const auto end = integer_of(offsets[1], "data_offsets of " + what, begin, size);
    if (static_cast<std::size_t>(end - begin) != count * size_of(tensor.dtype, what))
        throw std::invalid_argument("data_offsets of " + what + " do not match its shape and type");
    tensor.bytes = data.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    return tensor;
}

} // namespace

bool is_name(const std::string& name)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

std::size_t Tensor::count() const
{
    std::size_t count = 1;
    for (const auto size : shape)
        count *= size;
    return count;
}

std::vector<float> Tensor::floats() const
{
    std::vector<float> values(count());
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

Safetensors read_safetensors(std::string_view bytes)
{
    if (bytes.size() < 8 || bytes.size() > max_file)
        throw std::invalid_argument("its size is " + std::to_string(bytes.size()) +
                                    " bytes; allowed are 8 to " + std::to_string(max_file));
    std::uint64_t length = 0;
    for (int i = 7; i >= 0; --i)
        length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    if (length > max_header || length > bytes.size() - 8)
        throw std::invalid_argument("its header of " + std::to_string(length) +
                                    " bytes is longer than the file or than " + std::to_string(max_header));
    const auto header = parse_json(bytes.substr(8, length), "the header");
    const auto data = bytes.substr(8 + length);
    if (!header.is_object() || !header.contains("__metadata__"))
        throw std::invalid_argument("the header has no '__metadata__'");

    Safetensors file;
    std::vector<std::string_view> in_file;
    for (const auto& item : header.items()) {
        if (item.key() == "__metadata__") {
            expect_keys(item.value(), "__metadata__", {"gr_softmod"});
            file.document = string_of(item.value()["gr_softmod"], "gr_softmod in __metadata__");
            continue;
        }
        if (item.key().size() > 80 || item.value().is_null())
            throw std::invalid_argument("the header has a tensor with no or too long a name");
        const auto tensor = read_tensor(item.value(), data, "tensor '" + item.key() + "'");
        in_file.push_back(tensor.bytes);
        file.tensors.emplace(item.key(), tensor);
    }
    std::sort(in_file.begin(), in_file.end(), [](auto a, auto b) { return a.data() < b.data(); });
    const char* end = data.data();
    for (const auto& piece : in_file) {
        if (piece.data() != end)
            throw std::invalid_argument("tensors overlap or leave a gap");
        end += piece.size();
    }
    if (end != data.data() + data.size())
        throw std::invalid_argument("bytes are left over behind the last tensor");
    return file;
}

} // namespace softmod
