// SPDX-License-Identifier: GPL-3.0-or-later
#include "phase_resolver.h"

#include "test_signals.h"

#include <gtest/gtest.h>

namespace softmod
{
namespace
{

using Bits = std::vector<std::uint8_t>;

Bits random_bits(std::size_t count, unsigned seed = 9)
{
    std::mt19937 random(seed);
    Bits bits(count);
    for (auto& bit : bits)
        bit = random() & 1;
    return bits;
}

Points modulated(const Bits& bits, const Points& points)
{
    unsigned m = 0;
    while ((std::size_t{1} << m) < points.size())
        ++m;
    Points symbols;
    for (std::size_t k = 0; k + m <= bits.size(); k += m) {
        std::size_t label = 0;
        for (unsigned b = 0; b < m; ++b)
            label = label << 1 | bits[k + b];
        symbols.push_back(points[label]);
    }
    return symbols;
}

struct Output {
    Samples symbols;
    std::vector<PhaseResolver::Mark> marks;
};

} // namespace

TEST(PhaseResolver, AWordTakesEveryTurnOffAllThatWasHeld)
{
    const Bits word = random_bits(64);
    for (const auto& points : {Points{1.0, -1.0}, square_qam(2), psk(3), square_qam(4), square_qam(6)}) {
        PhaseResolver any(to_float(points), word, 1000, 0);
        for (unsigned turn = 0; turn < any.symmetry(); ++turn) {
            Points sent = random_symbols(points, 300, 4);
            const Points middle = modulated(word, points), rest = random_symbols(points, 300, 5);
            sent.insert(sent.end(), middle.begin(), middle.end());
            sent.insert(sent.end(), rest.begin(), rest.end());
            Points turned = sent;
            for (auto& symbol : turned)
                symbol *= std::polar(1.0, 2 * M_PI * turn / any.symmetry());
            const Samples in = received(turned, 0.01);
            PhaseResolver resolver(to_float(points), word, 1000, 0);
            Output output;
            resolver.set_locked(true, output.symbols, output.marks);
            in_pieces(in.size(), [&](std::size_t at, std::size_t n) {
                resolver.process(in.data() + at, n, output.symbols, output.marks);
            });
            ASSERT_EQ(output.symbols.size(), sent.size());
            EXPECT_TRUE(resolver.known());
            EXPECT_EQ(resolver.turn(), turn);
            ASSERT_EQ(output.marks.size(), 1u);
            EXPECT_EQ(output.marks[0].symbol, 0u) << "held since the lock";
            for (std::size_t k = 0; k < sent.size(); ++k)
                EXPECT_LT(std::abs(std::complex<double>(output.symbols[k]) - sent[k]), 0.6);
        }
    }
}

TEST(PhaseResolver, WithoutAWordSymbolsAreLetGoAsTheyAre)
{
    PhaseResolver resolver(to_float(square_qam(2)), random_bits(64), 200, 0);
    const Samples in = received(random_symbols(square_qam(2), 20000), 0.01);
    Output output;
    resolver.set_locked(true, output.symbols, output.marks);
    resolver.process(in.data(), in.size(), output.symbols, output.marks);
    EXPECT_EQ(resolver.held(), 200u);
    EXPECT_FALSE(resolver.known());
    resolver.flush(output.symbols);
    EXPECT_EQ(output.symbols, in);
    EXPECT_TRUE(output.marks.empty());
}

TEST(PhaseResolver, ADecoderTurnsOnUntilItSucceeds)
{
    PhaseResolver resolver(to_float(square_qam(2)), {}, 0, 100);
    const Samples in(10, 1.0f);
    Output output;
    resolver.decoded(false, output.marks);
    EXPECT_EQ(resolver.turn(), 0u) << "there is no lock";
    resolver.set_locked(true, output.symbols, output.marks);
    resolver.decoded(false, output.marks);
    resolver.process(in.data(), in.size(), output.symbols, output.marks);
    EXPECT_EQ(resolver.turn(), 1u);
    EXPECT_LT(std::abs(output.symbols[0] - std::complex<float>(0, -1)), 1e-6f);
    const Samples many(90, 1.0f);
    resolver.process(many.data(), many.size(), output.symbols, output.marks);
    EXPECT_EQ(resolver.turn(), 2u) << "no success for a hundred symbols";
    resolver.decoded(true, output.marks);
    for (int k = 0; k < 5; ++k)
        resolver.process(many.data(), many.size(), output.symbols, output.marks);
    EXPECT_EQ(resolver.turn(), 2u);
    EXPECT_TRUE(resolver.known());
    resolver.set_locked(false, output.symbols, output.marks);
    EXPECT_FALSE(resolver.known());
}

TEST(PhaseResolver, RefusesBadConfigurations)
{
    const auto points = to_float(square_qam(2));
    EXPECT_THROW(PhaseResolver(points, {0, 1, 2, 0, 1, 1, 0, 1}, 100, 0), std::invalid_argument);
    EXPECT_THROW(PhaseResolver(points, {0, 1, 1, 0}, 100, 0), std::invalid_argument) << "two symbols";
    EXPECT_THROW(PhaseResolver(points, random_bits(64), 10, 0), std::invalid_argument);
}

} // namespace softmod
