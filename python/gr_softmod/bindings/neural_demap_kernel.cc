// SPDX-License-Identifier: GPL-3.0-or-later
// Binds NeuralDemapper, made from its file.
#include "demapper_file.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <stdexcept>
#include <string>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

softmod::DemapperModel model_of(const py::object& model)
{
    if (py::isinstance<py::bytes>(model))
        return softmod::parse_demapper(model.cast<std::string>(), "model");
    return softmod::read_demapper(py::str(model).cast<std::string>());
}

class PyNeuralDemapper
{
public:
    explicit PyNeuralDemapper(const py::object& model) : d_model(model_of(model)) {}

    py::array_t<float> demap(const Array<std::complex<float>>& symbols, float noise_var)
    {
        if (symbols.ndim() != 1)
            throw std::invalid_argument("symbols has " + std::to_string(symbols.ndim()) +
                                        " dimensions; it must have one");
        if (!std::isfinite(noise_var) || !(noise_var > 0))
            throw std::invalid_argument("noise_var is " + std::to_string(noise_var) +
                                        "; it must be positive and finite (E|n|^2 of the complex noise)");
        py::array_t<float> llr(symbols.size() * d_model.demapper.bits_per_symbol());
        const auto* from = symbols.data();
        const auto n = static_cast<std::size_t>(symbols.size());
        auto* to = llr.mutable_data();
        {
            py::gil_scoped_release release;
            d_invalid = d_model.demapper.demap(from, n, noise_var, to);
        }
        return llr;
    }

    py::array_t<std::complex<float>> points(float noise_var) const
    {
        const auto& points = d_model.points_at(noise_var);
        return py::array_t<std::complex<float>>(static_cast<py::ssize_t>(points.size()), points.data());
    }

    unsigned bits_per_symbol() const { return d_model.demapper.bits_per_symbol(); }
    const std::string& hash() const { return d_model.hash; }
    std::size_t invalid_count() const { return d_invalid; }

private:
    softmod::DemapperModel d_model;
    std::size_t d_invalid = 0;
};

} // namespace

void bind_neural_demap(py::module& m)
{
    py::class_<PyNeuralDemapper>(m, "NeuralDemapper",
                                 R"(Symbols to LLRs by a trained network (the C++ kernel).

Args:
    model: path or bytes of a ModelFile of kind "demapper".
Raises:
    ValueError: it cannot be read or is refused; the sentence says why.)")
        .def(py::init<const py::object&>(), py::arg("model"))
        .def("demap", &PyNeuralDemapper::demap, py::arg("symbols"), py::arg("noise_var"),
             "LLRs float32 [N * m] of symbols complex64 [N]; a symbol that is not finite gives 0.")
        .def("points", &PyNeuralDemapper::points, py::arg("noise_var"),
             "What is sent at noise_var: complex64 [M] by label.")
        .def_property_readonly("invalid_count", &PyNeuralDemapper::invalid_count,
                               "Symbols that were not finite in the latest call.")
        .def_property_readonly("hash", &PyNeuralDemapper::hash)
        .def_property_readonly("bits_per_symbol", &PyNeuralDemapper::bits_per_symbol);
}
