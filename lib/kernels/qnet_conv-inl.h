// SPDX-License-Identifier: GPL-3.0-or-later
// Convolutions and dense layers.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- convolutions and dense layers

template <bool kFused>
HWY_INLINE VF ScaledOf(VI sum, const PackedUnit& unit, std::size_t vector)
{
    return Scaled<kFused>(sum, unit.scale.data() + vector * kLanes, unit.offset.data() + vector * kLanes);
}

template <bool kFused, std::size_t kVectors>
HWY_INLINE VB Requantise(const VI* sum, const PackedUnit& unit, const Range& to)
{
    const auto scaled = [&](auto v) SOFTMOD_ATTR {
        if constexpr (v < kVectors)
            return ScaledOf<kFused>(sum[v], unit, v);
        else
            return hn::Zero(DF());
    };
    return InOrder(RoundFour(scaled, to));
}

// The rows of a tile to bytes, where a row is less than four vectors: as many rows together as fill them.
template <bool kFused, std::size_t kRows, std::size_t kVectors>
HWY_INLINE void StoreRows(const VI (&sum)[kRows][kVectors], const Step& step, const PackedUnit& unit,
                          const Range& to, std::uint8_t* out)
{
    if (kRows * kVectors % 4 == 0 && step.channels == kVectors * kLanes) { // rows without a gap
        Each<kRows * kVectors / 4>([&](auto four) SOFTMOD_ATTR {
            const auto scaled = [&](auto part) SOFTMOD_ATTR {
                constexpr std::size_t i = 4 * four + part;
                return ScaledOf<kFused>(sum[i / kVectors][i % kVectors], unit, i % kVectors);
            };
            hn::StoreU(InOrder(RoundFour(scaled, to)), DB(), out + four * kBytes);
        });
    } else if constexpr (kVectors == 2 && kRows % 2 == 0) {
        Each<kRows / 2>([&](auto two) SOFTMOD_ATTR {
            const auto scaled = [&](auto part) SOFTMOD_ATTR {
                return ScaledOf<kFused>(sum[2 * two + part / 2][part % 2], unit, part % 2);
            };
            std::uint8_t* row = out + 2 * two * step.channels;
            StoreHalves(InOrder(RoundFour(scaled, to)), row, row + step.channels, unit.channels);
        });
    } else {
        Each<kRows>([&](auto r) SOFTMOD_ATTR {
            StoreBytes(Requantise<kFused, kVectors>(sum[r], unit, to), out + r * step.channels,
                       unit.channels);
        });
    }
}

// Four rows of a vector of channels lie together.
template <bool kFused, std::size_t kRows, std::size_t kVectors>
HWY_INLINE void StoreTurned(const VI (&sum)[kRows][kVectors], const Step& step, const PackedUnit& unit,
                            const Range& to, std::uint8_t* out)
{
    const std::size_t width = filled(step.channels), count = 4 * filled(unit.channels);
    Each<kRows / 4>([&](auto four) SOFTMOD_ATTR {
        Each<kVectors>([&](auto v) SOFTMOD_ATTR {
            const auto scaled = [&](auto r)
                                    SOFTMOD_ATTR { return ScaledOf<kFused>(sum[4 * four + r][v], unit, v); };
            StoreBytes(hn::TableLookupBytes(RoundFour(scaled, to), TurnFours()),
                       out + four * 4 * width + v * kBytes, std::min(kBytes, count - v * kBytes));
        });
    });
}

// kRows rows of the unit's channels: sums in registers over all of the window.
template <std::size_t kRows, std::size_t kVectors, bool kPairs, Layout kFrom, Layout kTo>
HWY_INLINE void ConvTile(const Step& step, const PackedUnit& unit, const Range& to, std::uint8_t* arena,
                         std::size_t row)
{
    constexpr bool kBlocks = kFrom == Layout::blocks;
    const std::size_t advance = kBlocks ? filled(step.in_channels) : step.stride * step.in_channels;
    const std::size_t next = kBlocks ? 4 : advance;
    const std::uint8_t* HWY_RESTRICT in = arena + step.in + row * advance;
    const std::int8_t* HWY_RESTRICT weight = unit.weight.data();
    VI sum[kRows][kVectors];
    Each<kVectors>([&](auto v) SOFTMOD_ATTR {
        const VI start = hn::Load(DI(), unit.start.data() + v * kLanes);
        Each<kRows>([&](auto r) SOFTMOD_ATTR { sum[r][v] = start; });
    });
    for (const std::uint32_t at : unit.quads) {
        Each<kRows>([&](auto r) SOFTMOD_ATTR {
            const Input input = BroadcastQuad(in + r / 4 * 4 * advance + r % 4 * next + at);
            Each<kVectors>(
                [&](auto v) SOFTMOD_ATTR { sum[r][v] = Dot(sum[r][v], input, weight + v * kWeightBytes); });
        });
        weight += kVectors * kWeightBytes;
    }
    const auto store = [&](auto fused) SOFTMOD_ATTR {
        std::uint8_t* out = arena + step.out;
        if constexpr (kTo == Layout::turned) {
            StoreTurned<fused>(sum, step, unit, to, out + row * filled(step.channels) + 4 * unit.first);
        } else if constexpr (kPairs) {
            out += unit.first + row / 2 * step.channels;
            Each<kRows / 2>([&](auto two) SOFTMOD_ATTR {
                const VB first = Requantise<fused, kVectors>(sum[2 * two], unit, to);
                const VB second = Requantise<fused, kVectors>(sum[2 * two + 1], unit, to);
                StoreBytes(hn::Max(first, second), out + two * step.channels, unit.channels);
            });
        } else {
            StoreRows<fused>(sum, step, unit, to, out + unit.first + row * step.channels);
        }
    };
    if (unit.fused)
        store(std::true_type());
    else
        store(std::false_type());
}

// As many rows at a time as fit into registers, then some rows once more, which gives the same values; kFew
// at a time where there are not as many.
template <std::size_t kVectors, bool kPairs, Layout kFrom, Layout kTo>
void ConvRows(const Step& step, const PackedUnit& unit, std::uint8_t* arena)
{
    constexpr bool kFours = kFrom != Layout::rows || kTo != Layout::rows; // four rows lie together
    constexpr std::size_t kFew = kPairs ? 2 : (kFours ? 4 : 1);
    constexpr std::size_t kRows =
        std::max(kFew, std::size_t{kManyRegisters ? (kVectors > 2 ? 4 : 8) : (kVectors > 2 ? 2 : 4)});
    const Range to(step.to);
    const std::size_t rows = step.rows * (kPairs ? 2 : 1);
    std::size_t row = 0;
    for (; row + kRows <= rows; row += kRows)
        ConvTile<kRows, kVectors, kPairs, kFrom, kTo>(step, unit, to, arena, row);
    if (row < rows && rows >= kRows)
        ConvTile<kRows, kVectors, kPairs, kFrom, kTo>(step, unit, to, arena, rows - kRows);
    else
        for (; row < rows; row += kFew)
            ConvTile<kFew, kVectors, kPairs, kFrom, kTo>(step, unit, to, arena, row);
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
            hn::Store(ScaledOf<false>(sum[0][v], unit, v), DF(), values + v * kLanes);
        std::memcpy(logits + unit.first, values, unit.channels * sizeof(float));
    } else {
        const Range to(step.to);
        StoreBytes(unit.fused ? Requantise<true, kVectors>(sum[0], unit, to)
                              : Requantise<false, kVectors>(sum[0], unit, to),
                   arena + step.out + unit.first, unit.channels);
    }
}

template <std::size_t kVectors>
void ConvUnit(const Step& step, const PackedUnit& unit, std::uint8_t* arena, float* logits)
{
    constexpr auto kRows = Layout::rows, kBlocks = Layout::blocks, kTurned = Layout::turned;
    const bool from_rows = step.in_layout == kRows, to_rows = step.out_layout == kRows;
    if (step.pairs)
        ConvRows<kVectors, true, kRows, kRows>(step, unit, arena);
    else if (step.rows == 1)
        OneRow<kVectors>(step, unit, arena, logits);
    else if (from_rows && to_rows)
        ConvRows<kVectors, false, kRows, kRows>(step, unit, arena);
    else if constexpr (kManyRegisters || kVectors <= 2) { // see PackFormat
        if (from_rows)
            ConvRows<kVectors, false, kRows, kTurned>(step, unit, arena);
        else if (to_rows)
            ConvRows<kVectors, false, kBlocks, kRows>(step, unit, arena);
        else
            ConvRows<kVectors, false, kBlocks, kTurned>(step, unit, arena);
    }
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
