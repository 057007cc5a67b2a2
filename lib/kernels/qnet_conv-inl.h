// SPDX-License-Identifier: GPL-3.0-or-later
// Convolutions and dense layers.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- convolutions and dense layers

HWY_INLINE VF ScaledOf(VI sum, const PackedUnit& unit, std::size_t vector)
{
    return Scaled(sum, unit.scale.data() + vector * kLanes, unit.offset.data() + vector * kLanes);
}

template <std::size_t kVectors>
HWY_INLINE VB Requantise(const VI* sum, const PackedUnit& unit, const Range& to)
{
    const auto scaled = [&](std::size_t v) SOFTMOD_ATTR {
        return v < kVectors ? ScaledOf(sum[v], unit, v) : hn::Zero(DF());
    };
    return InOrder(Round(scaled(0), scaled(1), scaled(2), scaled(3), to));
}

// The rows of a tile to bytes, where a row is less than four vectors: as many rows together as fill them.
template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void StoreRows(const VI (*sum)[kVectors], const Step& step, const PackedUnit& unit,
                          const Range& to, std::uint8_t* out)
{
    if (kRows * kVectors % 4 == 0 && step.channels == kVectors * kLanes) { // rows without a gap
        const auto scaled = [&](std::size_t i) SOFTMOD_ATTR {
            return ScaledOf(sum[i / kVectors][i % kVectors], unit, i % kVectors);
        };
        for (std::size_t i = 0; i < kRows * kVectors; i += 4, out += kBytes)
            hn::StoreU(InOrder(Round(scaled(i), scaled(i + 1), scaled(i + 2), scaled(i + 3), to)), DB(), out);
    } else if (kVectors == 2 && kRows % 2 == 0) {
        for (std::size_t r = 0; r < kRows; r += 2, out += 2 * step.channels)
            StoreHalves(
                InOrder(Round(ScaledOf(sum[r][0], unit, 0), ScaledOf(sum[r][1], unit, 1),
                              ScaledOf(sum[r + 1][0], unit, 0), ScaledOf(sum[r + 1][1], unit, 1), to)),
                out, out + step.channels, unit.channels);
    } else {
        for (std::size_t r = 0; r < kRows; ++r, out += step.channels)
            StoreBytes(Requantise<kVectors>(sum[r], unit, to), out, unit.channels);
    }
}

// kRows rows of the unit's channels: sums in registers over all of the window.
template <std::size_t kRows, std::size_t kVectors, bool kPairs>
HWY_INLINE void ConvTile(const Step& step, const PackedUnit& unit, const Range& to, std::uint8_t* arena,
                         std::size_t row)
{
    const std::size_t advance = step.stride * step.in_channels;
    const std::uint8_t* HWY_RESTRICT in = arena + step.in + row * advance;
    const std::int8_t* HWY_RESTRICT weight = unit.weight.data();
    VI sum[kRows][kVectors];
    for (std::size_t r = 0; r < kRows; ++r)
        for (std::size_t v = 0; v < kVectors; ++v)
            sum[r][v] = hn::Load(DI(), unit.start.data() + v * kLanes);
    for (const std::uint32_t at : unit.quads) {
        for (std::size_t r = 0; r < kRows; ++r) {
            const Input input = BroadcastQuad(in + r * advance + at);
            for (std::size_t v = 0; v < kVectors; ++v)
                sum[r][v] = Dot(sum[r][v], input, weight + v * kWeightBytes);
        }
        weight += kVectors * kWeightBytes;
    }
    std::uint8_t* out = arena + step.out + unit.first;
    if constexpr (kPairs) {
        static_assert(kRows % 2 == 0);
        for (std::size_t r = 0; r < kRows; r += 2)
            StoreBytes(
                hn::Max(Requantise<kVectors>(sum[r], unit, to), Requantise<kVectors>(sum[r + 1], unit, to)),
                out + (row + r) / 2 * step.channels, unit.channels);
    } else {
        StoreRows<kRows, kVectors>(sum, step, unit, to, out + row * step.channels);
    }
}

template <std::size_t kVectors, bool kPairs>
void ConvRows(const Step& step, const PackedUnit& unit, std::uint8_t* arena)
{
    constexpr std::size_t kRows = kManyRegisters ? (kVectors > 2 ? 4 : 8) : (kVectors > 2 ? 2 : 4);
    constexpr std::size_t kFew = kPairs ? 2 : 1;
    const Range to(step.to);
    const std::size_t rows = step.rows * (kPairs ? 2 : 1);
    std::size_t row = 0;
    for (; row + kRows <= rows; row += kRows)
        ConvTile<kRows, kVectors, kPairs>(step, unit, to, arena, row);
    if (row < rows && rows >= kRows) // some rows once more: the same values
        ConvTile<kRows, kVectors, kPairs>(step, unit, to, arena, rows - kRows);
    else
        for (; row < rows; row += kFew)
            ConvTile<kFew, kVectors, kPairs>(step, unit, to, arena, row);
}

// One window, with several sums for each channel so that they do not wait for one another.
template <std::size_t kVectors>
void OneRow(const Step& step, const PackedUnit& unit, std::uint8_t* arena, float* logits)
{
    constexpr std::size_t kParts = 4;
    const std::uint8_t* HWY_RESTRICT in = arena + step.in;
    const std::int8_t* HWY_RESTRICT weight = unit.weight.data();
    VI sum[kParts][kVectors];
    for (std::size_t p = 0; p < kParts; ++p)
        for (std::size_t v = 0; v < kVectors; ++v)
            sum[p][v] = p == 0 ? hn::Load(DI(), unit.start.data() + v * kLanes) : hn::Zero(DI());
    const auto add = [&](std::size_t quad, std::size_t p) SOFTMOD_ATTR {
        const Input input = BroadcastQuad(in + unit.quads[quad]);
        for (std::size_t v = 0; v < kVectors; ++v)
            sum[p][v] = Dot(sum[p][v], input, weight + (quad * kVectors + v) * kWeightBytes);
    };
    const std::size_t count = unit.quads.size();
    std::size_t quad = 0;
    for (; quad + kParts <= count; quad += kParts)
        for (std::size_t p = 0; p < kParts; ++p)
            add(quad + p, p);
    for (; quad < count; ++quad)
        add(quad, 0);
    for (std::size_t v = 0; v < kVectors; ++v)
        sum[0][v] = hn::Add(hn::Add(sum[0][v], sum[1][v]), hn::Add(sum[2][v], sum[3][v]));
    if (step.logits) {
        HWY_ALIGN float values[kVectors * kLanes];
        for (std::size_t v = 0; v < kVectors; ++v)
            hn::Store(Scaled(sum[0][v], unit.scale.data() + v * kLanes, unit.offset.data() + v * kLanes),
                      DF(), values + v * kLanes);
        std::memcpy(logits + unit.first, values, unit.channels * sizeof(float));
    } else {
        StoreBytes(Requantise<kVectors>(sum[0], unit, Range(step.to)), arena + step.out + unit.first,
                   unit.channels);
    }
}

template <std::size_t kVectors>
void ConvUnit(const Step& step, const PackedUnit& unit, std::uint8_t* arena, float* logits)
{
    if (step.pairs)
        ConvRows<kVectors, true>(step, unit, arena);
    else if (step.rows == 1)
        OneRow<kVectors>(step, unit, arena, logits);
    else
        ConvRows<kVectors, false>(step, unit, arena);
}

void Conv(const Step& step, std::uint8_t* arena, float* logits)
{
    static_assert(kUnit == 4);
    for (const auto& unit : step.units) {
        if (unit.vectors == 4)
            ConvUnit<4>(step, unit, arena, logits);
        else if (unit.vectors == 3)
            ConvUnit<3>(step, unit, arena, logits);
        else if (unit.vectors == 2)
            ConvUnit<2>(step, unit, arena, logits);
        else
            ConvUnit<1>(step, unit, arena, logits);
    }
}
