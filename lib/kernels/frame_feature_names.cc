// SPDX-License-Identifier: GPL-3.0-or-later
#include "frame_features.h"

namespace softmod
{

const std::vector<std::string>& feature_names()
{
    static const std::vector<std::string> names = {
        "mean",      "amplitude_1", "amplitude_3", "low_4",      "low_64",    "peak",      "c20",
        "c40",       "c41",         "c42",         "c60",        "c61",       "c62",       "c63",
        "limited_2", "limited_4",   "limited_8",   "limited_16", "lag_1",     "lag_2",     "lag_4",
        "lag_8",     "lag_16",      "lag_64",      "offset",     "skew",      "turn_1",    "turn_1x2",
        "turn_1x4",  "turn_4",      "turn_4x2",    "line_2_16",  "line_2_64", "line_4_16", "line_4_64",
        "line_8_16", "line_8_64",   "power_2",     "power_8",    "power_16",  "power_64"};
    return names;
}

} // namespace softmod
