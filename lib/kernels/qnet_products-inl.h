// SPDX-License-Identifier: GPL-3.0-or-later
// Products of bytes by weights, and sums to bytes.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- products of 16 bits, of which two are summed

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
#else  // products of 16 bits, of which two are summed: exact for every byte and weight
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

// Four vectors of integers to bytes: dword i of block b of vector v becomes byte 16 b + 4 v + i.
HWY_INLINE VB ToBytes(VI a, VI b, VI c, VI d, const Range& to)
{
    const DS ds;
    VS ab = hn::ReorderDemote2To(ds, a, b);
    VS cd = hn::ReorderDemote2To(ds, c, d);
    if (!to.is_signed) // the packing itself stops at 0
        return hn::Min(PackToBytes(ab, cd), to.high);
    ab = hn::SaturatedAdd(ab, to.zero);
    cd = hn::SaturatedAdd(cd, to.zero);
    return hn::Min(hn::Max(PackToBytes(ab, cd), to.low), to.high);
}

// The same of floats within int32.
HWY_INLINE VB Round(VF a, VF b, VF c, VF d, const Range& to)
{
    return ToBytes(Nearest(a), Nearest(b), Nearest(c), Nearest(d), to);
}

// The same of what scaled(0) to scaled(3) give.
template <typename F>
HWY_INLINE VB RoundFour(const F& scaled, const Range& to)
{
    using std::integral_constant;
    return Round(scaled(integral_constant<std::size_t, 0>()), scaled(integral_constant<std::size_t, 1>()),
                 scaled(integral_constant<std::size_t, 2>()), scaled(integral_constant<std::size_t, 3>()),
                 to);
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

// ---- within each 16 bytes, for TableLookupBytes

HWY_INLINE VB TurnFours() // byte 4 r + c to 4 c + r and back
{
    alignas(16) static constexpr std::uint8_t places[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                            2, 6, 10, 14, 3, 7, 11, 15};
    return hn::LoadDup128(DB(), places);
}
HWY_INLINE VB TurnPairs() // two fours of rows of two channels, from rows: 8 f + 2 r + c to 8 f + 4 c + r
{
    alignas(16) static constexpr std::uint8_t places[16] = {0, 2,  4,  6,  1, 3,  5,  7,
                                                            8, 10, 12, 14, 9, 11, 13, 15};
    return hn::LoadDup128(DB(), places);
}
HWY_INLINE VB UnturnPairs() // the same from lanes, to rows: 4 r + 2 f + c to 8 f + 2 r + c
{
    alignas(16) static constexpr std::uint8_t places[16] = {0, 1, 4, 5, 8,  9,  12, 13,
                                                            2, 3, 6, 7, 10, 11, 14, 15};
    return hn::LoadDup128(DB(), places);
}

template <bool kFused>
HWY_INLINE VF Scaled(VI sum, const float* HWY_RESTRICT scale, const float* HWY_RESTRICT offset)
{
    const DF d;
    const VF value = hn::ConvertTo(d, sum), by = hn::Load(d, scale), more = hn::Load(d, offset);
    return kFused ? hn::MulAdd(value, by, more) : hn::Add(hn::Mul(value, by), more);
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
