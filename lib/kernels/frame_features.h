// SPDX-License-Identifier: GPL-3.0-or-later
// The expert features of a frame (docs/features.md): a few sums of products a sample, in float32.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace softmod
{

constexpr std::size_t shortest_feature_frame = 128;
// Set 1, of the frame as it is; set 2 has its envelope too, and both again at a half and a quarter of the
// rate.
constexpr std::size_t set_1_count = 41, features_of_a_rate = 54, feature_count = 3 * features_of_a_rate;

const std::vector<std::string>& feature_names(); // of set 2, in order; those of set 1 come first

// How many of them frames of n samples have: the first so many, none of frames that are too short.
std::size_t known_features(std::size_t n);

// Features of frames of one length. Nothing is allocated after construction.
class FrameFeatures
{
public:
    // The first `wanted` features, at most known_features(n), of frames of n >= shortest_feature_frame
    // samples.
    FrameFeatures(std::size_t n, std::size_t wanted);

    // Of the frame (x - mean) * gain, which is to have unit power; x is I and Q in turn, all finite. The
    // result holds `wanted` values or more until the next call.
    const float* of(const float* x, const float* mean, float gain);

private:
    std::size_t d_length, d_rates;
    std::vector<float> d_values;
    std::vector<std::vector<float>> d_halved;
};

} // namespace softmod
