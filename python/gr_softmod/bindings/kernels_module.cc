// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_ber_counter(py::module& m);
void bind_blind_estimate(py::module& m);
void bind_classifier(py::module& m);
void bind_dense(py::module& m);
void bind_expectation(py::module& m);
void bind_neural_demap(py::module& m);
void bind_noise_estimator(py::module& m);
void bind_hdlc_search(py::module& m);
void bind_soft_demap(py::module& m);
void bind_soft_demap_grad(py::module& m);
void bind_soft_map(py::module& m);
void bind_symbol_recovery(py::module& m);

PYBIND11_MODULE(_kernels, m)
{
    m.doc() = "The C++ kernels, without GNU Radio.";
    bind_ber_counter(m);
    bind_blind_estimate(m);
    bind_classifier(m);
    bind_dense(m);
    bind_expectation(m);
    bind_neural_demap(m);
    bind_noise_estimator(m);
    bind_hdlc_search(m);
    bind_soft_demap(m);
    bind_soft_demap_grad(m);
    bind_soft_map(m);
    bind_symbol_recovery(m);
}
