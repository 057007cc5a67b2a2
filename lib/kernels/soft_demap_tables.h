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
    std::vector<unsigned> bit;        // which bits of the symbol they are (0 = first)
    std::vector<float> slope, offset; // of the metric, as below: level, (min level^2 - level^2) / 2
};

struct DemapTables {
    DemapMethod method;
    unsigned bits; // per symbol, m
    std::vector<std::complex<double>> points;
    double peak; // largest |point|

    bool separable = false; // I and Q share the bits out
    DemapAxis axes[2];      // I, Q; of a separable one only

    // With g = 2 / noise_var, ln P(y | s) is g (Re(y conj(s)) - |s|^2 / 2) but for a term that all points
    // share, so |y|^2 never enters: near a decision boundary at little noise it would drown the difference.
    // For the same reason the energies are taken relative to the least one.
    std::vector<float> re, im, offset; // by label: Re s, Im s, (min |s|^2 - |s|^2) / 2

    // Separable with as many bits on I as on Q: both axes can be worked side by side, I in the even lanes and
    // Q in the odd ones. By value of an axis's bits, [2 v] for I and [2 v + 1] for Q, as above.
    enum class Order { alternating, axis_by_axis, other }; // of the bits: I Q I Q, I I Q Q or any other
    bool paired = false;
    Order order = Order::other;
    std::vector<float> pair_slope, pair_offset;

    // Paired, and on each axis the first bit is the sign of the level and the rest belong to its magnitude,
    // as with Gray labels. On |y| max-log then needs the near half of the levels alone, and of the far half
    // only the innermost one, for the first bit. In pairs: the magnitudes by value of the other bits, and
    // last minus the innermost.
    bool folds = false;
    std::vector<float> fold_slope, fold_offset;
    float fold_sign[2] = {1.0f, 1.0f}; // by axis: 1 where first bit 0 is the positive side, else -1

    DemapTables(const std::vector<std::complex<double>>& points, DemapMethod method);

private:
    void flatten_points();
    void flatten_axes();
    void pair_axes();
    void fold_axes();
};

} // namespace softmod
