// SPDX-License-Identifier: GPL-3.0-or-later
// What models of all kinds have in common: bytes, and the hash over them.
#pragma once

#include "safetensors.h"

#include <string>

namespace softmod
{

// Both throw std::invalid_argument with one sentence.

// A whole file of at most max_file bytes.
std::string read_bytes(const std::string& path);

// The hash that the document names is that of the document without it and of all tensors.
void check_hash(const Safetensors& file, const std::string& hash);

} // namespace softmod
