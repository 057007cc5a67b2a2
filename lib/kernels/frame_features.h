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
// rate; set 3 goes on with what lies behind matched filters, at every rate.
constexpr std::size_t feature_rates = 3, features_of_a_rate = 54, band_features_of_a_rate = 42;
constexpr std::size_t set_1_count = 41, set_2_count = feature_rates * features_of_a_rate;
constexpr std::size_t feature_count = set_2_count + feature_rates * band_features_of_a_rate;
constexpr std::size_t feature_set_counts[] = {set_1_count, set_2_count, feature_count};
constexpr std::size_t feature_sets = 3;

const std::vector<std::string>& feature_names(); // of set 3, in order; the smaller sets come first

// Places, in feature_names(), of those of a set that frames of n samples have, rising; none of frames that
// are too short.
std::vector<std::size_t> known_features(std::size_t n, std::size_t set = feature_sets);

// Features of frames of one length. Nothing is allocated after construction.
class FrameFeatures
{
public:
    // wanted: places in feature_names(), any of known_features(n), of frames of n >= shortest_feature_frame
    // samples.
    FrameFeatures(std::size_t n, const std::vector<std::size_t>& wanted);

    // Of the frame (x - mean) * gain, which is to have unit power; x is I and Q in turn, all finite. The
    // result holds what is wanted at its places until the next call.
    const float* of(const float* x, const float* mean, float gain);

private:
    // What is wanted of one rate, and room for the frame at half of it.
    struct Rate {
        bool set_1 = false, envelope = false, bands = false;
        std::vector<float> halved;
    };
    void bands(const float* x, std::size_t n, const float* mean, float gain, float* features);

    std::size_t d_length;
    std::vector<Rate> d_rates;
    std::vector<float> d_values, d_padded, d_powers;
};

} // namespace softmod
