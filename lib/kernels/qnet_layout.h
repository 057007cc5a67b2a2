// SPDX-License-Identifier: GPL-3.0-or-later
// How each node's integers lie in memory. Internal to qnet.
#pragma once

#include "model_file.h"

#include <cstddef>
#include <vector>

namespace softmod
{

// `rows`: row t holds the channels of time t. The other two put four rows and four channels together, 16
// bytes, all channels of four rows before the next four rows; channels are rounded up to a multiple of 4.
// `turned`: byte 4 c + t within the 16, four times of a channel together, as a depthwise convolution reads
// them. `blocks`: byte 4 t + c within the 16, as a depthwise convolution writes them: a convolution over
// channels alone finds the four channels together that it reads.
enum class Layout { rows, turned, blocks };

// Channels of a row, with those that only fill up.
inline std::size_t filled(std::size_t channels)
{
    return channels < 3 ? channels : (channels + 3) / 4 * 4;
}

// Whether a node sums each channel over time by itself: depthwise convolutions and means.
bool is_depthwise(const Model& model, const ModelNode& node);

// Whether a float on the way to the node's result may be larger than an int32 holds: run by the plain form.
bool is_plain(const ModelNode& node);

// readers: of each node. merged: whether node i's result is never stored.
std::vector<Layout> layouts_of(const Model& model, const std::vector<std::vector<std::size_t>>& readers,
                               const std::vector<bool>& merged);

} // namespace softmod
