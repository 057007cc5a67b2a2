// SPDX-License-Identifier: GPL-3.0-or-later
#include "settings.h"

#include "keys.h"
#include "unit_energy.h"

#include <cmath>
#include <sstream>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

// The PMT for a log line: its beginning, since a message may hold megabytes.
std::string shown(const pmt::pmt_t& value)
{
    if (pmt::is_uniform_vector(value) || pmt::is_vector(value))
        return "a vector of " + std::to_string(pmt::length(value)) + " items";
    const std::string text = pmt::write_string(value);
    return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

// The value of a pair (key . value); anything else as it is. A dictionary is a pair whose first part is a
// pair.
pmt::pmt_t without_key(const pmt::pmt_t& value, const pmt::pmt_t& key)
{
    return pmt::is_pair(value) && pmt::eq(pmt::car(value), key) ? pmt::cdr(value) : value;
}

} // namespace

float checked_noise_var(double noise_var)
{
    const auto value = static_cast<float>(noise_var);
    if (!std::isfinite(value) || !(value > 0)) {
        std::ostringstream text;
        text << "noise_var is " << noise_var
             << "; it must be positive and finite (E|n|^2 of the complex noise)";
        throw std::invalid_argument(text.str());
    }
    return value;
}

float noise_var_of(const pmt::pmt_t& value)
{
    pmt::pmt_t number = without_key(value, keys::noise_var);
    if (pmt::is_dict(number))
        number = pmt::dict_ref(number, keys::noise_var, pmt::PMT_NIL);
    if (!pmt::is_real(number) && !pmt::is_integer(number) && !pmt::is_uint64(number))
        throw std::invalid_argument("noise_var is " + shown(value) + "; it must be a real number");
    return checked_noise_var(pmt::to_double(number));
}

std::vector<gr_complex> checked_points(const std::vector<gr_complex>& points)
{
    if (points.size() < 2 || points.size() > 65536 || (points.size() & (points.size() - 1)))
        throw std::invalid_argument("the constellation has " + std::to_string(points.size()) +
                                    " points; it must have 2, 4, 8, .. 65536");
    return ::softmod::unit_energy(points);
}

std::vector<gr_complex> points_of(const pmt::pmt_t& value)
{
    const pmt::pmt_t vector = without_key(value, keys::constellation);
    if (pmt::is_c32vector(vector))
        return checked_points(pmt::c32vector_elements(vector));
    if (pmt::is_c64vector(vector)) {
        const auto& points = pmt::c64vector_elements(vector);
        return checked_points({points.begin(), points.end()});
    }
    throw std::invalid_argument("constellation is " + shown(value) +
                                "; it must be a c32vector of points by label");
}

::softmod::DemapMethod checked_method(const std::string& name)
{
    if (name == "exact")
        return ::softmod::DemapMethod::exact;
    if (name == "maxlog")
        return ::softmod::DemapMethod::maxlog;
    throw std::invalid_argument("method is '" + name + "'; it must be 'exact' or 'maxlog'");
}

float checked_scale(float scale)
{
    if (std::isfinite(scale) && scale > 0)
        return scale;
    throw std::invalid_argument("scale is " + std::to_string(scale) + "; it must be positive and finite");
}

std::string bytes_or_path_of(const pmt::pmt_t& value)
{
    const pmt::pmt_t model = without_key(value, keys::model);
    if (pmt::is_symbol(model))
        return pmt::symbol_to_string(model);
    if (pmt::is_u8vector(model)) {
        const auto& bytes = pmt::u8vector_elements(model);
        return {bytes.begin(), bytes.end()};
    }
    throw std::invalid_argument("model is " + shown(value) + "; it must be a path or a u8vector");
}

double checked_symbol_rate(double symbol_rate)
{
    if (!(std::isfinite(symbol_rate) && symbol_rate > 0)) {
        std::ostringstream text;
        text << "symbol_rate is " << symbol_rate << "; it must be positive and finite";
        throw std::invalid_argument(text.str());
    }
    return symbol_rate;
}

} // namespace gr::softmod
