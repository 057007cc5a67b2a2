// SPDX-License-Identifier: GPL-3.0-or-later
#include "json_document.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <vector>

namespace softmod
{
namespace
{

constexpr std::size_t max_depth = 16;

[[noreturn]] void refuse(const std::string& what, const std::string& fault)
{
    throw std::invalid_argument(what + " " + fault);
}

} // namespace

nlohmann::json parse_json(std::string_view text, const std::string& what)
{
    using Event = nlohmann::json::parse_event_t;
    std::vector<std::set<std::string>> keys; // of every level that is open
    const auto watch = [&](int, Event event, nlohmann::json& value) {
        if (event == Event::object_start || event == Event::array_start) {
            keys.emplace_back();
            if (keys.size() > max_depth)
                refuse(what, "has more than " + std::to_string(max_depth) + " levels");
        } else if (event == Event::object_end || event == Event::array_end) {
            keys.pop_back();
        } else if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
            refuse(what, "has the key '" + value.get<std::string>() + "' twice");
        }
        return true;
    };
    try {
        return nlohmann::json::parse(text, watch);
    } catch (const nlohmann::json::exception&) {
        refuse(what, "is not JSON");
    }
}

void expect_keys(const nlohmann::json& value, const std::string& what,
                 std::initializer_list<const char*> keys, std::initializer_list<const char*> optional)
{
    if (!value.is_object())
        refuse(what, "must be an object");
    for (const auto* key : keys)
        if (!value.contains(key))
            refuse(what, "has no '" + std::string(key) + "'");
    for (const auto& item : value.items()) {
        const auto same = [&](const char* key) { return item.key() == key; };
        if (std::none_of(keys.begin(), keys.end(), same) &&
            std::none_of(optional.begin(), optional.end(), same))
            refuse(what, "has the unknown key '" + item.key() + "'");
    }
}

std::int64_t integer_of(const nlohmann::json& value, const std::string& what, std::int64_t low,
                        std::int64_t high)
{
    const bool fits = value.is_number_integer() &&
                      (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX) &&
                      value.get<std::int64_t>() >= low && value.get<std::int64_t>() <= high;
    if (!fits)
        refuse(what, "must be an integer within " + std::to_string(low) + " to " + std::to_string(high));
    return value.get<std::int64_t>();
}

double number_of(const nlohmann::json& value, const std::string& what)
{
    if (!value.is_number() || !std::isfinite(value.get<double>()))
        refuse(what, "must be a number");
    return value.get<double>();
}

const std::string& string_of(const nlohmann::json& value, const std::string& what)
{
    if (!value.is_string())
        refuse(what, "must be a string");
    return value.get_ref<const std::string&>();
}

const nlohmann::json& list_of(const nlohmann::json& value, const std::string& what, std::size_t least,
                              std::size_t most)
{
    if (!value.is_array() || value.size() < least || value.size() > most)
        refuse(what, "must be a list of " + std::to_string(least) +
                         (least == most ? "" : " to " + std::to_string(most)) + " values");
    return value;
}

} // namespace softmod
