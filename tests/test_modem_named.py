# SPDX-License-Identifier: GPL-3.0-or-later
"""The named modulators and demodulators: round trips, LLRs, OQPSK's offset, differential detection."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import i0e
from torch import nn
from torch.autograd import gradcheck

from gr_softmod import modem
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import bits_of_labels
from gr_softmod.modem import (
    AWGN,
    Demodulator,
    DPSKDemodulator,
    DPSKModulator,
    OQPSKDemodulator,
    OQPSKModulator,
    PulseShaper,
    QPSKDemodulator,
    QPSKModulator,
)
from gr_softmod.modem.pulse import root_raised_cosine
from modem_helpers import assert_calibrated, complex_normal, normal, random_bits, uniform

# (name of the pair, arguments, name of the constellation or None)
PAIRS = [
    ("BPSK", (), "bpsk"), ("QPSK", (), "qpsk"), ("PSK", (8,), "8psk"), ("PSK", (16,), "16psk"), ("QAM", (16,), "16qam"),
    ("QAM", (64,), "64qam"), ("QAM", (256,), "256qam"), ("QAM", (32,), "32qam"), ("PAM", (4,), "4pam"),
    ("ASK", (4,), "4ask"), ("ASK", (2,), "ook"), ("APSK", (16,), "16apsk"), ("APSK", (32,), "32apsk"),
    ("Pi4QPSK", (), "pi4-qpsk"), ("OQPSK", (), None), ("DBPSK", (), None), ("DQPSK", (), None), ("DPSK", (8,), None),
    ("Pi4DQPSK", (), None), ("GMSK", (), None), ("MSK", (), None),
]  # fmt: skip


def pair(name: str, arguments: tuple, method: str = "exact") -> tuple[nn.Module, nn.Module]:
    return getattr(modem, name + "Modulator")(*arguments), getattr(modem, name + "Demodulator")(
        *arguments, method=method
    )


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("name, arguments, constellation", PAIRS, ids=str)
def test_round_trip(name: str, arguments: tuple, constellation: str | None, method: str) -> None:
    modulator, demodulator = pair(name, arguments, method)
    bits = random_bits(2, 3, 40 * modulator.bits_per_symbol)
    symbols = modulator(bits)
    assert symbols.dtype == torch.complex64
    assert torch.equal(modulator.forward_soft(bits.float()), symbols)
    for noise_var in (1e-6, 1e-3):
        assert torch.equal(demodulator.hard(symbols, noise_var), bits.to(torch.uint8))
    torch.testing.assert_close(
        demodulator.forward_soft(symbols, 0.5), torch.sigmoid(demodulator(symbols, 0.5)), rtol=3e-6, atol=1e-9
    )
    if constellation:
        assert torch.equal(symbols, modem.Modulator(constellation)(bits))
        assert torch.equal(demodulator(symbols, 0.3), Demodulator(constellation, method)(symbols, 0.3))


@pytest.mark.parametrize("name, arguments, _", PAIRS, ids=str)
def test_gradients_flow_from_end_to_end(name: str, arguments: tuple, _) -> None:
    """Soft bits -> symbols -> noise -> soft bits -> loss, in training mode with hard decisions too."""
    modulator, demodulator = pair(name, arguments)
    soft = torch.rand(2, 12 * modulator.bits_per_symbol, generator=torch.Generator().manual_seed(0)).requires_grad_()
    received = AWGN()(modulator.forward_soft(soft), noise_var=0.1, generator=torch.Generator().manual_seed(1))
    out = demodulator.forward_soft(received, noise_var=0.1)
    assert out.shape == soft.shape
    nn.functional.binary_cross_entropy(out, (soft.detach() > 0.5).float()).backward()
    assert torch.isfinite(soft.grad).all() and soft.grad.abs().sum() > 0


def test_the_readme_usage() -> None:
    torch.manual_seed(3)
    channel = AWGN()
    bits = torch.tensor([0.0, 1.0, 0.0, 1.0])
    loss = nn.functional.binary_cross_entropy
    m = QPSKModulator()
    d = QPSKDemodulator()
    soft = torch.tensor([0.1, 0.9, 0.2, 0.8], requires_grad=True)
    s = m.forward_soft(soft)
    p = d.forward_soft(channel(s, noise_var=0.1), noise_var=0.1)
    loss(p, bits).backward()
    # More certain bits make the loss smaller, or no difference where the sigmoid is at its end.
    assert (soft.grad * (1 - 2 * bits) >= 0).all() and (soft.grad != 0).any()


# ---------------------------------------------------------------------------------------------------------- OQPSK


def test_oqpsk_moves_one_rail_at_a_time() -> None:
    samples = OQPSKModulator()(random_bits(400))
    assert (samples[0::2].imag == 0).all() and (samples[1::2].real == 0).all()
    held = torch.stack((samples[2::2].real, samples[1:-1:2].imag), 1)  # rectangular pulses: each rail keeps its value
    assert set(held.abs().flatten().tolist()) == {np.float32(math.sqrt(0.5)).item()}


@pytest.mark.parametrize("method", ["exact", "maxlog"])
def test_oqpsk_llrs_are_those_of_qpsk(method: str) -> None:
    y, priors = complex_normal(30), normal(60)
    samples = torch.stack((y.real + 3j, 1j * y.imag - 5), 1).flatten()  # what is on the idle rail does not matter
    expected = QPSKDemodulator(method)(y, 0.4, priors)
    torch.testing.assert_close(OQPSKDemodulator(method)(samples, 0.4, priors), expected)
    assert gradcheck(OQPSKDemodulator(method), (samples.requires_grad_(), uniform(60).requires_grad_()))


def test_oqpsk_through_its_pulse() -> None:
    shaper = PulseShaper(root_raised_cosine(4, 0.35), 4)
    bits = random_bits(200)
    samples = shaper.matched_filter()(shaper(OQPSKModulator()(bits)))
    assert torch.equal(OQPSKDemodulator().hard(samples, 0.1), bits.to(torch.uint8))
    with pytest.raises(ValueError, match="3 samples are not two"):
        OQPSKDemodulator()(complex_normal(3), 0.1)


# --------------------------------------------------------------------------------------------------- differential


def differential_llr(order: int, y: np.ndarray, noise_var: np.ndarray, priors: np.ndarray, method: str) -> np.ndarray:
    """The unknown phase integrated out, in float64."""
    m = order.bit_length() - 1
    turns = Constellation.psk(order).points
    bits = bits_of_labels(np.arange(order), m).reshape(order, m)
    x = 2 * np.abs(y[:-1, None] + y[1:, None] * turns.conj()) / noise_var
    metric = x + np.log(i0e(x)) + priors.reshape(-1, m) @ bits.T
    total = np.logaddexp.reduce if method == "exact" else np.maximum.reduce
    return np.stack([total(metric[:, b == 1], 1) - total(metric[:, b == 0], 1) for b in bits.T], 1).reshape(-1)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("order", [2, 4, 8])
def test_differential_llrs(order: int, method: str) -> None:
    m = order.bit_length() - 1
    y, priors = complex_normal(21), normal(20 * m)
    demodulator = DPSKDemodulator(order, method)
    for noise_var in (1e-6, 1e-2, 1.0, 1e3):
        expected = differential_llr(order, y.numpy(), noise_var, priors.numpy(), method)
        np.testing.assert_allclose(demodulator(y, noise_var, priors), expected, rtol=1e-7, atol=1e-9)
        single = demodulator(y.to(torch.complex64), noise_var, priors)
        np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5 + 8 * 1.2e-7 * 16 / noise_var)
    short, noise = complex_normal(2, 4), uniform(2, 1)
    inputs = (short.requires_grad_(), noise.requires_grad_(), normal(2, 3 * m).requires_grad_())
    assert gradcheck(demodulator, inputs)


def test_differential_formula_by_numerical_integration() -> None:
    """P(y0, y1 | turn) averaged over the phase, from the definition."""
    y, noise_var = np.array([0.9 + 0.4j, -0.2 + 0.7j]), 0.8
    phase = np.exp(1j * np.linspace(0, 2 * np.pi, 4096, endpoint=False))
    likelihood = [
        np.exp(-(abs(y[0] - phase) ** 2 + abs(y[1] - phase * turn) ** 2) / noise_var).mean() for turn in (1, -1)
    ]
    expected = math.log(likelihood[1] / likelihood[0])
    assert abs(float(DPSKDemodulator(2)(torch.from_numpy(y), noise_var)) - expected) < 1e-9


@pytest.mark.parametrize("order, turn", [(2, 0.0), (4, 0.0), (4, math.pi / 4), (8, 0.1)])
def test_differential_needs_no_phase_and_is_calibrated(order: int, turn: float) -> None:
    modulator, demodulator = DPSKModulator(order, turn=turn), DPSKDemodulator(order, turn=turn)
    bits = random_bits(20_000, 2 * modulator.bits_per_symbol)
    noise = complex_normal(20_000, 3, seed=5, dtype=torch.complex64) * math.sqrt(0.15)
    phase = torch.polar(torch.ones(20_000, 1), 6.28 * torch.rand(20_000, 1, generator=torch.Generator().manual_seed(3)))
    assert_calibrated(demodulator.forward_soft(modulator(bits) * phase + noise, 0.15).flatten(), bits.flatten())
    assert torch.equal(demodulator.hard(modulator(bits) * phase, 0.1), bits.to(torch.uint8))


def test_differential_extremes() -> None:
    y = torch.tensor([3e38 + 3e38j, -3e38, 0, 0, 1e-40, 1], dtype=torch.complex64, requires_grad=True)
    for order in (2, 4):
        llr = DPSKDemodulator(order)(y, 1e-40)
        llr.sum().backward()
        assert torch.isfinite(llr).all()
    assert modem.DQPSKModulator()(random_bits(200_000)).abs().sub(1).abs().max() < 1e-6
    with pytest.raises(ValueError, match="1 symbols have no turn"):
        DPSKDemodulator(2)(complex_normal(1), 0.1)
    with pytest.raises(ValueError, match="PSK order is 3"):
        DPSKModulator(3)
