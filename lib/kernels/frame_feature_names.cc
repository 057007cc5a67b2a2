// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_features.h"

#include "frame_band_kernels.h"
#include "frame_octave_kernels.h"

namespace softmod
{
namespace
{

const std::vector<std::string> set_1 = {
    "mean",      "amplitude_1", "amplitude_3", "low_4",      "low_64",    "peak",      "c20",
    "c40",       "c41",         "c42",         "c60",        "c61",       "c62",       "c63",
    "limited_2", "limited_4",   "limited_8",   "limited_16", "lag_1",     "lag_2",     "lag_4",
    "lag_8",     "lag_16",      "lag_64",      "offset",     "skew",      "turn_1",    "turn_1x2",
    "turn_1x4",  "turn_4",      "turn_4x2",    "line_2_16",  "line_2_64", "line_4_16", "line_4_64",
    "line_8_16", "line_8_64",   "power_2",     "power_8",    "power_16",  "power_64"};

void add_envelope(const std::string& of, std::vector<std::string>& names)
{
    for (std::size_t bin = 0; bin < envelope_bins; ++bin)
        names.push_back(of + "envelope_" + std::to_string(bin));
}

std::vector<std::string> all_names()
{
    auto plain = set_1;
    add_envelope("", plain);
    std::vector<std::string> filtered, names;
    for (std::size_t k = 0; k < band_count; ++k) {
        const auto band = "band_" + std::to_string(k);
        filtered.push_back(band);
        add_envelope(band + "_", filtered);
    }
    for (const auto& of_a_rate : {plain, filtered})
        for (const std::string rate : {"", "/2", "/4"})
            for (const auto& name : of_a_rate)
                names.push_back(name + rate);
    return names;
}

} // namespace

const std::vector<std::string>& feature_names()
{
    static const auto names = all_names();
    return names;
}

std::vector<std::size_t> known_features(std::size_t n, std::size_t set)
{
    std::vector<std::size_t> places;
    if (n < shortest_feature_frame)
        return places;
    const auto add = [&](std::size_t first, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            places.push_back(first + i);
    };
    if (set == 1) {
        add(0, set_1_count);
        return places;
    }
    std::size_t rates = 1;
    for (; rates < feature_rates && n % 2 == 0 && n / 2 >= shortest_feature_frame; n /= 2)
        ++rates;
    add(0, rates * features_of_a_rate);
    if (set > 2)
        add(set_2_count, rates * band_features_of_a_rate);
    return places;
}

} // namespace softmod
