// SPDX-License-Identifier: GPL-3.0-or-later
// The expert features of a frame, set 1 (docs/features.md): one pass, float32 products.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace softmod
{

constexpr std::size_t feature_count = 41, shortest_feature_frame = 128;

const std::vector<std::string>& feature_names(); // in order

// Of the frame (x - mean) * gain, which is to have unit power: x holds n samples, I and Q in turn, n at least
// shortest_feature_frame, all finite.
void compute_features(const float* x, std::size_t n, const float* mean, float gain, float* features);

} // namespace softmod
