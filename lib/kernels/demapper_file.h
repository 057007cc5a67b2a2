// SPDX-License-Identifier: GPL-3.0-or-later
// A trained demapper from its file (docs/model_file.md, kind "demapper").
#pragma once

#include "neural_demap.h"

#include <string>
#include <string_view>

namespace softmod
{

struct DemapperModel {
    std::string name, hash;
    NeuralDemapper demapper;
    std::vector<float> noise_var;                         // ascending
    std::vector<std::vector<std::complex<float>>> points; // by label, for each of noise_var

    // What the transmitter sends at a noise variance: the nearest in logarithm.
    const std::vector<std::complex<float>>& points_at(float at) const;
};

// Throw std::invalid_argument: one sentence that begins with `name` or the path and says what is wrong.
DemapperModel parse_demapper(std::string_view bytes, const std::string& name);
DemapperModel read_demapper(const std::string& path);

} // namespace softmod
