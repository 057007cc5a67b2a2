// SPDX-License-Identifier: GPL-3.0-or-later
// The sums in Highway: this file is compiled once for every instruction set.
//
// A frame is worked in blocks whose samples, powers and phases stay in the first cache, behind the 64 of each
// before them; several passes over a block, each with as many sums as registers hold.
#include "frame_features_kernels.h"
#include "simd.h"
#include "simd_config.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "frame_features_simd.cc"
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
constexpr std::size_t kBlock = 256;
constexpr std::size_t kFlush = kLanes / 4; // blocks whose sums stay in float32: 64 samples of a lane

struct Z {
    V re, im;
};
HWY_INLINE Z Square(Z a)
{
    const V cross = hn::Mul(a.re, a.im);
    return {hn::MulSub(a.re, a.re, hn::Mul(a.im, a.im)), hn::Add(cross, cross)};
}
HWY_INLINE Z Times(Z a, Z b)
{
    return {hn::MulSub(a.re, b.re, hn::Mul(a.im, b.im)), hn::MulAdd(a.re, b.im, hn::Mul(a.im, b.re))};
}
HWY_INLINE Z TimesConj(Z a, Z b)
{
    return {hn::MulAdd(a.re, b.re, hn::Mul(a.im, b.im)), hn::MulSub(a.im, b.re, hn::Mul(a.re, b.im))};
}
HWY_INLINE Z Scale(Z a, V by)
{
    return {hn::Mul(a.re, by), hn::Mul(a.im, by)};
}

// Values of a block behind the 64 before it: sample i at [i], from -64 on.
class Track
{
public:
    Track() // zeros before the frame: their products are zero
    {
        for (std::size_t i = 0; i < longest_lag; i += kLanes)
            hn::Store(hn::Zero(D()), D(), d_data + i);
    }
    float* at(std::size_t i) { return d_data + longest_lag + i; }
    const float* before(std::size_t i, std::size_t lag) const { return d_data + longest_lag + i - lag; }
    HWY_INLINE void next()
    {
        for (std::size_t i = 0; i < longest_lag; i += kLanes)
            hn::Store(hn::Load(D(), d_data + kBlock + i), D(), d_data + i);
    }

private:
    HWY_ALIGN float d_data[longest_lag + kBlock];
};

struct ComplexTrack {
    Track re, im;
    HWY_INLINE void store(std::size_t i, Z z)
    {
        hn::StoreU(z.re, D(), re.at(i));
        hn::StoreU(z.im, D(), im.at(i));
    }
    HWY_INLINE Z load(std::size_t i, std::size_t lag = 0) const
    {
        return {hn::LoadU(D(), re.before(i, lag)), hn::LoadU(D(), im.before(i, lag))};
    }
    void next()
    {
        re.next();
        im.next();
    }
};

// Sums of vectors in memory, between passes.
struct VectorSums {
    HWY_ALIGN float data[sum_count][kLanes];
    HWY_ALIGN float peak[kLanes];

    VectorSums()
    {
        for (std::size_t s = 0; s < sum_count; ++s)
            set(s, hn::Zero(D()));
        hn::Store(hn::Zero(D()), D(), peak);
    }
    HWY_INLINE V get(std::size_t at) const { return hn::Load(D(), data[at]); }
    HWY_INLINE void set(std::size_t at, V v) { hn::Store(v, D(), data[at]); }

    void flush(FeatureSums& all)
    {
        for (std::size_t s = 0; s < sum_count; ++s) {
            all.sums[s] += static_cast<double>(hn::GetLane(hn::SumOfLanes(D(), get(s))));
            set(s, hn::Zero(D()));
        }
    }
};

// kSums of the sums, in registers as long as it lives.
template <std::size_t kFirst, std::size_t kSums>
class Held
{
public:
    explicit HWY_INLINE Held(VectorSums& home) : d_home(home)
    {
        for (std::size_t s = 0; s < kSums; ++s)
            d_sum[s] = home.get(kFirst + s);
    }
    HWY_INLINE ~Held()
    {
        for (std::size_t s = 0; s < kSums; ++s)
            d_home.set(kFirst + s, d_sum[s]);
    }
    HWY_INLINE void add(std::size_t at, V v) { d_sum[at - kFirst] = hn::Add(d_sum[at - kFirst], v); }
    HWY_INLINE void add(std::size_t at, Z z)
    {
        add(at, z.re);
        add(at + 1, z.im);
    }
    HWY_INLINE void add_product(std::size_t at, V a, V b)
    {
        d_sum[at - kFirst] = hn::MulAdd(a, b, d_sum[at - kFirst]);
    }
    HWY_INLINE void add_scaled(std::size_t at, Z z, V by)
    {
        add_product(at, z.re, by);
        add_product(at + 1, z.im, by);
    }
    HWY_INLINE void add_conj_product(std::size_t at, Z a, Z b)
    {
        V& re = d_sum[at - kFirst];
        V& im = d_sum[at + 1 - kFirst];
        re = hn::MulAdd(a.im, b.im, hn::MulAdd(a.re, b.re, re));
        im = hn::NegMulAdd(a.re, b.im, hn::MulAdd(a.im, b.re, im));
    }

private:
    VectorSums& d_home;
    V d_sum[kSums];
};

struct Block {
    ComplexTrack x, w, v[3];
    Track p;
    VectorSums sums;

    void moments(const float* samples, std::size_t count, const float* mean, float gain)
    {
        const D d;
        const V mean_i = hn::Set(d, mean[0]), mean_q = hn::Set(d, mean[1]), g = hn::Set(d, gain);
        Held<sum_x, sum_limited - sum_x> held(sums);
        V peak = hn::Load(d, sums.peak);
        for (std::size_t i = 0; i < count; i += kLanes) {
            V re, im;
            hn::LoadInterleaved2(d, samples + 2 * i, re, im);
            const Z z{hn::Mul(hn::Sub(re, mean_i), g), hn::Mul(hn::Sub(im, mean_q), g)};
            const V power = hn::MulAdd(z.re, z.re, hn::Mul(z.im, z.im));
            x.store(i, z);
            hn::StoreU(power, d, p.at(i));
            const Z x2 = Square(z), x4 = Square(x2);
            const V pp = hn::Mul(power, power);
            held.add(sum_x, z);
            peak = hn::Max(peak, power);
            held.add(sum_m20, x2);
            held.add(sum_m40, x4);
            held.add_scaled(sum_m41, x2, power);
            held.add(sum_m60, Times(x4, x2));
            held.add_scaled(sum_m61, x4, power);
            held.add_scaled(sum_m62, x2, pp);
            held.add(sum_m42, pp);
            held.add_product(sum_m63, pp, power);
            // Both shares from one division.
            const V one = hn::Set(d, 1.0f);
            const V four = hn::MulAdd(hn::Set(d, 4.0f), power, one);
            const V sixty_four = hn::MulAdd(hn::Set(d, 64.0f), power, one);
            const V both = hn::Div(one, hn::Mul(four, sixty_four));
            held.add_product(sum_low_4, both, sixty_four);
            held.add_product(sum_low_64, both, four);
        }
        hn::Store(peak, d, sums.peak);
    }

    void phases(std::size_t count)
    {
        const D d;
        Held<sum_a, 2> amplitude(sums);
        Held<sum_limited, 8> held(sums);
        for (std::size_t i = 0; i < count; i += kLanes) {
            const V power = hn::LoadU(d, p.at(i));
            const V a = hn::Sqrt(hn::Add(power, hn::Set(d, tiny)));
            amplitude.add(sum_a, a);
            amplitude.add_product(sum_ap, a, power);
            const Z w1 = Scale(x.load(i), hn::Div(hn::Set(d, 1.0f), a));
            w.store(i, w1);
            Z wq = w1;
            for (std::size_t q = 0; q < 3; ++q) {
                wq = Square(wq);
                const Z vq = Scale(wq, a);
                held.add(sum_limited + 2 * q, vq);
                v[q].store(i, vq);
            }
            held.add_scaled(sum_limited + 6, Square(wq), a);
        }
    }

    void lags(std::size_t count)
    {
        Held<sum_lag, 12> held(sums);
        for (std::size_t i = 0; i < count; i += kLanes) {
            const Z z = x.load(i);
            for (std::size_t k = 0; k < 6; ++k)
                held.add_conj_product(sum_lag + 2 * k, z, x.load(i, signal_lags[k]));
        }
    }

    void turns(std::size_t count)
    {
        Held<sum_turn_1, 10> held(sums);
        for (std::size_t i = 0; i < count; i += kLanes) {
            const Z z = w.load(i);
            const Z u1 = TimesConj(z, w.load(i, turn_lags[0])), u1x2 = Square(u1);
            const Z u4 = TimesConj(z, w.load(i, turn_lags[1]));
            held.add(sum_turn_1, u1);
            held.add(sum_turn_1 + 2, u1x2);
            held.add(sum_turn_1 + 4, Square(u1x2));
            held.add(sum_turn_4, u4);
            held.add(sum_turn_4 + 2, Square(u4));
        }
    }

    void lines(std::size_t count)
    {
        const D d;
        Held<sum_line, 16> held(sums);
        for (std::size_t i = 0; i < count; i += kLanes) {
            for (std::size_t q = 0; q < 3; ++q) {
                const Z z = v[q].load(i);
                for (std::size_t k = 0; k < 2; ++k)
                    held.add_conj_product(sum_line + 4 * q + 2 * k, z, v[q].load(i, line_lags[k]));
            }
            const V power = hn::LoadU(d, p.at(i));
            for (std::size_t k = 0; k < 4; ++k)
                held.add_product(sum_power + k, power, hn::LoadU(d, p.before(i, power_lags[k])));
        }
    }

    void next()
    {
        x.next();
        w.next();
        p.next();
        for (auto& track : v)
            track.next();
    }
};

void FeatureSumsOf(const float* x, std::size_t n, const float* mean, float gain, FeatureSums& all)
{
    Block block;
    std::size_t padding = 0;
    for (std::size_t at = 0, blocks = 1; at < n; at += kBlock, ++blocks) {
        const std::size_t held = std::min(kBlock, n - at);
        const std::size_t count = (held + kLanes - 1) / kLanes * kLanes;
        const float* samples = x + 2 * at;
        HWY_ALIGN float padded[2 * kBlock];
        if (count != held) {
            // Behind the end: samples that are zero once the mean is taken away.
            std::memcpy(padded, samples, 2 * held * sizeof(float));
            for (std::size_t i = 2 * held; i < 2 * count; ++i)
                padded[i] = mean[i % 2];
            samples = padded;
            padding = count - held;
        }
        block.moments(samples, count, mean, gain);
        block.phases(count);
        block.lags(count);
        block.turns(count);
        block.lines(count);
        block.next();
        if (blocks % kFlush == 0 || at + kBlock >= n)
            block.sums.flush(all);
    }
    // What the padding added: its amplitude is the root of tiny, its shares of low power are 1.
    all.sums[sum_a] -= static_cast<double>(padding) * 1e-6;
    all.sums[sum_low_4] -= static_cast<double>(padding);
    all.sums[sum_low_64] -= static_cast<double>(padding);
    all.peak = hn::GetLane(hn::MaxOfLanes(D(), hn::Load(D(), block.sums.peak)));
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

FeatureKernel FeaturesOfTarget()
{
#if HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SCALAR
    return feature_sums_generic;
#else
    return FeatureSumsOf;
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
HWY_EXPORT(FeaturesOfTarget);
}

FeatureKernel feature_kernel()
{
    return simd_is_generic() ? feature_sums_generic : HWY_DYNAMIC_DISPATCH(FeaturesOfTarget)();
}

} // namespace softmod
#endif
