// SPDX-License-Identifier: GPL-3.0-or-later
// A model as the steps that the inner kernels run, and the memory they run in. Internal to qnet.
//
// Activations lie channels last: row t holds the channels of time t, and rows lie one behind the other. The
// window of a convolution over time is then one contiguous piece of memory, and a dense layer is a
// convolution whose only window is everything. Every integer is stored as a byte plus its range's zero point:
// 0 where it is unsigned, 128 where it is signed. Rows of zeros (of zero points) stand before and behind a
// tensor for the padding of those that read it.
#pragma once

#include "model_file.h"

#include <cstddef>
#include <cstdint>
#include <new>
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
};

// Places of a depthwise convolution's flat result that one pass computes together, and all that lie a
// multiple of the pattern's length behind them.
struct PackedLanes {
    Aligned<std::int8_t> weight;  // [phases][quads][4 vectors][lanes][4]
    Aligned<std::int32_t> start;  // [4 vectors][lanes]
    Aligned<float> scale, offset; // the same
};

struct Step {
    enum class Kind { conv, depthwise, add, max_pool, rescale } kind = Kind::conv;
    bool plain = false; // outside of what the SIMD forms take: run by the plain form

    // Bytes from the start of the arena. `in` is the first row of the first window, padding included.
    std::size_t in = 0, in2 = 0, out = 0;
    ByteRange from, from2, to;
    std::size_t rows = 0, channels = 0; // of the result
    std::size_t in_channels = 0, kernel = 1, stride = 1;

    bool pairs = false;  // conv: the maximum of rows 2 t and 2 t + 1 is what is stored; rows counts those
    bool logits = false; // conv: gives float32
    std::vector<std::int8_t> weight;  // conv: [channels][kernel * in_channels]; depthwise: [kernel][channels]
    std::vector<float> scale, offset; // [channels]; add: scale of both; rescale: one
    std::size_t scratch = 0;          // depthwise with stride: room for the rows sorted by phase

    std::vector<PackedUnit> units;  // conv
    std::vector<PackedLanes> lanes; // depthwise
    std::size_t jump = 1;           // depthwise: rows between two passes of the same lanes, divided by 4
    std::size_t quads = 0;          // depthwise: groups of 4 taps, in each phase as many

    std::size_t depth() const { return kernel * in_channels; }
};

// How many rows a depthwise step's phase has to hold, and its taps.
inline std::size_t phase_rows(const Step& step)
{
    return step.rows + (step.kernel + step.stride - 1) / step.stride;
}
inline std::size_t phase_taps(const Step& step, std::size_t phase)
{
    return step.kernel > phase ? (step.kernel - phase + step.stride - 1) / step.stride : 0;
}

struct Plan {
    // A node's result in the arena.
    struct Buffer {
        bool used = false;
        std::size_t begin = 0, at = 0, end = 0; // padding, first row, behind the padding
        ByteRange range;
    };

    std::vector<Step> steps;
    std::vector<Buffer> buffers;      // one a node; not used where a node was merged into another
    std::size_t arena = 0;            // bytes, slack for reading behind the end included
    std::size_t iq = 0, features = 0; // places of these nodes; the number of nodes where there is none

    // Throws std::invalid_argument for a model that is too large once its groups are written out.
    explicit Plan(const Model& model);
};

} // namespace softmod
