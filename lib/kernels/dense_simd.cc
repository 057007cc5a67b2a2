// SPDX-License-Identifier: GPL-3.0-or-later
// The network in Highway: this file is compiled once for every instruction set.
//
// Everything is one kind of product, C = start + A B with the rows of B and C padded to whole vectors:
// forward A = x, B = W^T; back to the input A = gradient, B = W; back to the weights A = gradient^T, B = x
// or the transpose of that.
#include "dense_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dense_simd.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#if HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::size_t kRows = 128; // of a block
constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86;
constexpr std::size_t kSums = kManyRegisters ? 16 : 8; // vectors of C at a time, held in registers
constexpr std::size_t kWide = kManyRegisters ? 4 : 2;  // of them in a row of C

constexpr std::size_t Padded(std::size_t width)
{
    return (width + kLanes - 1) / kLanes * kLanes;
}

// A matrix whose element (r, c) lies at data[r * row + c * column].
struct Strided {
    const float* data;
    std::size_t row, column;
};

// Rows padded with zeros to whole vectors.
class Rows
{
public:
    Rows(std::size_t count, std::size_t width) : d_stride(Padded(width)), d_data(count * d_stride, 0.0f) {}

    float* operator[](std::size_t r) { return d_data.data() + r * d_stride; }
    const float* operator[](std::size_t r) const { return d_data.data() + r * d_stride; }
    std::size_t stride() const { return d_stride; }
    Strided as_is() const { return {d_data.data(), d_stride, 1}; }
    Strided transposed() const { return {d_data.data(), 1, d_stride}; }

private:
    std::size_t d_stride;
    std::vector<float> d_data;
};

// What the sums of a product begin with: rows that lie stride apart; with a stride of 0 all begin alike.
struct Start {
    const float* data;
    std::size_t stride;
};

// kM rows and kN vectors of C = start + A B, with depth columns of A; kPositive: max(0, that).
template <std::size_t kM, std::size_t kN, bool kPositive>
HWY_INLINE void Tile(const Strided& a, const float* HWY_RESTRICT b, std::size_t b_stride, std::size_t depth,
                     const Start& start, float* c, std::size_t c_stride)
{
    const D d;
    V sum[kM][kN];
    for (std::size_t m = 0; m < kM; ++m)
        for (std::size_t v = 0; v < kN; ++v)
            sum[m][v] = hn::LoadU(d, start.data + m * start.stride + v * kLanes);
    for (std::size_t k = 0; k < depth; ++k) {
        V row[kN];
        for (std::size_t v = 0; v < kN; ++v)
            row[v] = hn::LoadU(d, b + k * b_stride + v * kLanes);
        for (std::size_t m = 0; m < kM; ++m) {
            const V factor = hn::Set(d, a.data[m * a.row + k * a.column]);
            for (std::size_t v = 0; v < kN; ++v)
                sum[m][v] = hn::MulAdd(factor, row[v], sum[m][v]);
        }
    }
    for (std::size_t m = 0; m < kM; ++m)
        for (std::size_t v = 0; v < kN; ++v) {
            const V value = kPositive ? hn::Max(hn::Zero(d), sum[m][v]) : sum[m][v]; // NaN stays
            hn::StoreU(value, d, c + m * c_stride + v * kLanes);
        }
}

// Rows from m on: kM at a time, what is left by halves of it.
template <std::size_t kM, std::size_t kN, bool kPositive>
HWY_INLINE void Columns(const Strided& a, const Rows& b, std::size_t depth, const Start& start, Rows& c,
                        std::size_t count, std::size_t column, std::size_t m = 0)
{
    for (; m + kM <= count; m += kM)
        Tile<kM, kN, kPositive>({a.data + m * a.row, a.row, a.column}, b[0] + column, b.stride(), depth,
                                {start.data + m * start.stride + column, start.stride}, c[m] + column,
                                c.stride());
    if constexpr (kM > 1)
        Columns<kM / 2, kN, kPositive>(a, b, depth, start, c, count, column, m);
}

// The first count rows of C = start + A B. A tile has enough sums in flight to keep the multipliers busy.
template <bool kPositive = false>
void Product(const Strided& a, const Rows& b, std::size_t depth, const Start& start, Rows& c,
             std::size_t count)
{
    std::size_t column = 0;
    for (; column + kWide * kLanes <= c.stride(); column += kWide * kLanes)
        Columns<kSums / kWide, kWide, kPositive>(a, b, depth, start, c, count, column);
    for (; column < c.stride(); column += kLanes)
        Columns<kSums, 1, kPositive>(a, b, depth, start, c, count, column);
}

// C += A B.
void AddProduct(const Strided& a, const Rows& b, std::size_t depth, Rows& c, std::size_t count)
{
    Product(a, b, depth, {c[0], c.stride()}, c, count);
}

void CopyIn(const float* from, std::size_t count, std::size_t width, Rows& to)
{
    for (std::size_t r = 0; r < count; ++r)
        std::copy_n(from + r * width, width, to[r]);
}
void CopyOut(const Rows& from, std::size_t count, std::size_t width, float* to)
{
    for (std::size_t r = 0; r < count; ++r)
        std::copy_n(from[r], width, to + r * width);
}

// A layer with its weights as B wants them, and room for what a block of rows has in it.
struct Layer {
    std::size_t inputs, outputs;
    Rows forward;  // W^T: [inputs][outputs]
    Rows backward; // W: [outputs][inputs]
    Rows bias;
    Rows in; // of a block of rows

    explicit Layer(const DenseLayer& layer)
        : inputs(layer.inputs), outputs(layer.outputs), forward(inputs, outputs), backward(outputs, inputs),
          bias(1, outputs), in(kRows, inputs)
    {
        std::copy_n(layer.bias, outputs, bias[0]);
        for (std::size_t o = 0; o < outputs; ++o)
            for (std::size_t i = 0; i < inputs; ++i)
                forward[i][o] = backward[o][i] = layer.weight[o * inputs + i];
    }

    // Gradients to the weights are summed up as [inputs][outputs] where that has less padding.
    bool transposed() const { return inputs * Padded(outputs) < outputs * Padded(inputs); }
};

// Fills what goes into each layer, and what comes out of the last, of a block of rows.
void RunBlock(std::vector<Layer>& layers, const float* x, std::size_t count, Rows* out)
{
    CopyIn(x, count, layers.front().inputs, layers.front().in);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const bool last = l + 1 == layers.size();
        if (last && !out)
            return;
        Rows& to = last ? *out : layers[l + 1].in;
        const Start bias{layers[l].bias[0], 0};
        const Strided in = layers[l].in.as_is();
        if (last)
            Product(in, layers[l].forward, layers[l].inputs, bias, to, count);
        else
            Product<true>(in, layers[l].forward, layers[l].inputs, bias, to, count);
    }
}

void Forward(const std::vector<DenseLayer>& network, const float* x, std::size_t n, float* y)
{
    std::vector<Layer> layers(network.begin(), network.end());
    const std::size_t inputs = layers.front().inputs, outputs = layers.back().outputs;
    Rows out(kRows, outputs);
    for (std::size_t at = 0; at < n; at += kRows) {
        const std::size_t count = std::min(kRows, n - at);
        RunBlock(layers, x + at * inputs, count, &out);
        CopyOut(out, count, outputs, y + at * outputs);
    }
}

void Backward(const std::vector<DenseLayer>& network, const float* x, const float* grad, std::size_t n,
              float* to_x, const std::vector<DenseGradient>& to_layers)
{
    const D d;
    std::vector<Layer> layers(network.begin(), network.end());
    const std::size_t inputs = layers.front().inputs, outputs = layers.back().outputs;
    std::size_t widest = 0;
    std::vector<Rows> to_weight, to_bias, from; // from: gradients of a block to what comes out of each layer
    for (const auto& layer : layers) {
        if (layer.transposed())
            to_weight.emplace_back(layer.inputs, layer.outputs);
        else
            to_weight.emplace_back(layer.outputs, layer.inputs);
        to_bias.emplace_back(1, layer.outputs);
        widest = std::max(widest, layer.inputs);
        from.emplace_back(kRows, layer.outputs);
    }
    Rows to_block(kRows, inputs), nothing(1, widest);
    for (std::size_t at = 0; at < n; at += kRows) {
        const std::size_t count = std::min(kRows, n - at);
        RunBlock(layers, x + at * inputs, count, nullptr);
        CopyIn(grad + at * outputs, count, outputs, from.back());
        for (std::size_t l = layers.size(); l-- > 0;) {
            const Layer& layer = layers[l];
            for (std::size_t r = 0; r < count; ++r)
                for (std::size_t i = 0; i < from[l].stride(); i += kLanes)
                    hn::StoreU(hn::Add(hn::LoadU(d, to_bias[l][0] + i), hn::LoadU(d, from[l][r] + i)), d,
                               to_bias[l][0] + i);
            if (layer.transposed())
                AddProduct(layer.in.transposed(), from[l], count, to_weight[l], layer.inputs);
            else
                AddProduct(from[l].transposed(), layer.in, count, to_weight[l], layer.outputs);
            if (l == 0 && !to_x)
                break;
            Rows& to = l == 0 ? to_block : from[l - 1];
            Product(from[l].as_is(), layer.backward, layer.outputs, {nothing[0], 0}, to, count);
            for (std::size_t i = 0; l > 0 && i < count * to.stride(); i += kLanes) {
                const auto shut = hn::Le(hn::LoadU(d, layer.in[0] + i), hn::Zero(d));
                hn::StoreU(hn::IfThenZeroElse(shut, hn::LoadU(d, to[0] + i)), d, to[0] + i);
            }
        }
        if (to_x)
            CopyOut(to_block, count, inputs, to_x + at * inputs);
    }
    for (std::size_t l = 0; l < layers.size(); ++l)
        for (std::size_t o = 0; o < layers[l].outputs; ++o) {
            to_layers[l].bias[o] += to_bias[l][0][o];
            for (std::size_t i = 0; i < layers[l].inputs; ++i)
                to_layers[l].weight[o * layers[l].inputs + i] +=
                    layers[l].transposed() ? to_weight[l][i][o] : to_weight[l][o][i];
        }
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#endif // neither HWY_EMU128 nor HWY_SCALAR

HWY_BEFORE_NAMESPACE();
namespace softmod
{
namespace HWY_NAMESPACE
{

const DenseKernels* DenseOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return &dense_kernels_generic();
#else
    static constexpr DenseKernels kernels{Forward, Backward};
    return &kernels;
#endif
}

} // namespace HWY_NAMESPACE
} // namespace softmod
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace softmod
{
namespace
{
HWY_EXPORT(DenseOfTarget);
}

const DenseKernels& dense_kernels()
{
    return simd_is_generic() ? dense_kernels_generic() : *HWY_DYNAMIC_DISPATCH(DenseOfTarget)();
}

} // namespace softmod
#endif
