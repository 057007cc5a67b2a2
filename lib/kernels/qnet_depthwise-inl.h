// SPDX-License-Identifier: GPL-3.0-or-later
// Depthwise convolutions.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- depthwise convolutions
//
// The result is worked as one flat row of bytes: place f takes its taps from places f, f + channels, ... of
// the input. Rows with a stride are sorted by phase first, so that taps of a phase are neighbours. Four rows
// at a time are turned so that the four bytes of a lane belong to one channel.

// Rows of a phase, one behind the other.
template <typename T>
void SortRows(const std::uint8_t* in, std::size_t rows, std::size_t stride, std::size_t plane,
              std::uint8_t* out)
{
    for (std::size_t phase = 0; phase < stride; ++phase)
        for (std::size_t row = phase, to = 0; row < rows; row += stride, ++to)
            std::memcpy(out + phase * plane + to * sizeof(T), in + row * sizeof(T), sizeof(T));
}

// Writes up to 15 bytes behind each row: phases in order, so that the next one puts its own there.
void SortWideRows(const std::uint8_t* in, std::size_t rows, std::size_t channels, std::size_t stride,
                  std::size_t plane, std::uint8_t* out)
{
    const hn::Full128<std::uint8_t> d;
    for (std::size_t phase = 0; phase < stride; ++phase)
        for (std::size_t row = phase, to = 0; row < rows; row += stride, ++to)
            for (std::size_t c = 0; c < channels; c += 16)
                hn::StoreU(hn::LoadU(d, in + row * channels + c), d, out + phase * plane + to * channels + c);
}

void SortByPhase(const Step& step, const std::uint8_t* in, std::uint8_t* out)
{
    const std::size_t plane = phase_rows(step) * step.channels;
    const std::size_t rows = (step.rows - 1) * step.stride + step.kernel;
    if (step.channels == 1)
        SortRows<std::uint8_t>(in, rows, step.stride, plane, out);
    else if (step.channels == 2)
        SortRows<std::uint16_t>(in, rows, step.stride, plane, out);
    else
        SortWideRows(in, rows, step.channels, step.stride, plane, out);
}

struct Turned {
    Input input[4];
};

HWY_INLINE Turned TurnRows(const std::uint8_t* HWY_RESTRICT row, std::size_t channels)
{
    const DB d;
    const hn::ScalableTag<std::uint16_t> d16;
    const VB a = hn::LoadU(d, row), b = hn::LoadU(d, row + channels), c = hn::LoadU(d, row + 2 * channels),
             e = hn::LoadU(d, row + 3 * channels);
    const auto ab0 = hn::BitCast(d16, hn::InterleaveLower(d, a, b));
    const auto ab1 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b));
    const auto ce0 = hn::BitCast(d16, hn::InterleaveLower(d, c, e));
    const auto ce1 = hn::BitCast(d16, hn::InterleaveUpper(d, c, e));
    return {{Prepare(hn::BitCast(d, hn::InterleaveLower(d16, ab0, ce0))),
             Prepare(hn::BitCast(d, hn::InterleaveUpper(d16, ab0, ce0))),
             Prepare(hn::BitCast(d, hn::InterleaveLower(d16, ab1, ce1))),
             Prepare(hn::BitCast(d, hn::InterleaveUpper(d16, ab1, ce1)))}};
}

// What four rows add to each of the places they are taps of: those whose quad lies within kQuads.
template <std::size_t kPlaces>
HWY_INLINE void AddTurn(VI (&sum)[kPlaces][4], const std::uint8_t* row, std::size_t channels,
                        const std::int8_t* HWY_RESTRICT weight, std::size_t turn, std::size_t jump,
                        std::size_t quads)
{
    const Turned turned = TurnRows(row, channels);
    for (std::size_t p = 0; p < kPlaces; ++p) {
        const std::size_t quad = turn - jump * p; // wraps around where it is not this place's turn yet
        if (quad < quads)
            for (std::size_t v = 0; v < 4; ++v)
                sum[p][v] = Dot(sum[p][v], turned.input[v], weight + (quad * 4 + v) * kWeightBytes);
    }
}

// All turns written out, so that no branch is left.
template <std::size_t kPlaces, std::size_t kJump, std::size_t kQuads, std::size_t... kTurn>
HWY_INLINE void AddTurns(VI (&sum)[kPlaces][4], const std::uint8_t* row, std::size_t channels,
                         const std::int8_t* HWY_RESTRICT weight, std::index_sequence<kTurn...>)
{
    (AddTurn(sum, row + kTurn * 4 * channels, channels, weight, kTurn, kJump, kQuads), ...);
}

// kPlaces vectors of bytes, each a pattern's length behind the one before: they share the rows they turn.
// kJump and kQuads are those of the step, or 0 where they are not known beforehand.
template <std::size_t kPlaces, std::size_t kJump, std::size_t kQuads>
HWY_INLINE void DepthwiseTile(const Step& step, const PackedLanes& lanes, const Range& to,
                              const std::uint8_t* planes, std::size_t plane, std::size_t place,
                              std::uint8_t* out, std::size_t count)
{
    const std::size_t four_rows = 4 * step.channels, jump = step.jump, quads = step.quads;
    const std::int8_t* HWY_RESTRICT weight = lanes.weight.data();
    VI sum[kPlaces][4];
    for (std::size_t p = 0; p < kPlaces; ++p)
        for (std::size_t v = 0; v < 4; ++v)
            sum[p][v] = hn::Load(DI(), lanes.start.data() + v * kLanes);
    for (std::size_t phase = 0; phase < step.stride; ++phase, weight += quads * 4 * kWeightBytes) {
        const std::uint8_t* HWY_RESTRICT row = planes + phase * plane + place;
        if constexpr (kQuads > 0) {
            AddTurns<kPlaces, kJump, kQuads>(sum, row, step.channels, weight,
                                             std::make_index_sequence<kQuads + kJump*(kPlaces - 1)>());
        } else {
            for (std::size_t turn = 0; turn < quads + jump * (kPlaces - 1); ++turn)
                if (turn % jump < quads || turn >= jump * kPlaces) // otherwise between two places
                    AddTurn(sum, row + turn * four_rows, step.channels, weight, turn, jump, quads);
        }
    }
    for (std::size_t p = 0; p < kPlaces; ++p) {
        const auto scaled = [&](std::size_t v) SOFTMOD_ATTR {
            return Scaled(sum[p][v], lanes.scale.data() + v * kLanes, lanes.offset.data() + v * kLanes);
        };
        StoreBytes(Round(scaled(0), scaled(1), scaled(2), scaled(3), to), out + place + p * jump * four_rows,
                   count);
    }
}

template <std::size_t kJump, std::size_t kQuads>
void DepthwiseRows(const Step& step, const std::uint8_t* planes, std::uint8_t* out)
{
    constexpr std::size_t kPlaces = kManyRegisters ? 4 : 2;
    const std::size_t plane = phase_rows(step) * step.channels;
    const std::size_t flat = step.rows * step.channels, pattern = 4 * step.jump * step.channels;
    const Range to(step.to);
    for (std::size_t i = 0; i < step.lanes.size(); ++i) {
        std::size_t place = i * kBytes;
        for (; place + (kPlaces - 1) * pattern + kBytes <= flat; place += kPlaces * pattern)
            DepthwiseTile<kPlaces, kJump, kQuads>(step, step.lanes[i], to, planes, plane, place, out, kBytes);
        for (; place < flat; place += pattern)
            DepthwiseTile<1, 0, 0>(step, step.lanes[i], to, planes, plane, place, out,
                                   std::min(kBytes, flat - place));
    }
}

void Depthwise(const Step& step, std::uint8_t* arena)
{
    const std::uint8_t* planes = arena + step.in;
    if (step.stride > 1) {
        SortByPhase(step, planes, arena + step.scratch);
        planes = arena + step.scratch;
    }
    std::uint8_t* out = arena + step.out;
#if SOFTMOD_DOT && HWY_TARGET == HWY_AVX3 // usual shapes: 16 channels and multiples of 8, kernels to 24
    switch (step.quads < 10 ? 10 * step.jump + step.quads : 0) {
    case 11:
        return DepthwiseRows<1, 1>(step, planes, out);
    case 12:
        return DepthwiseRows<1, 2>(step, planes, out);
    case 13:
        return DepthwiseRows<1, 3>(step, planes, out);
    case 14:
        return DepthwiseRows<1, 4>(step, planes, out);
    case 21:
        return DepthwiseRows<2, 1>(step, planes, out);
    case 22:
        return DepthwiseRows<2, 2>(step, planes, out);
    case 23:
        return DepthwiseRows<2, 3>(step, planes, out);
    case 24:
        return DepthwiseRows<2, 4>(step, planes, out);
    case 26:
        return DepthwiseRows<2, 6>(step, planes, out);
    default:
        break;
    }
#endif
    DepthwiseRows<0, 0>(step, planes, out);
}
