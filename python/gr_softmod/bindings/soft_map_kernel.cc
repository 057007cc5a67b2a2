// SPDX-License-Identifier: GPL-3.0-or-later
// Binds SoftMapper.
#include "soft_map.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

class PySoftMapper
{
public:
    explicit PySoftMapper(const Array<std::complex<double>>& points) : d_mapper(points_of(points)) {}

    py::tuple map(const Array<float>& llr)
    {
        const auto m = static_cast<py::ssize_t>(d_mapper.bits_per_symbol());
        if (llr.ndim() != 1 || llr.size() % m != 0)
            throw std::invalid_argument("llr must be one-dimensional and fill whole symbols of " +
                                        std::to_string(m) + " bits; got " + std::to_string(llr.size()) +
                                        " values");
        const auto n = llr.size() / m;
        py::array_t<std::complex<float>> symbols(n);
        py::array_t<float> variance(n);
        auto* symbol_data = symbols.mutable_data();
        auto* variance_data = variance.mutable_data();
        {
            py::gil_scoped_release release;
            d_invalid = d_mapper.map(llr.data(), static_cast<std::size_t>(n), symbol_data, variance_data);
        }
        return py::make_tuple(symbols, variance);
    }

    unsigned bits_per_symbol() const { return d_mapper.bits_per_symbol(); }
    std::size_t order() const { return d_mapper.order(); }
    std::size_t invalid_count() const { return d_invalid; }

private:
    static std::vector<std::complex<double>> points_of(const Array<std::complex<double>>& points)
    {
        if (points.ndim() != 1)
            throw std::invalid_argument("points has " + std::to_string(points.ndim()) +
                                        " dimensions; it must have one");
        return {points.data(), points.data() + points.size()};
    }

    softmod::SoftMapper d_mapper;
    std::size_t d_invalid = 0;
};

} // namespace

void bind_soft_map(py::module& m)
{
    py::class_<PySoftMapper>(m, "SoftMapper", R"(LLRs to expected symbols (the C++ kernel).

symbol = E[s], variance = E|s - E[s]|^2 for independent bits with llr = ln P(1)/P(0).

Args:
    points: constellation points [M] by label, M a power of two.
Raises:
    ValueError: wrong count or a point that is not finite.)")
        .def(py::init<const Array<std::complex<double>>&>(), py::arg("points"))
        .def("map", &PySoftMapper::map, py::arg("llr"),
             "(symbols complex64 [N], variance float32 [N]) of LLRs float32 [N * m]; NaN is taken as 0.")
        .def_property_readonly("invalid_count", &PySoftMapper::invalid_count, "NaN LLRs in the latest call.")
        .def_property_readonly("bits_per_symbol", &PySoftMapper::bits_per_symbol)
        .def_property_readonly("order", &PySoftMapper::order);
}
