// SPDX-License-Identifier: GPL-3.0-or-later
// Binds the demapper and its gradient as the modem (torch) uses them: arrays of the right dtype and layout,
// spread over threads.
#include "soft_bits.h"
#include "soft_demap_grad.h"
#include "spread.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style>;
using Symbols = Array<std::complex<float>>;
using MaybeFloats = std::optional<Array<float>>;

void check_size(py::ssize_t size, py::ssize_t expected, const char* name)
{
    if (size != expected)
        throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) +
                                    " elements; it must have " + std::to_string(expected));
}

class TrainingDemapper
{
public:
    TrainingDemapper(const Array<std::complex<double>>& points, const std::string& method)
        : d_demapper(points_of(points), method_of_name(method)),
          d_gradient(points_of(points), method_of_name(method))
    {
    }

    std::size_t demap(const Symbols& symbols, const Array<float>& noise_var, const MaybeFloats& priors,
                      Array<float> llr, bool soft, unsigned threads) const
    {
        check_inputs(symbols, noise_var, priors, llr);
        const std::size_t n = symbols.size(), m = d_demapper.bits_per_symbol();
        const auto* y = symbols.data();
        const auto* noise = noise_var.data();
        const auto* prior = priors ? priors->data() : nullptr;
        auto* out = llr.mutable_data();
        const bool per_symbol = noise_var.size() != 1;
        std::atomic<std::size_t> unusable{0};
        py::gil_scoped_release release;
        softmod::spread(n, threads, [&](std::size_t first, std::size_t count) {
            constexpr std::size_t block =
                1024; // whose LLRs are still in the cache when they become soft bits
            for (std::size_t at = first; at < first + count; at += block) {
                const std::size_t some = std::min(block, first + count - at);
                const auto* part = prior ? prior + at * m : nullptr;
                unusable += per_symbol ? d_demapper.demap(y + at, some, noise + at, out + at * m, part)
                                       : d_demapper.demap(y + at, some, *noise, out + at * m, part);
                if (soft)
                    softmod::soft_bits(out + at * m, some * m);
            }
        });
        return unusable;
    }

    bool backward(const Array<float>& grad, const Symbols& symbols, const Array<float>& noise_var,
                  const MaybeFloats& priors, std::optional<Symbols> to_symbols, MaybeFloats to_noise_var,
                  MaybeFloats to_priors, std::optional<Array<std::complex<double>>> to_points,
                  unsigned threads) const
    {
        check_inputs(symbols, noise_var, priors, grad);
        const std::size_t n = symbols.size(), m = d_demapper.bits_per_symbol();
        if (to_symbols)
            check_size(to_symbols->size(), symbols.size(), "to_symbols");
        if (to_noise_var)
            check_size(to_noise_var->size(), symbols.size(), "to_noise_var");
        if (to_priors)
            check_size(to_priors->size(), grad.size(), "to_priors");
        if (to_points)
            check_size(to_points->size(), static_cast<py::ssize_t>(d_gradient.order()), "to_points");
        const softmod::DemapGradients whole{to_symbols ? to_symbols->mutable_data() : nullptr,
                                            to_noise_var ? to_noise_var->mutable_data() : nullptr,
                                            to_priors ? to_priors->mutable_data() : nullptr, nullptr};
        auto* const points = to_points ? to_points->mutable_data() : nullptr;
        const auto* y = symbols.data();
        const auto* noise = noise_var.data();
        const auto* prior = priors ? priors->data() : nullptr;
        const auto* dllr = grad.data();
        const bool per_symbol = noise_var.size() != 1;
        std::atomic<bool> ok{true};
        std::mutex adding;
        py::gil_scoped_release release;
        softmod::spread(n, threads, [&](std::size_t at, std::size_t count) {
            std::vector<std::complex<double>> sums(points ? d_gradient.order() : 0);
            const softmod::DemapGradients out{
                whole.y ? whole.y + at : nullptr, whole.noise_var ? whole.noise_var + at : nullptr,
                whole.priors ? whole.priors + at * m : nullptr, points ? sums.data() : nullptr};
            if (!d_gradient.run(y + at, count, noise + (per_symbol ? at : 0), per_symbol,
                                prior ? prior + at * m : nullptr, dllr + at * m, out))
                ok = false;
            const std::lock_guard lock(adding);
            for (std::size_t i = 0; i < sums.size(); ++i)
                points[i] += sums[i];
        });
        return ok;
    }

private:
    static std::vector<std::complex<double>> points_of(const Array<std::complex<double>>& points)
    {
        return {points.data(), points.data() + points.size()};
    }
    static softmod::DemapMethod method_of_name(const std::string& name)
    {
        if (name != "exact" && name != "maxlog")
            throw std::invalid_argument("method is '" + name + "'; it must be 'exact' or 'maxlog'");
        return name == "exact" ? softmod::DemapMethod::exact : softmod::DemapMethod::maxlog;
    }
    void check_inputs(const Symbols& symbols, const Array<float>& noise_var, const MaybeFloats& priors,
                      const Array<float>& llr) const
    {
        const auto llrs = symbols.size() * static_cast<py::ssize_t>(d_demapper.bits_per_symbol());
        check_size(llr.size(), llrs, "llr");
        if (noise_var.size() != 1)
            check_size(noise_var.size(), symbols.size(), "noise_var");
        if (priors)
            check_size(priors->size(), llrs, "priors");
    }

    softmod::SoftDemapper d_demapper;
    softmod::SoftDemapGradient d_gradient;
};

} // namespace

void bind_soft_demap_grad(py::module& m)
{
    py::class_<TrainingDemapper>(m, "TrainingDemapper",
                                 R"(The demapper and its gradient, for the modem's autograd.

Arrays must be contiguous and of the very dtype (complex64 [n], float32); results go into arrays that the caller
provides; the GIL is released.

Args:
    points: constellation points complex128 [M] by label, M a power of two.
    method: "exact" (log-MAP) or "maxlog".
Raises:
    ValueError: wrong count, a point that is not finite, an unknown method.)")
        .def(py::init<const Array<std::complex<double>>&, const std::string&>(), py::arg("points"),
             py::arg("method"))
        .def("demap", &TrainingDemapper::demap, py::arg("symbols").noconvert(),
             py::arg("noise_var").noconvert(), py::arg("priors").noconvert().none(true),
             py::arg("llr").noconvert(), py::arg("soft"), py::arg("threads") = 1,
             "LLRs, or soft bits, into llr [n, m]; noise_var [1] or [n]. Returns the number of unusable "
             "symbols (their LLRs "
             "are 0).")
        .def(
            "backward", &TrainingDemapper::backward, py::arg("grad").noconvert(),
            py::arg("symbols").noconvert(), py::arg("noise_var").noconvert(),
            py::arg("priors").noconvert().none(true), py::arg("to_symbols").noconvert().none(true),
            py::arg("to_noise_var").noconvert().none(true), py::arg("to_priors").noconvert().none(true),
            py::arg("to_points").noconvert().none(true), py::arg("threads") = 1,
            R"(Gradients of a loss, of which grad [n, m] is that to the LLRs, into the arrays that are not None.

to_noise_var [n] is by symbol, even where noise_var is one for all; to_points complex128 [M] is added to. Returns
False, with results not to be used, where an input is not moderate (not finite, beyond 1e15).)");
}
