// SPDX-License-Identifier: GPL-3.0-or-later
// A network of integers at work: what docs/model_file.md says, to the last bit.
#pragma once

#include "model_file.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace softmod
{

struct Plan;
struct QnetKernels;

// The weights as the instruction set in use at construction wants them (simd.h). Immutable: any number of
// threads may run it, each on an arena of its own.
class QuantNetwork
{
public:
    // The memory one frame's activations live in.
    class Arena
    {
    public:
        explicit Arena(const QuantNetwork& network);
        ~Arena();
        Arena(Arena&&) noexcept;

    private:
        friend class QuantNetwork;
        struct Bytes;
        std::unique_ptr<Bytes> d_bytes;
    };

    // Throws std::invalid_argument for a model that is too large once its groups are written out.
    explicit QuantNetwork(const Model& model);
    ~QuantNetwork();

    // Of n values x[i] - mean[i % 2], in double precision.
    double sum_of_squares(const float* x, std::size_t n, const float* mean) const;

    // What goes into the `iq` and the `features` node; to be called for those that the model has.
    // x: [n] I and Q in turn; bytes of clamp(rint((x - mean) * gain * scale)).
    void set_iq(Arena& arena, const float* x, const float* mean, float gain) const;
    void set_silence(Arena& arena) const;
    void set_iq(Arena& arena, const std::int16_t* iq) const; // [2][N], within the node's range
    void set_features(Arena& arena, const float* features) const;
    void set_features(Arena& arena, const std::int16_t* features) const;

    void run(Arena& arena, float* logits) const; // allocates nothing

    std::string instruction_set() const; // "avx512 vnni", ..., "generic"
    std::size_t arena_bytes() const;

private:
    std::shared_ptr<const Model> d_model;
    std::shared_ptr<const Plan> d_plan;
    const QnetKernels* d_kernels;
};

// For benchmarks: products of bytes by weights in registers, as fast as the core can; returns how many.
std::size_t run_dot_products(std::size_t rounds);

} // namespace softmod
