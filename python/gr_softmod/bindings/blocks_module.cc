// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_agc_cc(py::module& m);
void bind_ber_meter(py::module& m);
void bind_blind_estimator_c(py::module& m);
void bind_channelizer_cc(py::module& m);
void bind_blind_receiver_cc(py::module& m);
void bind_coarse_frequency_cc(py::module& m);
void bind_differential_demapper_cf(py::module& m);
void bind_equalizer_cc(py::module& m);
void bind_finite_cc(py::module& m);
void bind_modulation_classifier_c(py::module& m);
void bind_neural_demapper_cf(py::module& m);
void bind_noise_estimator_cc(py::module& m);
void bind_phase_resolver_cc(py::module& m);
void bind_soft_demapper(py::module& m);
void bind_soft_mapper_fc(py::module& m);
void bind_window_tap(py::module& m);
void bind_symbol_recovery_cc(py::module& m);
void bind_timing_recovery_cc(py::module& m);

PYBIND11_MODULE(softmod_python, m)
{
    // Registers gr.block, gr.sync_block and the rest: base classes of ours.
    py::module::import("gnuradio.gr");
    m.doc() = "The GNU Radio blocks.";
    bind_agc_cc(m);
    bind_ber_meter(m);
    bind_blind_estimator_c(m);
    bind_channelizer_cc(m);
    bind_blind_receiver_cc(m);
    bind_coarse_frequency_cc(m);
    bind_differential_demapper_cf(m);
    bind_equalizer_cc(m);
    bind_finite_cc(m);
    bind_modulation_classifier_c(m);
    bind_neural_demapper_cf(m);
    bind_noise_estimator_cc(m);
    bind_phase_resolver_cc(m);
    bind_soft_demapper(m);
    bind_soft_mapper_fc(m);
    bind_window_tap(m);
    bind_symbol_recovery_cc(m);
    bind_timing_recovery_cc(m);
}
