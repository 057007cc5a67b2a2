// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes are a model or are refused by std::invalid_argument in one line; nothing else may happen.
#include "model_file.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        softmod::parse_model({reinterpret_cast<const char*>(data), size}, "fuzzed");
    } catch (const std::invalid_argument& error) {
        if (std::string(error.what()).rfind("fuzzed: ", 0) != 0)
            std::abort();
    }
    return 0;
}
