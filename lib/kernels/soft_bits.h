// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>

namespace softmod
{

// LLRs, ln P(b = 1) / P(b = 0), to P(b = 1), in place. Relative error below 1e-6 + 1e-7 |llr|; NaN stays NaN.
void soft_bits(float* llr, std::size_t n);

} // namespace softmod
