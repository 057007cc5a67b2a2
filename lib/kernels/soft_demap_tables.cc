// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_demap_tables.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

unsigned checked_bits(const std::vector<std::complex<double>>& points)
{
    const auto order = points.size();
    if (order < 2 || order > 65536 || (order & (order - 1)) != 0)
        throw std::invalid_argument("a constellation has 2 to 65536 points, a power of two; got " +
                                    std::to_string(order));
    unsigned bits = 0;
    while ((std::size_t{1} << bits) < order)
        ++bits;
    return bits;
}

double checked_peak(const std::vector<std::complex<double>>& points)
{
    double peak = 0.0;
    for (std::size_t label = 0; label < points.size(); ++label) {
        if (!std::isfinite(points[label].real()) || !std::isfinite(points[label].imag()))
            throw std::invalid_argument("constellation point " + std::to_string(label) + " is not finite");
        peak = std::max(peak, std::abs(points[label]));
    }
    if (peak < 1e-6 || peak > 1e6)
        throw std::invalid_argument("the largest constellation point has magnitude " + std::to_string(peak) +
                                    "; it must lie in 1e-6 to 1e6");
    return peak;
}

double coordinate(std::complex<double> point, int axis)
{
    return axis == 0 ? point.real() : point.imag();
}

// The distinct coordinates of the points along an axis; closer than tolerance is the same.
std::vector<double> distinct(const std::vector<std::complex<double>>& points, int axis, double tolerance)
{
    std::vector<double> sorted;
    for (const auto& point : points)
        sorted.push_back(coordinate(point, axis));
    std::sort(sorted.begin(), sorted.end());
    std::vector<double> values;
    for (const double value : sorted)
        if (values.empty() || value - values.back() > tolerance)
            values.push_back(value);
    return values;
}

// Fills both axes if every bit of the label is a function of one coordinate alone and the points fill the
// grid.
bool find_axes(const std::vector<std::complex<double>>& points, unsigned bits, double peak,
               DemapAxis (&axes)[2])
{
    const double tolerance = 4e-7 * peak; // points may have been rounded to float
    std::vector<double> values[2];
    std::vector<std::size_t> index[2]; // by label: which of the distinct coordinates
    for (int axis = 0; axis < 2; ++axis) {
        values[axis] = distinct(points, axis, tolerance);
        for (const auto& point : points) {
            const auto above =
                std::upper_bound(values[axis].begin(), values[axis].end(), coordinate(point, axis));
            index[axis].push_back(static_cast<std::size_t>(above - values[axis].begin()) - 1);
        }
    }
    if (values[0].size() * values[1].size() != points.size())
        return false;
    for (unsigned k = 0; k < bits; ++k) {
        const auto follows = [&](int axis) {
            std::vector<int> bit_at(values[axis].size(), -1);
            for (std::size_t label = 0; label < points.size(); ++label) {
                const int bit = (label >> (bits - 1 - k)) & 1;
                int& seen = bit_at[index[axis][label]];
                if (seen >= 0 && seen != bit)
                    return false;
                seen = bit;
            }
            return true;
        };
        if (follows(0))
            axes[0].bit.push_back(k);
        else if (follows(1))
            axes[1].bit.push_back(k);
        else
            return false;
    }
    for (int axis = 0; axis < 2; ++axis) {
        const auto axis_bits = axes[axis].bit.size();
        if (values[axis].size() != std::size_t{1} << axis_bits)
            return false; // two points share a place
        axes[axis].level.resize(values[axis].size());
        for (std::size_t label = 0; label < points.size(); ++label) {
            std::size_t value = 0;
            for (const unsigned k : axes[axis].bit)
                value = value << 1 | ((label >> (bits - 1 - k)) & 1);
            axes[axis].level[value] = coordinate(points[label], axis);
        }
    }
    return true;
}

} // namespace

DemapTables::DemapTables(const std::vector<std::complex<double>>& points_, DemapMethod method_)
    : method(method_), bits(checked_bits(points_)), points(points_), peak(checked_peak(points_))
{
    separable = find_axes(points, bits, peak, axes);
    flatten_points();
    if (separable)
        flatten_axes();
    paired = separable && axes[0].bit.size() == axes[1].bit.size();
    if (paired) {
        pair_axes();
        fold_axes();
    }
}

void DemapTables::flatten_points()
{
    // A coordinate that no bit depends on is the same for all points and says nothing.
    const double use_re = separable && axes[0].bit.empty() ? 0.0 : 1.0;
    const double use_im = separable && axes[1].bit.empty() ? 0.0 : 1.0;
    const auto energy = [&](std::complex<double> point) {
        return use_re * point.real() * point.real() + use_im * point.imag() * point.imag();
    };
    double least = std::numeric_limits<double>::max();
    for (const auto& point : points)
        least = std::min(least, energy(point));
    for (const auto& point : points) {
        re.push_back(static_cast<float>(use_re * point.real()));
        im.push_back(static_cast<float>(use_im * point.imag()));
        offset.push_back(static_cast<float>(0.5 * (least - energy(point))));
    }
}

void DemapTables::flatten_axes()
{
    for (auto& axis : axes) {
        double least = std::numeric_limits<double>::max();
        for (const double s : axis.level)
            least = std::min(least, s * s);
        for (const double s : axis.level) {
            axis.slope.push_back(static_cast<float>(s));
            axis.offset.push_back(static_cast<float>(0.5 * (least - s * s)));
        }
    }
}

void DemapTables::pair_axes()
{
    const auto levels = axes[0].level.size();
    for (std::size_t v = 0; v < levels; ++v)
        for (const auto& axis : axes) {
            pair_slope.push_back(axis.slope[v]);
            pair_offset.push_back(axis.offset[v]);
        }
    const auto in_order = [&](unsigned step, unsigned start_of_q) {
        for (unsigned k = 0; k < bits / 2; ++k)
            if (axes[0].bit[k] != step * k || axes[1].bit[k] != start_of_q + step * k)
                return false;
        return true;
    };
    if (in_order(2, 1))
        order = Order::alternating;
    else if (in_order(1, bits / 2))
        order = Order::axis_by_axis;
}

void DemapTables::fold_axes()
{
    const auto half = axes[0].level.size() / 2;
    folds = true;
    for (int a = 0; a < 2; ++a) {
        const auto& level = axes[a].level;
        fold_sign[a] = level[0] > 0.0 ? 1.0f : -1.0f;
        for (std::size_t v = 0; v < half; ++v)
            folds &= level[v] * fold_sign[a] > 0.0 && std::abs(level[v] + level[v + half]) <= 4e-7 * peak;
    }
    if (!folds)
        return;
    for (std::size_t v = 0; v <= half; ++v)
        for (int a = 0; a < 2; ++a) {
            const auto& slope = axes[a].slope;
            const auto closer = [](float x, float y) { return std::abs(x) < std::abs(y); };
            const float innermost = *std::min_element(slope.begin(), slope.end(), closer);
            fold_slope.push_back(v < half ? slope[v] * fold_sign[a] : -std::abs(innermost));
            fold_offset.push_back(v < half ? axes[a].offset[v] : 0.0f);
        }
}

} // namespace softmod
