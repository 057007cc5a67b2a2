// SPDX-License-Identifier: GPL-3.0-or-later
#include "adaptive_recovery.h"

#include "test_signals.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace softmod
{
namespace
{

const std::vector<CandidateConstellation>& candidates()
{
    static const std::vector<CandidateConstellation> all = {
        {"bpsk", to_float(Points{1.0, -1.0})},
        {"qpsk", to_float(square_qam(2))},
        {"psk8", to_float(psk(3))},
        {"qam16", to_float(square_qam(4))},
        {"qam64", to_float(square_qam(6))},
        {"qam256", to_float(square_qam(8))},
    };
    return all;
}

const ConstellationSearch& shared_search()
{
    static const ConstellationSearch search(candidates());
    return search;
}

Samples symbols_of(std::size_t candidate, std::size_t count, double esn0_db, double frequency = 0.008)
{
    const auto& points = candidates()[candidate].points;
    const Points sent = random_symbols(Points(points.begin(), points.end()), count, 7 + candidate);
    return received(sent, std::pow(10, -esn0_db / 10), frequency, 70 + candidate);
}

void append(Samples& all, const Samples& more)
{
    all.insert(all.end(), more.begin(), more.end());
}

struct Output {
    Samples symbols;
    std::vector<AdaptiveRecovery::Mark> marks;
    std::vector<AdaptiveRecovery::Mark> changes() const
    {
        std::vector<AdaptiveRecovery::Mark> found;
        for (const auto& mark : marks)
            if (mark.changed && mark.locked)
                found.push_back(mark);
        return found;
    }
};

Output run(const Samples& samples, const ConstellationSearch& search = shared_search())
{
    AdaptiveRecovery recovery(search, {});
    Output output;
    recovery.process(samples.data(), samples.size(), output.symbols, output.marks);
    recovery.flush(output.symbols, output.marks);
    return output;
}

} // namespace

TEST(ConstellationSearch, FindsEachConstellationAtTwentyDecibels)
{
    for (std::size_t k = 0; k + 1 < candidates().size(); ++k) {
        const Samples symbols = symbols_of(k, 1024, 20);
        const auto found = shared_search().search(symbols.data(), symbols.size());
        EXPECT_EQ(found.best, k) << candidates()[k].name;
        EXPECT_GT(found.margin, 50);
    }
}

TEST(ConstellationSearch, NoiseAndSilenceAreNone)
{
    for (unsigned seed = 1; seed < 20; ++seed) {
        const Samples noise = noise_alone(1024, seed);
        EXPECT_EQ(shared_search().search(noise.data(), noise.size()).best, ConstellationSearch::NONE);
    }
    const Samples silence(1024);
    EXPECT_EQ(shared_search().search(silence.data(), silence.size()).best, ConstellationSearch::NONE);
}

TEST(ConstellationSearch, PriorsDecideWhereSymbolsDoNotAndRuleOut)
{
    ConstellationSearch search(candidates());
    const Samples symbols = symbols_of(4, 1024, 8); // 64 points or 256: who could tell
    const auto open = search.search(symbols.data(), symbols.size());
    EXPECT_TRUE(open.best == ConstellationSearch::NONE || open.margin < 30) << open.margin;
    const Samples clear = symbols_of(1, 1024, 20);
    search.set_log_priors({-5, -5, -5, -5, -5, -0.1});
    EXPECT_EQ(search.search(clear.data(), clear.size()).best, 1u) << "symbols outweigh the network";
    const double impossible = -std::numeric_limits<double>::infinity();
    search.set_log_priors(std::vector<double>(6, impossible));
    EXPECT_EQ(search.search(clear.data(), clear.size()).best, ConstellationSearch::NONE);
    EXPECT_THROW(search.set_log_priors({0}), std::invalid_argument);
    EXPECT_THROW(search.set_log_priors({0, 0, 0, 0, 0, 1}), std::invalid_argument);
    EXPECT_THROW(search.set_log_priors(std::vector<double>(6, NAN)), std::invalid_argument);
}

TEST(ConstellationSearch, RefusesNoCandidatesAndTwoOfOneName)
{
    EXPECT_THROW(ConstellationSearch({}), std::invalid_argument);
    EXPECT_THROW(ConstellationSearch({candidates()[0], candidates()[0]}), std::invalid_argument);
}

TEST(AdaptiveRecovery, EachBurstIsLockedFromItsFirstSymbolsOn)
{
    Samples all;
    for (const std::size_t k : {0, 1, 2, 3, 4}) {
        append(all, symbols_of(k, 12000, 20));
        append(all, received(Points(3000), 0.01, 0, 90 + k));
    }
    const Output output = run(all);
    EXPECT_EQ(output.symbols.size(), all.size());
    const auto changes = output.changes();
    ASSERT_EQ(changes.size(), 5u);
    for (std::size_t k = 0; k < 5; ++k) {
        EXPECT_EQ(changes[k].constellation, k);
        EXPECT_LE(changes[k].symbol, 15000 * k + 16) << "a lock works backward";
        EXPECT_EQ(changes[k].in_doubt, 0u);
        EXPECT_NEAR(changes[k].frequency, 0.008, 1e-3);
    }
}

TEST(AdaptiveRecovery, AChangeWithoutAPauseIsFoundAndWhatIsInDoubtIsTold)
{
    Samples all;
    for (const std::size_t k : {4, 3, 1, 0, 2})
        append(all, symbols_of(k, 12000, 20));
    const Output output = run(all);
    EXPECT_EQ(output.symbols.size(), all.size());
    const std::size_t sent[] = {4, 3, 1, 0, 2};
    std::size_t burst = 0;
    for (const auto& change : output.changes()) {
        burst = change.symbol / 12000;
        EXPECT_EQ(change.constellation, sent[burst]);
        EXPECT_LE(change.symbol - change.in_doubt, 12000 * burst + 2048) << "what is in doubt reaches back";
        EXPECT_LT(change.symbol - 12000 * burst, 8000u);
    }
    EXPECT_EQ(burst, 4u);
}

TEST(AdaptiveRecovery, PiecesGiveWhatTheWholeGives)
{
    Samples all = symbols_of(2, 5000, 18);
    append(all, symbols_of(3, 5000, 18));
    const Output whole = run(all);
    AdaptiveRecovery recovery(shared_search(), {});
    Output pieces;
    in_pieces(all.size(), [&](std::size_t at, std::size_t n) {
        recovery.process(all.data() + at, n, pieces.symbols, pieces.marks);
    });
    recovery.flush(pieces.symbols, pieces.marks);
    EXPECT_EQ(pieces.symbols, whole.symbols);
    ASSERT_EQ(pieces.marks.size(), whole.marks.size());
    for (std::size_t k = 0; k < whole.marks.size(); ++k) {
        EXPECT_EQ(pieces.marks[k].symbol, whole.marks[k].symbol);
        EXPECT_EQ(pieces.marks[k].constellation, whole.marks[k].constellation);
    }
}

TEST(AdaptiveRecovery, NoiseComesOutAsItIsAndWithoutLock)
{
    const Samples noise = noise_alone(20000);
    const Output output = run(noise);
    EXPECT_EQ(output.symbols, noise);
    EXPECT_TRUE(output.marks.empty());
}

TEST(AdaptiveRecovery, RefusesBadConfigurations)
{
    const auto refused = [](AdaptiveRecoveryConfig config) {
        EXPECT_THROW(AdaptiveRecovery(shared_search(), config), std::invalid_argument);
    };
    refused({1000, 20, 2, 4096});
    refused({128, 20, 2, 4096});
    refused({1024, -1, 2, 4096});
    refused({1024, 20, 0, 4096});
    refused({1024, 20, 2, 512});
}

} // namespace softmod
