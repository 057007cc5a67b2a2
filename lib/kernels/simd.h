// SPDX-License-Identifier: GPL-3.0-or-later
// Which instruction set the kernels run on: chosen at run time, the best this CPU has.
#pragma once

#include <string>
#include <vector>

namespace softmod
{

// What this binary holds and this CPU can run, best first: of "avx512", "avx2", "sse4", "neon", and last
// "generic".
std::vector<std::string> simd_targets();

// The one in use. At the start the best, or what the environment variable SOFTMOD_SIMD names.
std::string simd_target();

// For tests and benchmarks: use that one from now on, in all threads; not while kernels run.
// Throws std::invalid_argument for a target that simd_targets() does not list.
void use_simd_target(const std::string& name);

// Whether kernels use instructions for dot products of bytes (AVX-512 VNNI, AVX-VNNI, Arm's dotprod) beside
// those of the target: where this CPU has them, unless switched off, for tests and benchmarks, by the second.
bool simd_dot_products();
void use_simd_dot_products(bool use);

// Whether kernels are to use their plain form rather than HWY_DYNAMIC_DISPATCH. Every kernel asks this first.
bool simd_is_generic();

} // namespace softmod
