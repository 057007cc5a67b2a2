// SPDX-License-Identifier: GPL-3.0-or-later
// Steps that work byte by byte, and what a frame is turned into bytes by.
// Included by qnet_kernels-inl.h: no include guard, no includes, no namespace of its own.

// ---- byte by byte

template <bool kSigned>
HWY_INLINE VF LoadScaled(const std::uint8_t* bytes, VI zero, VF scale)
{
    const hn::Rebind<std::uint8_t, DI> d;
    const VI value = hn::PromoteTo(DI(), hn::LoadU(d, bytes));
    return hn::Mul(hn::ConvertTo(DF(), kSigned ? hn::Sub(value, zero) : value), scale);
}

template <bool kSigned>
void AddRows(const Step& step, std::size_t count, std::uint8_t* arena)
{
    const Range to(step.to);
    const VI zero_p = hn::Set(DI(), step.from.zero), zero_q = hn::Set(DI(), step.from2.zero);
    const VF scale_p = hn::Set(DF(), step.scale[0]), scale_q = hn::Set(DF(), step.scale[1]);
    for (std::size_t i = 0; i < count; i += kBytes) {
        const auto sum = [&](std::size_t v) SOFTMOD_ATTR {
            const std::size_t at = i + v * kLanes;
            return hn::Add(LoadScaled<kSigned>(arena + step.in + at, zero_p, scale_p),
                           LoadScaled<kSigned>(arena + step.in2 + at, zero_q, scale_q));
        };
        StoreBytes(InOrder(Round(sum(0), sum(1), sum(2), sum(3), to)), arena + step.out + i,
                   std::min(kBytes, count - i));
    }
}

// Of 16 bits each, the products of two neighbours and their sum.
HWY_INLINE VI AddPairs(VI sum, VS a, VS b)
{
#if SOFTMOD_DOT && HWY_TARGET == HWY_AVX3
    return VI{_mm512_dpwssd_epi32(sum.raw, a.raw, b.raw)};
#elif SOFTMOD_DOT && HWY_TARGET == HWY_AVX2
    return VI{_mm256_dpwssd_avx_epi32(sum.raw, a.raw, b.raw)};
#else
    return hn::Add(sum, MultiplyPairs(a, b));
#endif
}

// In integers, see IntegerSum.
void AddIntegers(const Step& step, std::size_t count, std::uint8_t* arena)
{
    const DB d;
    const DI di;
    const Range to(step.to);
    const auto pair_of = [&](const std::int16_t* two) SOFTMOD_ATTR {
        std::int32_t pair;
        std::memcpy(&pair, two, sizeof pair);
        return hn::BitCast(DS(), hn::Set(di, pair));
    };
    const VS high = pair_of(step.sum->high), low = pair_of(step.sum->low);
    const VI start = hn::Set(di, step.sum->start);
    const auto sum_of = [&](VB pairs) SOFTMOD_ATTR { // bytes p, 0, q, 0
        const VS words = hn::BitCast(DS(), pairs);
        return hn::ShiftRight<14>(AddPairs(hn::ShiftRight<12>(AddPairs(start, words, low)), words, high));
    };
    for (std::size_t i = 0; i < count; i += kBytes) {
        const VB p = hn::LoadU(d, arena + step.in + i), q = hn::LoadU(d, arena + step.in2 + i),
                 zero = hn::Zero(d);
        const VB lower = hn::InterleaveLower(d, p, q), upper = hn::InterleaveUpper(d, p, q);
        const VB bytes = ToBytes(
            sum_of(hn::InterleaveLower(d, lower, zero)), sum_of(hn::InterleaveUpper(d, lower, zero)),
            sum_of(hn::InterleaveLower(d, upper, zero)), sum_of(hn::InterleaveUpper(d, upper, zero)), to);
        StoreBytes(bytes, arena + step.out + i, std::min(kBytes, count - i));
    }
}

void Add(const Step& step, std::uint8_t* arena)
{
    const bool fills = step.out_layout != Layout::rows;
    const std::size_t count = step.rows * (fills ? filled(step.channels) : step.channels);
    if (step.sum) {
        AddIntegers(step, count, arena);
        return;
    }
    if (step.from.zero != 0 || step.from2.zero != 0)
        AddRows<true>(step, count, arena);
    else
        AddRows<false>(step, count, arena);
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
        const auto scaled = [&](std::size_t v) SOFTMOD_ATTR {
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
        const auto scaled = [&](std::size_t v) SOFTMOD_ATTR {
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
    const auto add = [&](std::size_t at, auto sum) SOFTMOD_ATTR {
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
