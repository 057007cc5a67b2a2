// SPDX-License-Identifier: GPL-3.0-or-later
// The steps in Highway. Included by qnet_simd.cc inside a namespace of its own, for every instruction set
// once with dot products of bytes (SOFTMOD_DOT 1) and once without: so no include guard and no includes.

namespace hn = hwy::HWY_NAMESPACE;

using DI = hn::ScalableTag<std::int32_t>;
using DF = hn::ScalableTag<float>;
using DS = hn::ScalableTag<std::int16_t>;
using DB = hn::ScalableTag<std::uint8_t>;
using VI = hn::Vec<DI>;
using VF = hn::Vec<DF>;
using VS = hn::Vec<DS>;
using VB = hn::Vec<DB>;
constexpr std::size_t kLanes = hn::MaxLanes(DI());
constexpr std::size_t kBytes = hn::MaxLanes(DB());
constexpr std::size_t kUnit = 4; // vectors of a unit of output channels, at most
constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3;

// ---- products: 4 bytes of activations by 4 weights, into each 32-bit sum

#if SOFTMOD_DOT
constexpr std::size_t kWeightBytes = kBytes; // of one vector of quads

struct Input {
#if HWY_ARCH_ARM
    hn::Vec<hn::ScalableTag<std::int8_t>> bytes;
#else
    VB bytes;
#endif
};

HWY_INLINE Input Prepare(VB bytes)
{
#if HWY_ARCH_ARM
    // Bytes by signed weights: the instruction takes signed ones only. The packed start makes good for it.
    return {hn::BitCast(hn::ScalableTag<std::int8_t>(), hn::Xor(bytes, hn::Set(DB(), 0x80)))};
#else
    return {bytes};
#endif
}

HWY_INLINE VI Dot(VI sum, const Input& input, const std::int8_t* HWY_RESTRICT weight)
{
#if HWY_ARCH_ARM
    return VI(vdotq_s32(sum.raw, input.bytes.raw, vld1q_s8(weight)));
#elif HWY_TARGET == HWY_AVX3
    // In assembler, since compilers copy every sum around its intrinsic.
    const __m512i weights = _mm512_load_si512(weight);
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(input.bytes.raw), "vm"(weights));
    return sum;
#else
    const __m256i weights = _mm256_load_si256(reinterpret_cast<const __m256i*>(weight));
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(input.bytes.raw), "xm"(weights));
    return sum;
#endif
}
#else // products of 16 bits, of which two are summed: exact for every byte and weight
constexpr std::size_t kWeightBytes = 2 * kBytes;

struct Input {
    VS even, odd;
};

HWY_INLINE Input Prepare(VB bytes)
{
    const hn::ScalableTag<std::uint16_t> d;
    const auto pairs = hn::BitCast(d, bytes);
    return {hn::BitCast(DS(), hn::And(pairs, hn::Set(d, 0xff))), hn::BitCast(DS(), hn::ShiftRight<8>(pairs))};
}

HWY_INLINE VI MultiplyPairs(VS a, VS b)
{
#if HWY_ARCH_ARM
    return VI(vpaddq_s32(vmull_s16(vget_low_s16(a.raw), vget_low_s16(b.raw)), vmull_high_s16(a.raw, b.raw)));
#elif HWY_TARGET == HWY_AVX3
    return VI{_mm512_madd_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VI{_mm256_madd_epi16(a.raw, b.raw)};
#else
    return VI{_mm_madd_epi16(a.raw, b.raw)};
#endif
}

HWY_INLINE VI Dot(VI sum, const Input& input, const std::int8_t* HWY_RESTRICT weight)
{
    const auto* pairs = reinterpret_cast<const std::int16_t*>(weight);
    const VI even = MultiplyPairs(input.even, hn::Load(DS(), pairs));
    const VI odd = MultiplyPairs(input.odd, hn::Load(DS(), pairs + kBytes / 2));
    return hn::Add(sum, hn::Add(even, odd));
}
#endif // SOFTMOD_DOT

HWY_INLINE Input BroadcastQuad(const std::uint8_t* bytes)
{
    std::int32_t quad;
    std::memcpy(&quad, bytes, 4);
    return Prepare(hn::BitCast(DB(), hn::Set(DI(), quad)));
}

// ---- from sums to bytes

HWY_INLINE VB PackToBytes(VS a, VS b) // per block of 16 bytes: 8 of a, 8 of b
{
#if HWY_ARCH_ARM
    return VB(vqmovun_high_s16(vqmovun_s16(a.raw), b.raw));
#elif HWY_TARGET == HWY_AVX3
    return VB{_mm512_packus_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VB{_mm256_packus_epi16(a.raw, b.raw)};
#else
    return VB{_mm_packus_epi16(a.raw, b.raw)};
#endif
}

// The limits of a result, as vectors.
struct Range {
    bool is_signed;
    VS zero;
    VB low, high;

    explicit HWY_INLINE Range(const ByteRange& range)
        : is_signed(range.zero != 0), zero(hn::Set(DS(), static_cast<std::int16_t>(range.zero))),
          low(hn::Set(DB(), static_cast<std::uint8_t>(range.low))),
          high(hn::Set(DB(), static_cast<std::uint8_t>(range.high)))
    {
    }
};

HWY_INLINE VI Nearest(VF x) // ties to even; x within int32, so that nothing need be mended
{
#if HWY_ARCH_ARM
    return hn::NearestInt(x);
#elif HWY_TARGET == HWY_AVX3
    return VI{_mm512_cvtps_epi32(x.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VI{_mm256_cvtps_epi32(x.raw)};
#else
    return VI{_mm_cvtps_epi32(x.raw)};
#endif
}

// Four vectors of floats within int32 to bytes: dword i of block b of vector v becomes byte 16 b + 4 v + i.
HWY_INLINE VB Round(VF a, VF b, VF c, VF d, const Range& to)
{
    const DS ds;
    VS ab = hn::ReorderDemote2To(ds, Nearest(a), Nearest(b));
    VS cd = hn::ReorderDemote2To(ds, Nearest(c), Nearest(d));
    if (!to.is_signed) // the packing itself stops at 0
        return hn::Min(PackToBytes(ab, cd), to.high);
    ab = hn::SaturatedAdd(ab, to.zero);
    cd = hn::SaturatedAdd(cd, to.zero);
    return hn::Min(hn::Max(PackToBytes(ab, cd), to.low), to.high);
}

// The same in order: lane l of vector v becomes byte v * kLanes + l.
HWY_INLINE VB InOrder(VB bytes)
{
#if HWY_TARGET == HWY_AVX3
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return VB{_mm512_permutexvar_epi32(order, bytes.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VB{_mm256_permutevar8x32_epi32(bytes.raw, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))};
#else
    return bytes;
#endif
}

HWY_INLINE VF Scaled(VI sum, const float* HWY_RESTRICT scale, const float* HWY_RESTRICT offset)
{
    const DF d;
    return hn::Add(hn::Mul(hn::ConvertTo(d, sum), hn::Load(d, scale)), hn::Load(d, offset));
}

// The first count bytes, 1 to kBytes, and no others.
HWY_INLINE void StoreBytes(VB bytes, std::uint8_t* to, std::size_t count)
{
    if (count == kBytes) {
        hn::StoreU(bytes, DB(), to);
        return;
    }
#if HWY_TARGET == HWY_AVX3
    _mm512_mask_storeu_epi8(to, _bzhi_u64(~0ull, static_cast<unsigned>(count)), bytes.raw);
#else
    HWY_ALIGN std::uint8_t all[kBytes];
    hn::Store(bytes, DB(), all);
    const std::uint8_t* from = all;
    for (; count >= 8; count -= 8, from += 8, to += 8)
        std::memcpy(to, from, 8);
    for (; count > 0; --count)
        *to++ = *from++;
#endif
}

// The first count bytes of each half, 1 to kBytes / 2.
HWY_INLINE void StoreHalves(VB bytes, std::uint8_t* to_lower, std::uint8_t* to_upper, std::size_t count)
{
#if HWY_TARGET == HWY_AVX3
    const std::uint64_t mask = _bzhi_u64(~0ull, static_cast<unsigned>(count));
    _mm512_mask_storeu_epi8(to_lower, mask, bytes.raw);
    _mm512_mask_storeu_epi8(to_upper - 32, mask << 32, bytes.raw);
#else
    HWY_ALIGN std::uint8_t all[kBytes];
    hn::Store(bytes, DB(), all);
    for (std::size_t i = 0; i < count; ++i)
        to_lower[i] = all[i];
    for (std::size_t i = 0; i < count; ++i)
        to_upper[i] = all[kBytes / 2 + i];
#endif
}

// ---- convolutions and dense layers

HWY_INLINE VF ScaledOf(VI sum, const PackedUnit& unit, std::size_t vector)
{
    return Scaled(sum, unit.scale.data() + vector * kLanes, unit.offset.data() + vector * kLanes);
}

template <std::size_t kVectors>
HWY_INLINE VB Requantise(const VI* sum, const PackedUnit& unit, const Range& to)
{
    const auto scaled = [&](std::size_t v)
                            HWY_ATTR { return v < kVectors ? ScaledOf(sum[v], unit, v) : hn::Zero(DF()); };
    return InOrder(Round(scaled(0), scaled(1), scaled(2), scaled(3), to));
}

// The rows of a tile to bytes, where a row is less than four vectors: as many rows together as fill them.
template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void StoreRows(const VI (*sum)[kVectors], const Step& step, const PackedUnit& unit,
                          const Range& to, std::uint8_t* out)
{
    if (kRows * kVectors % 4 == 0 && step.channels == kVectors * kLanes) { // rows without a gap
        const auto scaled = [&](std::size_t i) HWY_ATTR {
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
    const auto add = [&](std::size_t quad, std::size_t p) HWY_ATTR {
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
        const auto scaled = [&](std::size_t v) HWY_ATTR {
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

// ---- byte by byte

template <bool kSigned>
HWY_INLINE VF LoadScaled(const std::uint8_t* bytes, VI zero, VF scale)
{
    const hn::Rebind<std::uint8_t, DI> d;
    const VI value = hn::PromoteTo(DI(), hn::LoadU(d, bytes));
    return hn::Mul(hn::ConvertTo(DF(), kSigned ? hn::Sub(value, zero) : value), scale);
}

template <bool kSigned>
void AddRows(const Step& step, std::uint8_t* arena)
{
    const Range to(step.to);
    const VI zero_p = hn::Set(DI(), step.from.zero), zero_q = hn::Set(DI(), step.from2.zero);
    const VF scale_p = hn::Set(DF(), step.scale[0]), scale_q = hn::Set(DF(), step.scale[1]);
    const std::size_t count = step.rows * step.channels;
    for (std::size_t i = 0; i < count; i += kBytes) {
        const auto sum = [&](std::size_t v) HWY_ATTR {
            const std::size_t at = i + v * kLanes;
            return hn::Add(LoadScaled<kSigned>(arena + step.in + at, zero_p, scale_p),
                           LoadScaled<kSigned>(arena + step.in2 + at, zero_q, scale_q));
        };
        StoreBytes(InOrder(Round(sum(0), sum(1), sum(2), sum(3), to)), arena + step.out + i,
                   std::min(kBytes, count - i));
    }
}

void Add(const Step& step, std::uint8_t* arena)
{
    if (step.from.zero != 0 || step.from2.zero != 0)
        AddRows<true>(step, arena);
    else
        AddRows<false>(step, arena);
}

void Rescale(const Step& step, std::uint8_t* arena)
{
    if (step.rows > 1) { // turned to channel-major: rare
        qnet_kernels_generic().rescale(step, arena);
        return;
    }
    const Range to(step.to);
    const VI zero = hn::Set(DI(), step.from.zero);
    const VF scale = hn::Set(DF(), step.scale[0]);
    for (std::size_t i = 0; i < step.channels; i += kBytes) {
        const auto scaled = [&](std::size_t v) HWY_ATTR {
            return LoadScaled<true>(arena + step.in + i + v * kLanes, zero, scale);
        };
        StoreBytes(InOrder(Round(scaled(0), scaled(1), scaled(2), scaled(3), to)), arena + step.out + i,
                   std::min(kBytes, step.channels - i));
    }
}

void MaxPool(const Step& step, std::uint8_t* arena)
{
    const DB d;
    for (std::size_t row = 0; row < step.rows; ++row)
        for (std::size_t c = 0; c < step.channels; c += kBytes) {
            const std::uint8_t* in = arena + step.in + row * step.stride * step.channels + c;
            VB best = hn::LoadU(d, in);
            for (std::size_t k = 1; k < step.kernel; ++k)
                best = hn::Max(best, hn::LoadU(d, in + k * step.channels));
            StoreBytes(best, arena + step.out + row * step.channels + c, std::min(kBytes, step.channels - c));
        }
}

// ---- the frame

// Both means in turn, as the samples lie.
HWY_INLINE VF InTurn(const float* mean)
{
    const DF d;
    return hn::OddEven(hn::Set(d, mean[1]), hn::Set(d, mean[0]));
}

void Quantise(const float* x, std::size_t n, const float* mean, float gain, float scale, const ByteRange& to,
              std::uint8_t* bytes)
{
    const DF d;
    const Range range(to);
    const VF means = InTurn(mean), gains = hn::Set(d, gain), scales = hn::Set(d, scale);
    // Limits before the rounding: integers, so that they change no result; what is left fits an int32.
    const VF low = hn::Set(d, static_cast<float>(to.low - to.zero));
    const VF high = hn::Set(d, static_cast<float>(to.high - to.zero));
    std::size_t i = 0;
    for (; i + kBytes <= n; i += kBytes) {
        const auto scaled = [&](std::size_t v) HWY_ATTR {
            const VF normalised = hn::Mul(hn::Sub(hn::LoadU(d, x + i + v * kLanes), means), gains);
            return hn::Min(hn::Max(hn::Mul(normalised, scales), low), high);
        };
        hn::StoreU(InOrder(Round(scaled(0), scaled(1), scaled(2), scaled(3), range)), DB(), bytes + i);
    }
    if (i < n)
        qnet_kernels_generic().quantise(x + i, n - i, mean, gain, scale, to, bytes + i);
}

double SumOfSquares(const float* x, std::size_t n, const float* mean)
{
    const hn::ScalableTag<double> dd;
    const hn::Rebind<float, hn::ScalableTag<double>> half;
    const auto means = hn::LowerHalf(half, InTurn(mean));
    auto sum0 = hn::Zero(dd), sum1 = hn::Zero(dd), sum2 = hn::Zero(dd), sum3 = hn::Zero(dd);
    constexpr std::size_t kHalf = hn::MaxLanes(half);
    const auto add = [&](std::size_t at, auto sum) HWY_ATTR {
        const auto value = hn::PromoteTo(dd, hn::Sub(hn::LoadU(half, x + at), means));
        return hn::MulAdd(value, value, sum);
    };
    std::size_t i = 0;
    for (; i + 4 * kHalf <= n; i += 4 * kHalf) {
        sum0 = add(i, sum0);
        sum1 = add(i + kHalf, sum1);
        sum2 = add(i + 2 * kHalf, sum2);
        sum3 = add(i + 3 * kHalf, sum3);
    }
    const auto all = hn::SumOfLanes(dd, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3)));
    return hn::GetLane(all) + qnet_kernels_generic().sum_of_squares(x + i, n - i, mean);
}

// Nothing but dot products, each sum waiting for none of the others.
std::size_t DotProducts(std::size_t rounds)
{
    constexpr std::size_t kSums = 10;
    HWY_ALIGN std::uint8_t bytes[kBytes] = {};
    HWY_ALIGN std::int8_t weight[2 * kBytes] = {};
    for (std::size_t i = 0; i < kBytes; ++i)
        bytes[i] = static_cast<std::uint8_t>(rounds + i);
    const Input input = Prepare(hn::Load(DB(), bytes));
    VI sum[kSums];
    for (auto& s : sum)
        s = hn::Zero(DI());
    for (std::size_t r = 0; r < rounds; ++r)
        for (auto& s : sum)
            s = Dot(s, input, weight);
    for (std::size_t i = 1; i < kSums; ++i)
        sum[0] = hn::Add(sum[0], sum[i]);
    const bool none = hn::GetLane(hn::SumOfLanes(DI(), sum[0])) == 0; // always, but no compiler knows
    return none ? rounds * kSums * 4 * kLanes : 0;
}

constexpr const char* kName =
#if HWY_ARCH_ARM
    SOFTMOD_DOT ? "neon dot" : "neon";
#elif HWY_TARGET == HWY_AVX3
    SOFTMOD_DOT ? "avx512 vnni" : "avx512";
#elif HWY_TARGET == HWY_AVX2
    SOFTMOD_DOT ? "avx2 vnni" : "avx2";
#else
    "sse4";
#endif

const QnetKernels& Kernels()
{
    static constexpr PackFormat format{kLanes, kUnit, !SOFTMOD_DOT, SOFTMOD_DOT && HWY_ARCH_ARM};
    static constexpr QnetKernels kernels{kName,   format,  Conv,     Depthwise,    Add,
                                         MaxPool, Rescale, Quantise, SumOfSquares, DotProducts};
    return kernels;
}
