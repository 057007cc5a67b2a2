// SPDX-License-Identifier: GPL-3.0-or-later
// Binds SoftDemapper. Arrays of another dtype or layout are converted on the way in.
#include "simd.h"
#include "soft_demap.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;
using Symbols = Array<std::complex<float>>;

template <typename T>
void check_1d(const Array<T>& array, const char* name)
{
    if (array.ndim() != 1)
        throw std::invalid_argument(std::string(name) + " has " + std::to_string(array.ndim()) +
                                    " dimensions; it must have one");
}

softmod::DemapMethod method_of_name(const std::string& name)
{
    if (name == "exact")
        return softmod::DemapMethod::exact;
    if (name == "maxlog")
        return softmod::DemapMethod::maxlog;
    throw std::invalid_argument("method is '" + name + "'; it must be 'exact' or 'maxlog'");
}

class PySoftDemapper
{
public:
    PySoftDemapper(const Array<std::complex<double>>& points, const std::string& method)
        : d_demapper(points_of(points), method_of_name(method))
    {
    }

    py::array_t<float> demap(const Symbols& symbols, const Array<float>& noise_var,
                             const std::optional<Array<float>>& priors)
    {
        return run<float>(symbols, noise_var, priors, [&](auto noise, float* llr, const float* prior) {
            return d_demapper.demap(symbols.data(), symbols.size(), noise, llr, prior);
        });
    }

    py::array_t<std::int8_t> demap_int8(const Symbols& symbols, const Array<float>& noise_var, float scale,
                                        const std::optional<Array<float>>& priors)
    {
        if (!(std::isfinite(scale) && scale > 0.0f))
            throw std::invalid_argument("scale is " + std::to_string(scale) +
                                        "; it must be positive and finite");
        return run<std::int8_t>(
            symbols, noise_var, priors, [&](auto noise, std::int8_t* llr, const float* prior) {
                return d_demapper.demap_int8(symbols.data(), symbols.size(), noise, scale, llr, prior);
            });
    }

    const softmod::SoftDemapper& kernel() const { return d_demapper; }
    std::size_t invalid_count() const { return d_invalid; }

private:
    static std::vector<std::complex<double>> points_of(const Array<std::complex<double>>& points)
    {
        check_1d(points, "points");
        return {points.data(), points.data() + points.size()};
    }

    template <typename Out, typename Kernel>
    py::array_t<Out> run(const Symbols& symbols, const Array<float>& noise_var,
                         const std::optional<Array<float>>& priors, Kernel&& kernel)
    {
        check_1d(symbols, "symbols");
        const auto n = symbols.size();
        const auto llrs = n * static_cast<py::ssize_t>(d_demapper.bits_per_symbol());
        if (noise_var.ndim() != 0 && (noise_var.ndim() != 1 || noise_var.size() != n))
            throw std::invalid_argument("noise_var must be one number or one for each of the " +
                                        std::to_string(n) + " symbols; got " +
                                        std::to_string(noise_var.size()));
        if (noise_var.ndim() == 0 && !(std::isfinite(*noise_var.data()) && *noise_var.data() > 0.0f))
            throw std::invalid_argument("noise_var is " + std::to_string(*noise_var.data()) +
                                        "; it must be positive and finite (E|n|^2 of the complex noise)");
        if (priors && (priors->ndim() != 1 || priors->size() != llrs))
            throw std::invalid_argument("priors must hold " + std::to_string(llrs) +
                                        " LLRs, one per bit; got " + std::to_string(priors->size()));
        py::array_t<Out> out(llrs);
        Out* llr = out.mutable_data();
        const float* prior = priors ? priors->data() : nullptr;
        const float* noise = noise_var.data();
        const bool per_symbol = noise_var.ndim() == 1;
        std::size_t invalid = 0;
        {
            py::gil_scoped_release release;
            invalid = per_symbol ? kernel(noise, llr, prior) : kernel(*noise, llr, prior);
        }
        d_invalid = invalid;
        return out;
    }

    softmod::SoftDemapper d_demapper;
    std::size_t d_invalid = 0;
};

} // namespace

void bind_soft_demap(py::module& m)
{
    py::class_<PySoftDemapper>(m, "SoftDemapper", R"(Symbols to log-likelihood ratios (the C++ kernel).

llr[i * m + k] = ln P(b_k = 1 | y_i) - ln P(b_k = 0 | y_i), most significant bit of the label first.

Args:
    points: constellation points [M] by label, M a power of two.
    method: "exact" (log-MAP) or "maxlog".
Raises:
    ValueError: wrong count, a point that is not finite, an unknown method.)")
        .def(py::init<const Array<std::complex<double>>&, const std::string&>(), py::arg("points"),
             py::arg("method") = "exact")
        .def("demap", &PySoftDemapper::demap, py::arg("symbols"), py::arg("noise_var"),
             py::arg("priors") = py::none(), R"(LLRs, float32 [N * m], of symbols complex64 [N].

noise_var is E|n|^2 of the complex noise, one number or float32 [N]; priors are LLRs float32 [N * m], and the
output then is a posteriori. Every output is finite; see invalid_count.)")
        .def("demap_int8", &PySoftDemapper::demap_int8, py::arg("symbols"), py::arg("noise_var"),
             py::arg("scale"), py::arg("priors") = py::none(),
             "round(llr * scale), saturated to [-127, 127], int8 [N * m]; else as demap.")
        .def_property_readonly(
            "invalid_count", &PySoftDemapper::invalid_count,
            "Unusable symbols in the latest call: those with a sample that is not finite or a "
            "noise_var that is not positive and finite (their LLRs are 0), or with a NaN prior "
            "(taken as 0).")
        .def_property_readonly("bits_per_symbol",
                               [](const PySoftDemapper& d) { return d.kernel().bits_per_symbol(); })
        .def_property_readonly("order", [](const PySoftDemapper& d) { return d.kernel().order(); })
        .def_property_readonly(
            "separable", [](const PySoftDemapper& d) { return d.kernel().separable(); },
            "Whether each bit belongs to one axis, so that the axes are worked one by one.");
    m.def("simd_target", &softmod::simd_target, "The instruction set the kernels run on.");
    m.def("simd_targets", &softmod::simd_targets,
          "Those this build and CPU have, best first; the last is generic.");
    m.def("use_simd_dot_products", &softmod::use_simd_dot_products, py::arg("use"),
          "For tests: whether kernels made from now on use the CPU's dot products of bytes, where it has "
          "them.");
    m.def("use_simd_target", &softmod::use_simd_target, py::arg("name"),
          "Run the kernels on that instruction set from now on (for tests); ValueError if it is not there.");
}
