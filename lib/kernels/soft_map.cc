// SPDX-License-Identifier: GPL-3.0-or-later
#include "soft_map.h"

#include "soft_map_kernels.h"

namespace softmod
{

MapTables::MapTables(const std::vector<std::complex<double>>& points_)
    : DemapTables(points_, DemapMethod::exact)
{
    for (const auto& point : points) {
        point_re.push_back(static_cast<float>(point.real()));
        point_im.push_back(static_cast<float>(point.imag()));
    }
}

SoftMapper::SoftMapper(const std::vector<std::complex<double>>& points)
    : d_tables(std::make_shared<const MapTables>(points))
{
}

SoftMapper::SoftMapper(const std::vector<std::complex<float>>& points)
    : SoftMapper(std::vector<std::complex<double>>(points.begin(), points.end()))
{
}

unsigned SoftMapper::bits_per_symbol() const
{
    return d_tables->bits;
}
std::size_t SoftMapper::order() const
{
    return d_tables->points.size();
}

std::size_t SoftMapper::map(const float* llr, std::size_t n_symbols, std::complex<float>* symbols,
                            float* variance) const
{
    return map_kernel()(*d_tables, {llr, n_symbols, symbols, variance});
}

} // namespace softmod
