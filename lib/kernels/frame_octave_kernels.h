// SPDX-License-Identifier: GPL-3.0-or-later
// What the features of an envelope and of lower rates are made by. Internal to features.
#pragma once

#include <cstddef>

namespace softmod
{

// Triangles that the envelope is counted by: places 0.1, 0.25, .. 1.9, each as wide as from one to the next.
constexpr std::size_t envelope_bins = 13;
constexpr float envelope_first = 0.1f, envelope_step = 0.15f;
// The half-band low-pass: the middle tap, those 1 and those 3 away.
constexpr float half_band[] = {16.0f / 32.0f, 9.0f / 32.0f, -1.0f / 32.0f};

struct OctaveKernels {
    // Adds the triangles of |(x - mean) gain| over n samples to sums[envelope_bins].
    void (*envelope)(const float* x, std::size_t n, const float* mean, float gain, double* sums);
    // The same of n samples of which the powers are known: of sqrt(powers scale).
    void (*envelope_of_powers)(const float* powers, std::size_t n, float scale, double* sums);
    // out: n / 2 samples of (x - mean) gain behind the low-pass; n even, at least 8. Returns their sum of
    // squares.
    double (*halve)(const float* x, std::size_t n, const float* mean, float gain, float* out);
};

void envelope_generic(const float* x, std::size_t n, const float* mean, float gain, double* sums);
void envelope_of_powers_generic(const float* powers, std::size_t n, float scale, double* sums);
double halve_generic(const float* x, std::size_t n, const float* mean, float gain, float* out);
// Samples first .. last - 1 of what halve gives; whatever lies outside of x is zero.
double halve_some(const float* x, std::size_t n, const float* mean, float gain, float* out, std::size_t first,
                  std::size_t last);

OctaveKernels octave_kernels(); // for the instruction set in use, see simd.h

} // namespace softmod
