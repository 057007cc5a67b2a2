// SPDX-License-Identifier: GPL-3.0-or-later
// One thread, one process, buffers in the L2 cache: our kernel, GNU Radio's in-tree soft decisions and
// liquid-dsp's, in turn within every round. Writes JSON with symbols per second of CPU time to a file
// (liquid-dsp prints to the standard output).
//
//     demap_peers OUT.json [rounds]
#include "simd.h"
#include "soft_demap.h"
#include "test_constellations.h"

#include <gnuradio/digital/constellation.h>
#include <liquid/liquid.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <type_traits>

namespace
{

using softmod::DemapMethod;
using softmod::Points;
using softmod::SoftDemapper;

constexpr std::size_t n = 8192;
constexpr float noise_var = 0.05f;
constexpr double seconds_a_turn = 4e-3;

struct Contestant {
    std::string constellation, implementation, target;
    std::function<void()> work; // on n symbols
    std::size_t symbols = n;
    std::size_t calls = 1; // in a turn
    std::vector<double> rates = {};
};

double cpu_seconds()
{
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double rate(const Contestant& c)
{
    const double start = cpu_seconds();
    for (std::size_t i = 0; i < c.calls; ++i)
        c.work();
    return static_cast<double>(c.symbols * c.calls) / (cpu_seconds() - start);
}

Points apsk16()
{
    // DVB-S2 rate 3/4: 4 points inside 12; the labels do not matter for speed.
    Points points;
    for (int i = 0; i < 4; ++i)
        points.push_back(std::polar(1.0, M_PI / 4 + i * M_PI / 2));
    for (int i = 0; i < 12; ++i)
        points.push_back(std::polar(2.85, M_PI / 12 + i * M_PI / 6));
    return softmod::unit_energy(points);
}

struct Case {
    std::string name;
    Points points;
    modulation_scheme liquid;
};

class Race
{
public:
    explicit Race(std::size_t rounds) : d_rounds(rounds), d_y(n), d_llr(n * 8), d_llr8(n * 8), d_soft(n * 8)
    {
        std::mt19937 random(1);
        std::normal_distribution<float> normal(0.0f, std::sqrt(0.5f));
        for (auto& sample : d_y)
            sample = {normal(random), normal(random)};
    }

    void enter(const Case& c)
    {
        for (const auto& target : softmod::simd_targets()) {
            enter_ours(c, target, DemapMethod::maxlog, false);
            enter_ours(c, target, DemapMethod::exact, false);
            enter_ours(c, target, DemapMethod::maxlog, true);
        }
        enter_in_tree(c, false);
        enter_in_tree(c, true);
        enter_liquid(c);
    }

    void run()
    {
        for (auto& c : d_contestants) { // warm up, and how many calls fill a turn
            softmod::use_simd_target(c.target);
            rate(c);
            c.calls = std::max<std::size_t>(
                1, static_cast<std::size_t>(seconds_a_turn * rate(c) / static_cast<double>(c.symbols)));
        }
        for (std::size_t round = 0; round < d_rounds; ++round)
            for (auto& c : d_contestants) {
                softmod::use_simd_target(c.target);
                c.rates.push_back(rate(c));
            }
    }

    void write(const std::string& path) const
    {
        nlohmann::ordered_json results = {{"rounds", d_rounds}, {"symbols", n}, {"noise_var", noise_var}};
        for (const auto& c : d_contestants) {
            auto rates = c.rates;
            std::sort(rates.begin(), rates.end());
            results["msym_per_s"].push_back({{"constellation", c.constellation},
                                             {"implementation", c.implementation},
                                             {"target", c.target},
                                             {"median", rates[rates.size() / 2] / 1e6},
                                             {"best", rates.back() / 1e6}});
        }
        std::ofstream(path) << results.dump(1) << "\n";
    }

private:
    void enter_ours(const Case& c, const std::string& target, DemapMethod method, bool int8)
    {
        const SoftDemapper demapper(c.points, method);
        const std::string name = std::string("ours, ") +
                                 (method == DemapMethod::exact ? "exact" : "max-log") +
                                 (int8 ? ", int8" : "");
        const auto work = [this, demapper, int8] {
            if (int8)
                demapper.demap_int8(d_y.data(), n, noise_var, 4.0f, d_llr8.data());
            else
                demapper.demap(d_y.data(), n, noise_var, d_llr.data());
        };
        d_contestants.push_back({c.name, name, target, work});
    }

    // What constellation_soft_decoder_cf calls for every sample.
    void enter_in_tree(const Case& c, bool table)
    {
        std::vector<gr_complex> points(c.points.begin(), c.points.end());
        auto constellation = gr::digital::constellation_calcdist::make(points, {}, 4, 1);
        if (table)
            constellation->gen_soft_dec_lut(8, noise_var);
        const std::size_t symbols = table ? n : n / 16;
        const auto work = [this, constellation, symbols] {
            float* out = d_llr.data();
            for (std::size_t i = 0; i < symbols; ++i) {
                const auto bits = constellation->soft_decision_maker(d_y[i]);
                out = std::copy(bits.begin(), bits.end(), out);
            }
        };
        d_contestants.push_back({c.name, table ? "GNU Radio, table" : "GNU Radio",
                                 softmod::simd_targets().front(), work, symbols});
    }

    void enter_liquid(const Case& c)
    {
        std::vector<liquid_float_complex> points(c.points.begin(), c.points.end());
        const std::shared_ptr<std::remove_pointer_t<modem>> demodulator(
            c.liquid == LIQUID_MODEM_ARB
                ? modem_create_arbitrary(points.data(), static_cast<unsigned>(points.size()))
                : modem_create(c.liquid),
            modem_destroy);
        const unsigned m = modem_get_bps(demodulator.get());
        const auto work = [this, demodulator, m] {
            unsigned hard = 0;
            for (std::size_t i = 0; i < n / 4; ++i)
                modem_demodulate_soft(demodulator.get(), d_y[i], &hard, d_soft.data() + i * m);
        };
        d_contestants.push_back({c.name, "liquid-dsp", softmod::simd_targets().front(), work, n / 4});
    }

    std::size_t d_rounds;
    std::vector<std::complex<float>> d_y;
    std::vector<float> d_llr;
    std::vector<std::int8_t> d_llr8;
    std::vector<unsigned char> d_soft;
    std::vector<Contestant> d_contestants;
};

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        std::cerr << "usage: demap_peers OUT.json [rounds]\n";
        return 1;
    }
    Race race(argc > 2 ? static_cast<std::size_t>(std::max(1, std::atoi(argv[2]))) : 15);
    const Case cases[] = {
        {"QPSK", softmod::square_qam(2), LIQUID_MODEM_QPSK},
        {"8PSK", softmod::psk(3), LIQUID_MODEM_PSK8},
        {"16QAM", softmod::square_qam(4), LIQUID_MODEM_QAM16},
        {"16APSK", apsk16(), LIQUID_MODEM_APSK16},
        {"64QAM", softmod::square_qam(6), LIQUID_MODEM_QAM64},
        {"64 arbitrary points", softmod::scattered(6, 7), LIQUID_MODEM_ARB},
        {"256QAM", softmod::square_qam(8), LIQUID_MODEM_QAM256},
    };
    for (const auto& c : cases)
        race.enter(c);
    race.run();
    race.write(argv[1]);
}
