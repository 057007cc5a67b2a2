// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 (FIPS 180-4). A page of our own, so that a radio needs no cryptographic library: it tells a damaged
// or mixed-up model from a whole one and guards no secret.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace softmod
{

class Sha256
{
public:
    void update(std::string_view bytes);
    std::string hex(); // of all that was given; the object is spent then

private:
    void block(const std::uint8_t* data);

    std::array<std::uint32_t, 8> d_state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::uint8_t, 64> d_rest{};
    std::uint64_t d_length = 0; // bytes so far; the last d_length % 64 of them wait in d_rest
};

} // namespace softmod
