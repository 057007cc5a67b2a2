// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_features.h"

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

std::vector<std::string> set_2()
{
    auto names = set_1;
    for (std::size_t bin = 0; bin < envelope_bins; ++bin)
        names.push_back("envelope_" + std::to_string(bin));
    for (const std::string rate : {"/2", "/4"})
        for (std::size_t i = 0; i < features_of_a_rate; ++i)
            names.push_back(names[i] + rate);
    return names;
}

} // namespace

const std::vector<std::string>& feature_names()
{
    static const auto names = set_2();
    return names;
}

std::size_t known_features(std::size_t n)
{
    if (n < shortest_feature_frame)
        return 0;
    std::size_t count = features_of_a_rate;
    for (; count < feature_count && n % 2 == 0 && n / 2 >= shortest_feature_frame; n /= 2)
        count += features_of_a_rate;
    return count;
}

} // namespace softmod
