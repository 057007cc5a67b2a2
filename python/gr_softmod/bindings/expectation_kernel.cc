// SPDX-License-Identifier: GPL-3.0-or-later
// Binds Expectation as the modem (torch) uses it, spread over threads.
#include "expectation.h"
#include "spread.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

class PyExpectation
{
public:
    PyExpectation(const Array<float>& table, std::vector<std::uint32_t> bits, std::uint32_t per_symbol)
        : d_table_size(table.size()), d_per_symbol(per_symbol),
          d_expectation({table.data(), table.data() + table.size()}, std::move(bits), per_symbol)
    {
    }

    void run(const Array<float>& probabilities, Array<float> out, unsigned part, unsigned threads) const
    {
        const std::size_t n = symbols_of(probabilities, out, part);
        const auto* p = probabilities.data();
        auto* to = out.mutable_data() + part;
        py::gil_scoped_release release;
        softmod::spread(n, threads, [&](std::size_t at, std::size_t count) {
            d_expectation.run(p + at * d_per_symbol, count, to + 2 * at, 2);
        });
    }

    void backward(const Array<float>& grad, const Array<float>& probabilities, unsigned part,
                  std::optional<Array<float>> to_probabilities, std::optional<Array<double>> to_table,
                  unsigned threads) const
    {
        const std::size_t n = symbols_of(probabilities, grad, part);
        if ((to_probabilities && to_probabilities->size() != probabilities.size()) ||
            (to_table && to_table->size() != d_table_size))
            throw std::invalid_argument("gradients must have the sizes of what they belong to");
        const auto* p = probabilities.data();
        const auto* from = grad.data() + part;
        auto* to_p = to_probabilities ? to_probabilities->mutable_data() : nullptr;
        auto* to_t = to_table ? to_table->mutable_data() : nullptr;
        std::mutex adding;
        py::gil_scoped_release release;
        softmod::spread(n, threads, [&](std::size_t at, std::size_t count) {
            std::vector<double> sums(to_t ? d_table_size : 0);
            d_expectation.backward(from + 2 * at, 2, p + at * d_per_symbol, count,
                                   to_p ? to_p + at * d_per_symbol : nullptr, to_t ? sums.data() : nullptr);
            const std::lock_guard lock(adding);
            for (std::size_t v = 0; v < sums.size(); ++v)
                to_t[v] += sums[v];
        });
    }

private:
    std::size_t symbols_of(const Array<float>& probabilities, const Array<float>& pairs, unsigned part) const
    {
        const auto n = probabilities.size() / d_per_symbol;
        if (probabilities.size() % d_per_symbol || pairs.size() != 2 * n || part > 1)
            throw std::invalid_argument(std::to_string(probabilities.size()) +
                                        " probabilities do not belong to " + std::to_string(pairs.size()) +
                                        " real and imaginary parts");
        return static_cast<std::size_t>(n);
    }

    py::ssize_t d_table_size;
    std::uint32_t d_per_symbol;
    softmod::Expectation d_expectation;
};

} // namespace

void bind_expectation(py::module& m)
{
    py::class_<PyExpectation>(m, "Expectation",
                              R"(E[table[v]] where the bits of v are independent, with its gradient.

Arrays must be contiguous and float32; results go into arrays that the caller provides; the GIL is released.

Args:
    table: float32 [2^K] by the value of K bits.
    bits: which of a symbol's probabilities they have, first highest.
    per_symbol: probabilities of a symbol.
Raises:
    ValueError: these do not fit together.)")
        .def(py::init<const Array<float>&, std::vector<std::uint32_t>, std::uint32_t>(), py::arg("table"),
             py::arg("bits"), py::arg("per_symbol"))
        .def("run", &PyExpectation::run, py::arg("probabilities").noconvert(), py::arg("out").noconvert(),
             py::arg("part"), py::arg("threads") = 1,
             "Into out[:, part] of [n, 2], for P(b=1) [n, per_symbol].")
        .def("backward", &PyExpectation::backward, py::arg("grad").noconvert(),
             py::arg("probabilities").noconvert(), py::arg("part"),
             py::arg("to_probabilities").noconvert().none(true), py::arg("to_table").noconvert().none(true),
             py::arg("threads") = 1,
             "From grad[:, part] of [n, 2]; adds to to_probabilities [n, per_symbol] and to_table float64 "
             "[2^K].");
}
