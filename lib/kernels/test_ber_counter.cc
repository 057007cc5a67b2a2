// SPDX-License-Identifier: GPL-3.0-or-later
#include "ber_counter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using softmod::BerCounter;
using softmod::BerCounts;
using softmod::KnownSequence;
using softmod::rate_of;
using Bits = std::vector<std::uint8_t>;

namespace
{

Bits repeated(const KnownSequence& sequence, std::size_t n, std::uint64_t skip = 0)
{
    auto position = sequence.start();
    for (std::uint64_t i = 0; i < skip; ++i)
        position = sequence.next(position);
    Bits bits;
    for (; bits.size() < n; position = sequence.next(position))
        bits.push_back(sequence.bit(position));
    return bits;
}

Bits random_bits(std::size_t n, unsigned seed = 1)
{
    std::mt19937 random(seed);
    Bits bits(n);
    for (auto& bit : bits)
        bit = random() & 1;
    return bits;
}

std::size_t flip(Bits& bits, double rate, unsigned seed = 1)
{
    std::mt19937 random(seed);
    std::bernoulli_distribution wrong(rate);
    std::size_t flips = 0;
    for (auto& bit : bits) {
        const bool flipped = wrong(random);
        bit ^= flipped;
        flips += flipped;
    }
    return flips;
}

Bits& operator+=(Bits& a, const Bits& b)
{
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

BerCounter counted(const KnownSequence& sequence, const Bits& bits, std::uint64_t frame_bits = 0)
{
    BerCounter counter(sequence, frame_bits);
    counter.count(bits.data(), bits.size());
    counter.finish();
    return counter;
}

struct Named {
    const char* name;
    KnownSequence sequence;
};

const Named sequences[] = {
    {"prbs9", KnownSequence::prbs(9)},
    {"prbs15", KnownSequence::prbs(15)},
    {"prbs23", KnownSequence::prbs(23)},
    {"prbs31", KnownSequence::prbs(31)},
    {"given", KnownSequence::of_bits(random_bits(1000, 8))},
    {"long", KnownSequence::of_bits(random_bits(300'000, 9))},
    {"short", KnownSequence::of_bits({1, 1, 0, 1, 0})},
    {"repeating", KnownSequence::of_bits([] {
         Bits bits;
         for (int i = 0; i < 50; ++i)
             bits += {1, 1, 0, 1, 0, 0, 0};
         return bits;
     }())},
    {"half_zero", KnownSequence::of_bits([] {
         Bits bits(1000);
         bits += random_bits(1000, 6);
         return bits;
     }())},
};

class EverySequence : public testing::TestWithParam<Named>
{
};

} // namespace

INSTANTIATE_TEST_SUITE_P(BerCounter, EverySequence, testing::ValuesIn(sequences),
                         [](const auto& info) { return info.param.name; });

TEST(KnownSequence, PrbsHasItsPeriodAndFollowsItsPolynomial)
{
    const std::pair<unsigned, unsigned> taps[] = {{9, 5}, {15, 14}, {23, 18}, {31, 28}};
    for (const auto& [stages, tap] : taps) {
        const auto sequence = KnownSequence::prbs(stages);
        EXPECT_EQ(sequence.period(), (1ull << stages) - 1);
        const auto bits = repeated(sequence, 2000);
        for (std::size_t i = stages; i < bits.size(); ++i)
            ASSERT_EQ(bits[i], bits[i - stages] ^ bits[i - tap]);
    }
    for (unsigned stages : {9u, 15u, 23u}) { // every state but zero comes once
        const auto sequence = KnownSequence::prbs(stages);
        auto position = sequence.start();
        std::uint64_t steps = 0, ones = 0;
        do {
            ones += sequence.bit(position);
            position = sequence.next(position);
            ++steps;
        } while (position != sequence.start());
        EXPECT_EQ(steps, sequence.period());
        EXPECT_EQ(ones, 1ull << (stages - 1));
    }
}

TEST_P(EverySequence, PreviousUndoesNext)
{
    const auto& sequence = GetParam().sequence;
    auto position = sequence.start();
    for (int i = 0; i < 3000; ++i) {
        const auto next = sequence.next(position);
        ASSERT_EQ(sequence.previous(next), position);
        position = next;
    }
}

TEST_P(EverySequence, CountsErrorsExactlyFromAnywhereInEitherPolarity)
{
    const auto& sequence = GetParam().sequence;
    for (const std::uint64_t skip : {0, 1, 777, 4321})
        for (const bool inverted : {false, true})
            for (const double rate : {0.0, 1e-3, 0.05, 0.15}) {
                auto bits = repeated(sequence, 40'000, skip);
                const auto sent = bits;
                flip(bits, rate, 7 + skip);
                if (inverted)
                    for (auto& bit : bits)
                        bit ^= 1;
                const auto counter = counted(sequence, bits);
                ASSERT_TRUE(counter.synced()) << skip << ' ' << rate;
                EXPECT_EQ(counter.inverted(), inverted);
                EXPECT_EQ(counter.slips(), 0u);
                const auto n = counter.counts().bits;
                std::uint64_t errors = 0;
                for (std::size_t i = bits.size() - n; i < bits.size(); ++i)
                    errors += bits[i] ^ sent[i] ^ inverted;
                EXPECT_EQ(counter.counts().errors, errors);
                EXPECT_GE(n, rate < 0.1 ? 38'000u : 30'000u);
            }
}

TEST(BerCounter, FindsAndHoldsAnErrorRateOfATwentyPercent)
{
    for (unsigned stages : {9u, 15u, 23u, 31u}) {
        auto bits = repeated(KnownSequence::prbs(stages), 400'000);
        flip(bits, 0.2, stages);
        const auto counter = counted(KnownSequence::prbs(stages), bits);
        EXPECT_EQ(counter.slips(), 0u) << stages;
        EXPECT_GT(counter.counts().bits, 100'000u) << stages;
        EXPECT_NEAR(rate_of(counter.counts().errors, counter.counts().bits).value, 0.2, 0.005) << stages;
    }
}

TEST_P(EverySequence, NeverFindsItselfInRandomBitsOrAConstant)
{
    EXPECT_FALSE(counted(GetParam().sequence, random_bits(200'000)).synced());
    EXPECT_FALSE(counted(GetParam().sequence, Bits(5000, 0)).synced());
    EXPECT_FALSE(counted(GetParam().sequence, Bits(5000, 1)).synced());
}

TEST_P(EverySequence, ASlipDoesNotCountAsErrors)
{
    const auto& sequence = GetParam().sequence;
    for (const int slip : {-1, 1, 3}) {
        auto bits = repeated(sequence, 30'000, 100);
        bits += repeated(sequence, 30'000, 30'100 + slip);
        const auto counter = counted(sequence, bits);
        ASSERT_TRUE(counter.synced());
        EXPECT_EQ(counter.slips(), 1u) << slip;
        EXPECT_EQ(counter.counts().errors, 0u) << slip;
        EXPECT_GT(counter.counts().bits, 57'000u);
    }
}

TEST(BerCounter, ATurnOfPolarityIsASlip)
{
    const auto sequence = KnownSequence::prbs(15);
    auto bits = repeated(sequence, 20'000);
    for (std::size_t i = 10'000; i < bits.size(); ++i)
        bits[i] ^= 1;
    const auto counter = counted(sequence, bits);
    EXPECT_TRUE(counter.inverted());
    EXPECT_EQ(counter.slips(), 1u);
    EXPECT_EQ(counter.counts().errors, 0u);
}

TEST_P(EverySequence, ABurstCountsAsItsErrors)
{
    const auto& sequence = GetParam().sequence;
    auto bits = repeated(sequence, 60'000);
    const auto sent = bits;
    const auto burst = random_bits(2000);
    std::copy(burst.begin(), burst.end(), bits.begin() + 30'000);
    std::size_t errors = 0;
    for (std::size_t i = 0; i < bits.size(); ++i)
        errors += bits[i] ^ sent[i];
    const auto counter = counted(sequence, bits);
    EXPECT_EQ(counter.slips(), 0u);
    EXPECT_EQ(counter.counts().errors, errors);
}

TEST(BerCounter, FramesOfGivenBitsAreTheRepetitions)
{
    const auto sequence = KnownSequence::of_bits(random_bits(1000));
    auto bits = repeated(sequence, 100'000, 400); // frames begin at 600, 1600, ..
    for (const std::size_t at : {50'700, 50'800, 60'600, 71'599})
        bits[at] ^= 1;
    const auto counts = counted(sequence, bits).counts();
    EXPECT_EQ(counts.frames,
              99u); // found after 320 bits, in the middle of the first; the last one is not whole
    EXPECT_EQ(counts.frame_errors, 3u);
    EXPECT_EQ(counts.errors, 4u);
    EXPECT_EQ(counted(sequence, bits, 250).counts().frame_errors, 4u - 1u);
    EXPECT_EQ(counted(sequence, bits, 5000).counts().frame_errors, 3u);
}

TEST(BerCounter, FramesOfAPrbsBeginWhereItIsFound)
{
    auto bits = repeated(KnownSequence::prbs(23), 320 + 50'000);
    bits[320 + 1000] ^= 1;
    bits[320 + 9999] ^= 1;
    const auto counts = counted(KnownSequence::prbs(23), bits, 1000).counts();
    EXPECT_EQ(counts.frames, 50u);
    EXPECT_EQ(counts.frame_errors, 2u);
    EXPECT_EQ(counted(KnownSequence::prbs(23), bits).counts().frames, 0u);
}

TEST(BerCounter, ASlipBreaksOneFrame)
{
    const auto sequence = KnownSequence::of_bits(random_bits(1000));
    auto bits = repeated(sequence, 30'500);
    bits += repeated(sequence, 30'000, 30'500 + 7);
    const auto counts = counted(sequence, bits).counts();
    EXPECT_EQ(counts.frame_errors, 1u);
    EXPECT_EQ(counts.errors, 0u);
}

TEST(BerCounter, PiecesGiveWhatTheWholeGives)
{
    const auto sequence = KnownSequence::prbs(9);
    auto bits = repeated(sequence, 20'000);
    flip(bits, 0.01);
    bits += repeated(sequence, 10'000, 5);
    const auto whole = counted(sequence, bits, 100);
    BerCounter pieces(sequence, 100);
    for (std::size_t i = 0, step = 1; i < bits.size(); i += step, step = step * 5 % 613 + 1)
        pieces.count(&bits[i], std::min(step, bits.size() - i));
    pieces.finish();
    EXPECT_EQ(pieces.counts().bits, whole.counts().bits);
    EXPECT_EQ(pieces.counts().errors, whole.counts().errors);
    EXPECT_EQ(pieces.counts().frames, whole.counts().frames);
    EXPECT_EQ(pieces.counts().frame_errors, whole.counts().frame_errors);
}

TEST(BerCounter, ResetForgets)
{
    const auto bits = repeated(KnownSequence::prbs(9), 5000);
    auto counter = counted(KnownSequence::prbs(9), bits);
    counter.reset();
    EXPECT_FALSE(counter.synced());
    EXPECT_EQ(counter.counts().bits, 0u);
    counter.count(bits.data(), bits.size());
    EXPECT_TRUE(counter.synced());
}

TEST(BerCounter, RefusesWhatItCannotUse)
{
    EXPECT_THROW(KnownSequence::prbs(10), std::invalid_argument);
    EXPECT_THROW(KnownSequence::of_bits({}), std::invalid_argument);
    EXPECT_THROW(KnownSequence::of_bits({0, 1, 2}), std::invalid_argument);
    EXPECT_THROW(BerCounter(KnownSequence::of_bits(Bits(1000)), 300), std::invalid_argument);
    EXPECT_THROW(BerCounter(KnownSequence::of_bits(Bits(1000)), 1500), std::invalid_argument);
}

// Values of scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
TEST(RateOf, IsWilsonsInterval)
{
    const struct {
        std::uint64_t events, trials;
        double low, high;
    } cases[] = {
        {0, 1000, 0, 0.003826757}, {3, 1000, 0.001020784, 0.008783014}, {1000, 1000, 0.996173243, 1}};
    for (const auto& c : cases) {
        const auto rate = rate_of(c.events, c.trials);
        EXPECT_DOUBLE_EQ(rate.value, double(c.events) / c.trials);
        EXPECT_NEAR(rate.low, c.low, 1e-8);
        EXPECT_NEAR(rate.high, c.high, 1e-8);
    }
    EXPECT_TRUE(std::isnan(rate_of(0, 0).value));
    EXPECT_EQ(rate_of(0, 0).low, 0);
    EXPECT_EQ(rate_of(0, 0).high, 1);
}

TEST(RateOf, CoversTheTruthAboutNineteenTimesInTwenty)
{
    std::mt19937 random(3);
    for (const double p : {0.5, 0.01, 0.001}) {
        std::binomial_distribution<int> errors(20'000, p);
        int covered = 0;
        for (int i = 0; i < 2000; ++i) {
            const auto rate = rate_of(errors(random), 20'000);
            covered += rate.low <= p && p <= rate.high;
        }
        EXPECT_NEAR(covered / 2000.0, 0.95, 0.02) << p;
    }
}
