// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_ber_meter(py::module& m);
void bind_finite_cc(py::module& m);
void bind_noise_estimator_cc(py::module& m);
void bind_receiver(py::module& m);
void bind_soft_demapper(py::module& m);
void bind_soft_mapper_fc(py::module& m);

PYBIND11_MODULE(softmod_python, m)
{
    // Registers gr.block, gr.sync_block and the rest: base classes of ours.
    py::module::import("gnuradio.gr");
    m.doc() = "The GNU Radio blocks.";
    bind_ber_meter(m);
    bind_finite_cc(m);
    bind_noise_estimator_cc(m);
    bind_receiver(m);
    bind_soft_demapper(m);
    bind_soft_mapper_fc(m);
}
