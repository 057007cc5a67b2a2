// SPDX-License-Identifier: GPL-3.0-or-later
// Weights in the order in which the SIMD kernels read them. Internal to qnet.
#pragma once

#include "qnet_plan.h"

namespace softmod
{

// What an instruction set multiplies: lanes are its 32-bit sums.
struct PackFormat {
    std::size_t lanes = 0;                // of a vector; 0: the plain form, nothing is packed
    std::size_t max_vectors = 4;          // of a unit of output channels
    std::size_t vectors_of_four_rows = 4; // the same where four rows of it are worked together
    // false: groups of 4 weights of 8 bits, for an instruction that sums 4 products into a lane.
    // true: 16 bits each; first of all lanes the weights 0 and 2 of each group, then the weights 1 and 3.
    bool wide = false;
    bool fuses = false;        // has multiply-adds of one rounding
    bool signed_input = false; // the kernel subtracts 128 from the bytes of the activations first
};

// Packs the weights of every step that is not plain.
void pack(Plan& plan, const PackFormat& format);

} // namespace softmod
