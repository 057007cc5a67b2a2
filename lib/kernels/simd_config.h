// SPDX-License-Identifier: GPL-3.0-or-later
// Included before any header of Highway: limits the instruction sets that kernels are compiled for.
#pragma once

// Vectors of ours lie in arrays, so the sets whose vectors have no size at compile time (SVE, RVV) are left
// out; on x86 those between are left out for compile time. Where none of these is there, kernels use their
// plain form.
#if defined(__aarch64__) || defined(__arm__)
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#else
#define HWY_DISABLED_TARGETS (~(HWY_AVX3 | HWY_AVX2 | HWY_SSE4 | HWY_EMU128 | HWY_SCALAR))
#endif
