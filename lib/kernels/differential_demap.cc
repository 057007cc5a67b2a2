// SPDX-License-Identifier: GPL-3.0-or-later
#include "differential_demap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace softmod
{

namespace
{

constexpr float MINUS_INFINITY = -std::numeric_limits<float>::infinity();

unsigned bits_of(std::size_t order)
{
    unsigned bits = 0;
    while ((std::size_t{1} << bits) < order)
        ++bits;
    if (bits < 1 || bits > 6 || (std::size_t{1} << bits) != order)
        throw std::invalid_argument("differential demapping needs PSK of 2, 4, .. 64 points; got " +
                                    std::to_string(order) + " points");
    return bits;
}

constexpr float LARGEST = 1e30f; // sums of a few of these stay finite

// ln(exp(a) + exp(b))
float log_add(float a, float b)
{
    const float larger = std::max(a, b);
    return larger == MINUS_INFINITY ? larger : larger + std::log1p(std::exp(-std::abs(a - b)));
}

} // namespace

DifferentialDemapper::DifferentialDemapper(const std::vector<std::complex<float>>& points)
    : d_bits(bits_of(points.size())), d_points(points.size()), d_label(points.size()),
      d_before(points.size()), d_now(points.size()), d_turn(points.size())
{
    const std::size_t order = points.size();
    const double step = 6.283185307179586 / static_cast<double>(order);
    std::vector<bool> seen(order);
    for (unsigned label = 0; label < order; ++label) {
        const double steps =
            std::arg(std::complex<double>(points[label]) / std::complex<double>(points[0])) / step;
        const auto turn = static_cast<std::size_t>((std::lround(steps) + static_cast<long>(order)) %
                                                   static_cast<long>(order));
        const bool on_circle =
            std::abs(std::abs(points[label]) - std::abs(points[0])) < 1e-4f * std::abs(points[0]);
        if (!on_circle || !(std::abs(steps - std::round(steps)) < 1e-3) || seen[turn])
            throw std::invalid_argument(
                "differential demapping needs PSK, evenly spaced points on one circle; point " +
                std::to_string(label) + " is not one");
        seen[turn] = true;
        d_points[turn] = points[label];
        d_label[turn] = label;
    }
}

void DifferentialDemapper::demap(const std::complex<float>* y, std::size_t n, float noise_var, float* llr)
{
    const std::size_t order = d_points.size();
    const float scale =
        2 / noise_var; // on a circle -|y - s|^2 / noise_var is 2 Re(y conj(s)) / noise_var and a constant
    for (std::size_t symbol = 0; symbol < n; ++symbol, ++y) {
        const bool known_before = d_known;
        d_known = std::isfinite(y->real()) && std::isfinite(y->imag());
        if (!d_known) {
            llr = std::fill_n(llr, d_bits, 0.0f);
            continue;
        }
        std::swap(d_before, d_now);
        for (std::size_t k = 0; k < order; ++k) {
            const float along = y->real() * d_points[k].real() + y->imag() * d_points[k].imag();
            d_now[k] = std::clamp(scale * along, -LARGEST, LARGEST);
        }
        if (!known_before) {
            llr = std::fill_n(llr, d_bits, 0.0f);
            continue;
        }
        for (std::size_t turn = 0; turn < order; ++turn) {
            float sum = MINUS_INFINITY;
            for (std::size_t k = 0; k < order; ++k)
                sum = log_add(sum, d_before[k] + d_now[(k + turn) % order]);
            d_turn[turn] = sum;
        }
        for (unsigned bit = 0; bit < d_bits; ++bit) {
            float sum[2] = {MINUS_INFINITY, MINUS_INFINITY};
            for (std::size_t turn = 0; turn < order; ++turn) {
                float& one = sum[d_label[turn] >> (d_bits - 1 - bit) & 1];
                one = log_add(one, d_turn[turn]);
            }
            *llr++ = sum[1] - sum[0];
        }
    }
}

} // namespace softmod
