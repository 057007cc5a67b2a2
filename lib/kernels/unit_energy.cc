// SPDX-License-Identifier: GPL-3.0-or-later
#include "unit_energy.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace softmod
{

std::vector<std::complex<float>> unit_energy(std::vector<std::complex<float>> points)
{
    double energy = 0;
    for (std::size_t label = 0; label < points.size(); ++label) {
        const auto& p = points[label];
        if (!std::isfinite(p.real()) || !std::isfinite(p.imag()))
            throw std::invalid_argument("constellation point " + std::to_string(label) + " is (" +
                                        std::to_string(p.real()) + ", " + std::to_string(p.imag()) +
                                        "); it must be finite");
        energy += std::norm(std::complex<double>(p)) / points.size();
    }
    if (!(energy > 0))
        throw std::invalid_argument("the constellation has " + std::to_string(points.size()) +
                                    " points and no energy");
    // Already normalised points keep their bits.
    if (std::abs(energy - 1) > 1e-6)
        for (auto& p : points)
            p = std::complex<float>(std::complex<double>(p) / std::sqrt(energy));
    return points;
}

} // namespace softmod
