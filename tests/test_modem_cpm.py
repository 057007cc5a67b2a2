# SPDX-License-Identifier: GPL-3.0-or-later
"""CPM: the waveform against its definition, LLRs against the sum over all sequences, gradients, GMSK's spectrum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch.autograd import gradcheck

from gr_softmod.modem import CPM, CPMDemodulator, CPMModulator, GMSKDemodulator, GMSKModulator, MSKModulator
from gr_softmod.modem.cpm import phase_pulse
from modem_helpers import assert_calibrated, complex_normal, normal, random_bits

WAVEFORMS = [
    dict(samples_per_symbol=4),
    dict(samples_per_symbol=1),
    dict(pulse="gaussian", span=3, samples_per_symbol=2),
    dict(pulse="rc", span=2, index="3/4", samples_per_symbol=3),
    dict(order=4, index="1/4", pulse="rc", span=2, samples_per_symbol=2),
    dict(order=4, index="2/3", samples_per_symbol=3),
    dict(order=8, index=0.5, samples_per_symbol=4),
]


@pytest.mark.parametrize("options", WAVEFORMS, ids=str)
def test_waveform_is_its_definition(options: dict) -> None:
    """exp(j 2 pi h sum_n a[n] q(t - n)) with label 0 before and after."""
    cpm = CPM(**options)
    m, step = cpm.bits_per_symbol, cpm.samples_per_symbol
    bits = random_bits(12 * m)
    # Gray labels of +-1, +-3, .. with bit 0 positive (TS 38.211 section 5.1, one axis).
    amplitude = {1: [1, -1], 2: [1, 3, -1, -3], 3: [3, 1, 5, 7, -3, -1, -5, -7]}[m]
    labels = (bits.reshape(-1, m) * torch.tensor([1 << (m - 1 - k) for k in range(m)])).sum(1).tolist()
    edge = cpm.span - 1
    sequence = [amplitude[0]] * edge + [amplitude[label] for label in labels] + [amplitude[0]] * edge
    index = float(eval(str(options.get("index", 0.5))))
    t = (np.arange((12 + edge) * step) + 0.5) / step
    phase = np.zeros_like(t)
    for n, a in enumerate(sequence):
        since = t - (n - edge)
        q = phase_pulse(np.clip(since, 0, cpm.span), options.get("pulse", "rec"), cpm.span, 0.3)
        phase += 2 * math.pi * index * a * q
    np.testing.assert_allclose(CPMModulator(cpm)(bits.double()), np.exp(1j * phase), atol=1e-12)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("options", WAVEFORMS, ids=str)
def test_llrs_equal_those_over_all_sequences(options: dict, method: str) -> None:
    cpm = CPM(**options)
    m = cpm.bits_per_symbol
    length = 6 // m
    sequences = torch.tensor(list(itertools.product([0, 1], repeat=length * m)))
    waveforms = CPMModulator(cpm)(sequences.double())
    samples = waveforms[5] + 0.7 * complex_normal(waveforms.shape[1])
    priors = normal(length * m)
    demodulator = CPMDemodulator(cpm, method)
    for noise_var in (1e-6, 0.5, 1e3):
        metric = -(samples - waveforms).abs().square().sum(-1) / noise_var + (sequences * priors).sum(-1)
        total = torch.logsumexp if method == "exact" else torch.amax
        expected = [total(metric[b == 1], 0) - total(metric[b == 0], 0) for b in sequences.T]
        expected = torch.stack(expected)
        torch.testing.assert_close(demodulator(samples, noise_var, priors), expected, rtol=1e-8, atol=1e-8)
        single = demodulator(samples.to(torch.complex64), noise_var, priors)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-5 + 1e-6 * len(samples) / noise_var)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("options", [WAVEFORMS[1], WAVEFORMS[2], WAVEFORMS[4]], ids=str)
def test_gradients(options: dict, method: str) -> None:
    cpm = CPM(**options)
    samples = complex_normal(2, (3 + cpm.span - 1) * cpm.samples_per_symbol).requires_grad_()
    noise_var = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    priors = normal(2, 3 * cpm.bits_per_symbol).requires_grad_()
    assert gradcheck(CPMDemodulator(cpm, method), (samples, noise_var, priors))
    soft = torch.rand(2, 3 * cpm.bits_per_symbol, dtype=torch.float64, requires_grad=True)
    assert gradcheck(CPMModulator(cpm).forward_soft, (soft,))


def test_noise_for_each_sample_weighs_it() -> None:
    """Samples with endless noise count for nothing."""
    modulator, demodulator = GMSKModulator(4), GMSKDemodulator(samples_per_symbol=4)
    samples = modulator(random_bits(2, 20)) + 0.3 * complex_normal(2, 88, dtype=torch.complex64)
    noise_var = torch.full((88,), 0.2)
    noise_var[40:44] = 1e20
    spoilt = samples.clone()
    spoilt[:, 40:44] = 100
    torch.testing.assert_close(demodulator(samples, noise_var), demodulator(spoilt, noise_var))


def test_gmsk_is_calibrated() -> None:
    bits = random_bits(400, 50)
    samples = GMSKModulator(4)(bits)
    noise = complex_normal(*samples.shape, dtype=torch.complex64) * math.sqrt(2.0)
    soft = GMSKDemodulator(samples_per_symbol=4).forward_soft(samples + noise, 2.0)
    assert_calibrated(soft.flatten(), bits.flatten())


@pytest.mark.parametrize("bt, span", [(0.3, 3), (0.5, 2), (0.2, 5)])
def test_gaussian_phase_pulse_by_numerical_integration(bt: float, span: int) -> None:
    sigma = math.sqrt(math.log(2)) / (2 * math.pi * bt)

    def frequency(t: float) -> float:
        return norm.cdf((t + 0.5) / sigma) - norm.cdf((t - 0.5) / sigma)

    whole = quad(frequency, -span / 2, span / 2)[0]
    for t in (0.0, 0.3 * span, 0.5 * span, 0.9 * span, float(span)):
        expected = 0.5 * quad(frequency, -span / 2, t - span / 2)[0] / whole
        assert abs(float(phase_pulse(np.array(t), "gaussian", span, bt)) - expected) < 1e-7


def test_msk_is_offset_qpsk_with_half_sine_pulses() -> None:
    """At the symbol instants MSK's phase is a multiple of pi/2 away from where it began."""
    samples = MSKModulator(2)(random_bits(100).double())
    quarter = torch.angle(samples[0::2]) / (math.pi / 4)  # a quarter of a symbol into each: an odd multiple of pi/8
    assert torch.allclose(quarter * 2, (quarter * 2).round(), atol=1e-9)


def test_extremes() -> None:
    demodulator = GMSKDemodulator(samples_per_symbol=2)
    samples = complex_normal(20, dtype=torch.complex64)
    for scale, noise_var in ((1e38, 1e-40), (1e-40, 1e38), (1e38, 1.0), (1.0, 1e-30)):
        wanted = (samples * scale).requires_grad_()
        llr = demodulator(wanted, noise_var, torch.full((8,), 1e38))
        assert torch.isfinite(llr).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: CPM(order=3), "CPM order is 3"),
        (lambda: CPM(index=0.0), "modulation index is 0"),
        (lambda: CPM(index=math.pi), "modulation index is 3.14"),
        (lambda: CPM(pulse="tri"), "pulse is 'tri'"),
        (lambda: CPM(span=0), "span is 0"),
        (lambda: CPM(samples_per_symbol=1.5), "samples_per_symbol is 1.5"),
        (lambda: CPM(pulse="gaussian", bt=-1), "bt is -1"),
        (lambda: CPM(order=8, span=5), "more than 4096 states"),
        (lambda: GMSKDemodulator(samples_per_symbol=4)(complex_normal(13), 0.1), "13 samples are not those of whole"),
        (lambda: GMSKDemodulator(samples_per_symbol=4)(complex_normal(8), 0.1), "8 samples are not those of whole"),
    ],
)
def test_faults(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
