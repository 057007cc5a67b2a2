// SPDX-License-Identifier: GPL-3.0-or-later
// What the demapper's kernels know of a constellation, worked out once. Internal to soft_demap.
#pragma once

#include "soft_demap.h"

#include <complex>
#include <cstddef>
#include <vector>

namespace softmod
{

// One axis of a separable constellation: level[v] belongs to the value v of the axis's own bits, first bit
// highest.
struct DemapAxis {
    std::vector<double> level;
    std::vector<unsigned> bit; // which bits of the symbol they are (0 = first)
};

struct DemapTables {
    DemapMethod method;
    unsigned bits; // per symbol, m
    std::vector<std::complex<double>> points;
    double peak; // largest |point|

    // Separable: I and Q share the bits out. An axis without bits is not looked at.
    bool separable = false;
    DemapAxis axes[2]; // I, Q

    // With g = 2 / noise_var, ln P(y | s) is g (Re(y conj(s)) - |s|^2 / 2) but for a term that all points
    // share, so |y|^2 never enters: near a decision boundary at little noise it would drown the difference.
    std::vector<float> re, im, half_energy; // by label: Re s, Im s, -|s|^2 / 2

    DemapTables(const std::vector<std::complex<double>>& points, DemapMethod method);
};

} // namespace softmod
