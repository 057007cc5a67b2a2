// SPDX-License-Identifier: GPL-3.0-or-later
#include "noise_estimator.h"

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using softmod::NoiseEstimator;

void bind_noise_estimator(py::module& m)
{
    using Symbols = py::array_t<std::complex<float>, py::array::c_style | py::array::forcecast>;
    py::class_<NoiseEstimator>(m, "NoiseEstimator",
                               R"doc(Blind maximum-likelihood estimate of noise variance and level of symbols.

    y = gain * s + n with s equiprobable over the points and n complex white Gaussian noise of E|n|^2 = noise_var.

    Args:
        points: complex [M], scaled here to E|s|^2 = 1.
        max_symbols: most symbols remembered, at least 64.
        accuracy_db: standard error of Es/N0 in dB at which no more symbols are taken; 0 takes all of them.
    Raises:
        ValueError: points not finite or fewer than 2, max_symbols below 64, accuracy_db negative.
    )doc")
        .def(py::init<const std::vector<std::complex<float>>&, std::size_t, double>(), py::arg("points"),
             py::arg("max_symbols") = 32768, py::arg("accuracy_db") = 0.1)
        .def(
            "push",
            [](NoiseEstimator& self, const Symbols& symbols) {
                return self.push(symbols.data(), symbols.size());
            },
            py::arg("symbols"),
            "Remembers symbols complex64 [N]; returns how many were not finite and left out.")
        .def(
            "estimate",
            [](NoiseEstimator& self) -> py::object {
                const auto e = self.estimate();
                if (!e)
                    return py::none();
                py::dict d;
                d["noise_var"] = e->noise_var;
                d["gain"] = e->gain;
                d["esn0_db"] = e->esn0_db;
                d["std_db"] = e->std_db;
                d["symbols"] = e->symbols;
                return d;
            },
            "dict of noise_var, gain, esn0_db, std_db (standard error of esn0_db) and symbols used; None "
            "while fewer "
            "than 64 symbols are remembered or all are 0.")
        .def("clear", &NoiseEstimator::clear, "Forgets all symbols.");
}
