// SPDX-License-Identifier: GPL-3.0-or-later
// The arithmetic of a model in fewer instructions, where that gives the same integers. Internal to qnet.
#pragma once

#include "qnet_plan.h"

#include <cstdint>
#include <optional>

namespace softmod
{

// The arithmetic of a model rounds a product and a sum: clamp(rint(float(a) * scale + offset)). A fused
// multiply-add rounds once, so that now and then it gives another integer. But it is a staircase over a like
// the other, and an offset a hair away often puts every step where it belongs: gives that offset, with which
// the fused form gives the same integers for all |a| <= largest; nothing where there is none.
// to: bytes, of which to.zero stands for 0.
std::optional<float> fused_offset(float scale, float offset, std::int32_t largest, const ByteRange& to);

// What IntegerSum of an addition says gives the same for all its pairs of bytes; nothing where it does not.
std::optional<IntegerSum> integer_sum(const Step& step);

} // namespace softmod
