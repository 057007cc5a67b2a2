// SPDX-License-Identifier: GPL-3.0-or-later
// JSON from a stranger: parsed within limits, and read with every type and range checked.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace softmod
{

// All throw std::invalid_argument, in one sentence; `what` names the value in it.

// Refuses what is not JSON, a key that is there twice and more than 16 levels.
nlohmann::json parse_json(std::string_view text, const std::string& what);

// The value is an object with exactly these keys, but for the optional ones.
void expect_keys(const nlohmann::json& value, const std::string& what,
                 std::initializer_list<const char*> keys, std::initializer_list<const char*> optional = {});

std::int64_t integer_of(const nlohmann::json& value, const std::string& what, std::int64_t low,
                        std::int64_t high);
double number_of(const nlohmann::json& value, const std::string& what); // finite
const std::string& string_of(const nlohmann::json& value, const std::string& what);
const nlohmann::json& list_of(const nlohmann::json& value, const std::string& what, std::size_t least,
                              std::size_t most);

} // namespace softmod
