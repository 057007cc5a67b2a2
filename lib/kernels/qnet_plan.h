// SPDX-License-Identifier: GPL-3.0-or-later
// A model as the steps that the inner kernels run, and the memory they run in. Internal to qnet.
//
// Activations lie channels last, unless qnet_layout.h says otherwise: row t holds the channels of time t, and
// rows lie one behind the other. The window of a convolution over time is then one contiguous piece of
// memory, and a dense layer is a convolution whose only window is everything. Every integer is stored as a
// byte plus its range's zero point: 0 where it is unsigned, 128 where it is signed. Rows of zeros (of zero
// points) stand before and behind a tensor for the padding of those that read it.
#pragma once

#include "model_file.h"
#include "qnet_layout.h"

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <vector>

namespace softmod
{

template <typename T>
struct AlignedAllocator {
    using value_type = T;
    AlignedAllocator() = default;
    template <typename U>
    AlignedAllocator(const AlignedAllocator<U>&)
    {
    }
    T* allocate(std::size_t n)
    {
        return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64}));
    }
    void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{64}); }
    template <typename U>
    bool operator==(const AlignedAllocator<U>&) const
    {
        return true;
    }
    template <typename U>
    bool operator!=(const AlignedAllocator<U>&) const
    {
        return false;
    }
};
template <typename T>
using Aligned = std::vector<T, AlignedAllocator<T>>;

// The integers of a tensor as bytes.
struct ByteRange {
    int zero = 0;            // the byte that stands for 0
    int low = 0, high = 255; // least and largest byte

    static ByteRange of(int low, int high)
    {
        const int zero = low < 0 ? 128 : 0;
        return {zero, low + zero, high + zero};
    }
};

// Output channels that one pass of a kernel computes together, packed for an instruction set (qnet_pack.h).
struct PackedUnit {
    std::size_t first = 0, channels = 0, vectors = 0; // channels, of which vectors * lanes are computed
    std::vector<std::uint32_t>
        quads;                   // offsets in the window of the groups of 4 bytes whose weights are not all 0
    Aligned<std::int8_t> weight; // [quads][vectors][lanes][4], or 16 bits each: see PackFormat
    Aligned<std::int32_t> start; // [vectors][lanes]: what the sum starts from
    Aligned<float> scale, offset; // [vectors][lanes]
    bool fused = false;           // the offsets are those of qnet_fuse.h
};

// What a vector of lanes of a depthwise convolution sums: in lane f of its flat result is channel f % filled
// of four rows, 4 (f / filled) and those behind it.
struct PackedLanes {
    struct Turn {           // four rows of the input that some of the four rows read
        std::size_t at;     // bytes from the first one's
        bool reads[4];      // which
        std::size_t weight; // bytes from the first weight, of the first that reads
    };
    std::vector<Turn> turns;
    Aligned<std::int8_t> weight;  // [turns][those that read][lanes][4]
    Aligned<std::int32_t> start;  // [lanes]
    Aligned<float> scale, offset; // the same
    bool fused = false;           // as above
};

// An addition of bytes p and q in integers: (high . (p, q) + ((low . (p, q) + start) >> 12)) >> 14.
struct IntegerSum {
    std::int16_t high[2], low[2];
    std::int32_t start;
};

struct Step {
    enum class Kind { conv, depthwise, add, max_pool, rescale } kind = Kind::conv;
    bool plain = false; // outside of what the SIMD forms take: run by the plain form

    // Bytes from the start of the arena. `in` is the first row of the first window, padding included; of four
    // rows that lie together, the first of those it is in.
    std::size_t in = 0, in2 = 0, out = 0;
    Layout in_layout = Layout::rows, out_layout = Layout::rows;
    ByteRange from, from2, to;
    std::size_t rows = 0, channels = 0; // of the result
    std::size_t in_channels = 0, kernel = 1, stride = 1;

    bool pairs = false;  // conv: the maximum of rows 2 t and 2 t + 1 is what is stored; rows counts those
    bool logits = false; // conv: gives float32
    std::vector<std::int8_t> weight;  // conv: [channels][kernel * in_channels]; depthwise: [kernel][channels]
    std::vector<float> scale, offset; // [channels]; add: scale of both; rescale: one

    // Depthwise: rows of zeros before the first window in its four rows; room for the input in the form that
    // the kernel reads, 0 where it has that already.
    std::size_t lead = 0, scratch = 0;

    std::vector<PackedUnit> units;  // conv
    std::vector<PackedLanes> lanes; // depthwise: repeats over the result
    std::optional<IntegerSum> sum;  // add

    std::size_t depth() const { return kernel * in_channels; }
    // Weights that a channel's sum has, and one of them.
    std::size_t taps() const { return kind == Kind::conv ? depth() : kernel; }
    int weight_of(std::size_t channel, std::size_t tap) const
    {
        return kind == Kind::conv ? weight[channel * depth() + tap] : weight[tap * channels + channel];
    }
};

// A depthwise convolution reads its input turned. Its stride leads from four rows of the result to as many
// fours of rows further in the input, so fours lie in `stride` planes in turn: a plane's fours are
// neighbours.
inline std::size_t turns_of(const Step& step) // that four rows of the result read
{
    return (step.lead + 3 * step.stride + step.kernel + 3) / 4;
}
inline std::size_t plane_bytes(const Step& step)
{
    return ((step.rows + 3) / 4 + (turns_of(step) + step.stride - 1) / step.stride) * 4 *
           filled(step.channels);
}

struct Plan {
    // A node's result in the arena.
    struct Buffer {
        bool used = false;
        std::size_t begin = 0, at = 0, end = 0; // padding, first row, behind the padding
        ByteRange range;
        Layout layout = Layout::rows;
    };

    std::vector<Step> steps;
    std::vector<Buffer> buffers;      // one a node; not used where a node was merged into another
    std::size_t arena = 0;            // bytes, slack for reading behind the end included
    std::size_t iq = 0, features = 0; // places of these nodes; the number of nodes where there is none

    // rows_only: as the plain form wants it. Throws std::invalid_argument for a model that is too large once
    // its groups are written out.
    Plan(const Model& model, bool rows_only);
};

} // namespace softmod
