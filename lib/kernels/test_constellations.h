// SPDX-License-Identifier: GPL-3.0-or-later
// Constellations for tests and benchmarks of the kernels, by label. (Those of users come from Python.)
#pragma once

#include <cmath>
#include <complex>
#include <random>
#include <vector>

namespace softmod
{

using Points = std::vector<std::complex<double>>;

inline Points unit_energy(Points points)
{
    double energy = 0.0;
    for (const auto& point : points)
        energy += std::norm(point) / static_cast<double>(points.size());
    for (auto& point : points)
        point /= std::sqrt(energy);
    return points;
}

// Square QAM of 2^bits points; first bit I, second Q, and so on, Gray, as in 3GPP TS 38.211 5.1.
inline Points square_qam(unsigned bits)
{
    Points points;
    for (unsigned label = 0; label < 1u << bits; ++label) {
        double axis[2] = {0.0, 0.0};
        for (unsigned k = bits; k-- > 0;) {
            const double sign = (label >> (bits - 1 - k)) & 1 ? -1.0 : 1.0;
            const double reach = std::ldexp(1.0, static_cast<int>((bits - 1 - k) / 2));
            axis[k % 2] = sign * (reach - axis[k % 2]);
        }
        points.emplace_back(axis[0], axis[1]);
    }
    return unit_energy(points);
}

// The same points with bit k of the new label at bit position order[k] of the old one.
inline Points reorder_bits(const Points& points, const std::vector<unsigned>& order)
{
    Points result(points.size());
    const auto bits = order.size();
    for (std::size_t label = 0; label < points.size(); ++label) {
        std::size_t renamed = 0;
        for (const unsigned from : order)
            renamed = renamed << 1 | ((label >> (bits - 1 - from)) & 1);
        result[renamed] = points[label];
    }
    return result;
}

inline Points psk(unsigned bits)
{
    Points points(std::size_t{1} << bits);
    for (unsigned i = 0; i < points.size(); ++i)
        points[i ^ (i >> 1)] = std::polar(1.0, 2.0 * M_PI * i / static_cast<double>(points.size()));
    return points;
}

// Levels on the real axis in natural order; labels Gray or natural.
inline Points pam(unsigned bits, bool gray, double first)
{
    Points points(std::size_t{1} << bits);
    for (unsigned i = 0; i < points.size(); ++i)
        points[gray ? i ^ (i >> 1) : i] = first + 2.0 * i;
    return unit_energy(points);
}

// The grid of two sets of levels, all bits of I before those of Q.
inline Points grid(const std::vector<double>& i_levels, const std::vector<double>& q_levels)
{
    Points points;
    for (const double i : i_levels)
        for (const double q : q_levels)
            points.emplace_back(i, q);
    return unit_energy(points);
}

inline Points scattered(unsigned bits, unsigned seed)
{
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0.0, std::sqrt(0.5));
    Points points;
    for (unsigned label = 0; label < 1u << bits; ++label)
        points.emplace_back(normal(random), normal(random));
    return points;
}

inline Points transformed(Points points, std::complex<double> factor, std::complex<double> shift)
{
    for (auto& point : points)
        point = point * factor + shift;
    return points;
}

} // namespace softmod
