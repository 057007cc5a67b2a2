// SPDX-License-Identifier: GPL-3.0-or-later
#include "model_bytes.h"

#include "sha256.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace softmod
{
namespace
{

// The document's text with its hash cut out: what is hashed. At depth 1 a string that a colon follows is a
// key.
std::string without_hash(const std::string& document, const std::string& hash)
{
    const std::string member = "\"hash\":\"" + hash + "\",";
    int depth = 0;
    for (std::size_t i = 0; i < document.size(); ++i) {
        if (document[i] == '"') {
            if (depth == 1 && document.compare(i, member.size(), member) == 0)
                return document.substr(0, i) + document.substr(i + member.size());
            for (++i; i < document.size() && document[i] != '"'; ++i)
                i += document[i] == '\\';
        } else {
            depth += document[i] == '{' || document[i] == '[';
            depth -= document[i] == '}' || document[i] == ']';
        }
    }
    throw std::invalid_argument("the document is not written with its keys sorted and no spaces");
}

} // namespace

void check_hash(const Safetensors& file, const std::string& hash)
{
    const auto hexadecimal = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (hash.size() != 64 || !std::all_of(hash.begin(), hash.end(), hexadecimal))
        throw std::invalid_argument("hash must be 64 lower-case hexadecimal digits");
    Sha256 sha;
    sha.update(without_hash(file.document, hash));
    for (const auto& [name, tensor] : file.tensors) {
        sha.update(name);
        sha.update(tensor.bytes);
    }
    if (sha.hex() != hash)
        throw std::invalid_argument("its hash is wrong: the file was damaged or changed");
}

std::string read_bytes(const std::string& path)
{
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const auto size = file.tellg();
    if (!file || size < 0)
        throw std::invalid_argument(path + ": cannot be read");
    if (static_cast<std::uint64_t>(size) > max_file)
        throw std::invalid_argument(path + ": is larger than " + std::to_string(max_file) + " bytes");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    file.seekg(0);
    if (!file.read(bytes.data(), size))
        throw std::invalid_argument(path + ": cannot be read");
    return bytes;
}

} // namespace softmod
