# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained, conditioned and shaped constellations: constraints, probabilities, gradients, and that training helps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from gr_softmod.constellation import Constellation
from gr_softmod.modem import (
    ConditionedConstellation,
    Demodulator,
    MaxwellBoltzmann,
    Modulator,
    NeuralDemapper,
    TrainableConstellation,
    TrainableShaping,
    bit_cross_entropy,
    bits_of_labels,
    bmd_rate,
    kernels,
)
from gr_softmod.modem.trainable import constrained
from modem_helpers import complex_normal, normal, random_bits, uniform
from oracle import assert_llr_close

SOURCES = {
    "trained": lambda: TrainableConstellation("16qam"),
    "conditioned": lambda: ConditionedConstellation("8psk", hidden=(4,)),
    "maxwell-boltzmann": lambda: MaxwellBoltzmann("16qam", 0.4, trainable=True),
    "maxwell-boltzmann of no axes": lambda: MaxwellBoltzmann("16apsk", 0.4, trainable=True),
    "shaped": lambda: TrainableShaping("qpsk"),
    "shaped and trained": lambda: TrainableShaping(TrainableConstellation("qpsk")),
}
CASES = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


def shaken(source):
    """Parameters away from their start, where nothing is special."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return source


def brute_force(points: np.ndarray, log_prob: np.ndarray, y: np.ndarray, noise_var: float, method: str) -> np.ndarray:
    m = len(points).bit_length() - 1
    bits = (np.arange(len(points))[:, None] >> np.arange(m - 1, -1, -1)) & 1
    metric = -(np.abs(y[:, None] - points) ** 2) / noise_var + log_prob
    total = np.logaddexp.reduce if method == "exact" else np.maximum.reduce
    return np.stack([total(metric[:, b == 1], 1) - total(metric[:, b == 0], 1) for b in bits.T], 1).reshape(-1)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@CASES
def test_llrs_and_symbols(source, method: str) -> None:
    source = shaken(source()).requires_grad_(False)
    modulator, demodulator = Modulator(source), Demodulator(source, method)
    m = modulator.bits_per_symbol
    bits = random_bits(2, 20 * m)
    for noise_var in (1e-3, 0.3):
        points = source(torch.float64, torch.tensor(noise_var)).numpy()
        log_prob = source.log_prob(torch.float64)
        log_prob = np.zeros(len(points)) if log_prob is None else log_prob.numpy()
        assert abs(np.sum(np.exp(log_prob) * np.abs(points) ** 2) / np.sum(np.exp(log_prob)) - 1) < 1e-6
        symbols = modulator(bits, noise_var)
        np.testing.assert_allclose(symbols, Constellation.modulate(_Like(points, m), bits), atol=1e-6)
        assert torch.equal(modulator.forward_soft(bits.float(), noise_var), symbols)
        y = symbols.flatten() + 0.3 * complex_normal(40, dtype=torch.complex64)
        expected = brute_force(points, log_prob, y.numpy(), noise_var, method)
        assert_llr_close(demodulator(y, noise_var), expected, y, noise_var)


class _Like:
    """As much of a Constellation as modulate() needs, for points of any energy."""

    def __init__(self, points: np.ndarray, bits_per_symbol: int) -> None:
        self.points, self.bits_per_symbol = points, bits_per_symbol

    @staticmethod
    def rotate(symbols: np.ndarray, *, first: int = 0) -> np.ndarray:
        return symbols


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@CASES
def test_gradients_to_points_and_probabilities(source, method: str) -> None:
    source = shaken(source()).double()
    names, values = zip(*((name, p.detach().requires_grad_()) for name, p in source.named_parameters()), strict=True)
    y, noise_var = complex_normal(2, 3), uniform(2, 1)
    bits = torch.rand(2, 3 * source.bits_per_symbol, dtype=torch.float64)

    def receive(*values):
        parameters = {"points." + name: value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(Demodulator(source, method), parameters, (y, noise_var))

    def send(*values):
        modulator = Modulator(source)
        parameters = {"points." + name: value for name, value in zip(names, values, strict=True)}
        modulator.forward = modulator.forward_soft
        return torch.func.functional_call(modulator, parameters, (bits, noise_var))

    assert gradcheck(receive, values)
    assert gradcheck(send, values)


@pytest.mark.parametrize("kernels_built", [True, False])
def test_float32_gradients_to_points_equal_those_of_float64(kernels_built: bool, monkeypatch) -> None:
    if not kernels_built:
        monkeypatch.setattr(kernels, "TrainingDemapper", None)
    source = shaken(TrainableConstellation("64qam"))
    y, noise_var, weight = complex_normal(400), uniform(400), normal(400 * 6)

    def gradient(real, complex_) -> torch.Tensor:
        llr = Demodulator(source.to(real))(y.to(complex_), noise_var.to(real))
        return torch.autograd.grad((llr * weight.to(real)).sum(), source.raw)[0]

    got, expected = gradient(torch.float32, torch.complex64), gradient(torch.float64, torch.complex128)
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_constraints_hold_and_pass_gradients() -> None:
    points = normal(8, 2).requires_grad_()
    p = torch.softmax(normal(8), 0)
    moved = constrained(points, center=True, normalize=True, probabilities=p)
    assert (p[:, None] * moved).sum(0).abs().max() < 1e-12
    assert abs((p[:, None] * moved.square()).sum() - 1) < 1e-12
    assert gradcheck(lambda x: constrained(x, center=True, normalize=True, probabilities=p), (points,))
    free = TrainableConstellation("qpsk", center=False, normalize=False)
    with torch.no_grad():
        free.raw.mul_(3).add_(1)
    np.testing.assert_allclose(free(torch.float64).detach(), 3 * Constellation.qpsk().points + 1 + 1j, atol=1e-6)
    collapsed = TrainableConstellation("qpsk")
    with torch.no_grad():
        collapsed.raw.zero_()
    collapsed().abs().sum().backward()
    assert torch.isfinite(collapsed.raw.grad).all()


def test_export_and_rotation() -> None:
    source = shaken(TrainableConstellation("pi4-qpsk"))
    exported = source.constellation()
    assert exported.rotation == math.pi / 4
    bits = random_bits(40)
    np.testing.assert_allclose(Modulator(exported)(bits), Modulator(source)(bits).detach(), atol=1e-6)
    conditioned = shaken(ConditionedConstellation("16qam"))
    assert conditioned.constellation(0.1) != conditioned.constellation(0.01)
    with pytest.raises(ValueError, match="needs noise_var too"):
        Modulator(conditioned)(bits)


def test_conditioned_points_of_each_row() -> None:
    source = shaken(ConditionedConstellation("16qam"))
    modulator, demodulator = Modulator(source), Demodulator(source)
    bits, noise_var = random_bits(3, 80), torch.tensor([[0.01], [0.1], [1.0]])
    symbols = modulator(bits, noise_var)
    llr = demodulator(symbols, noise_var)
    soft = modulator.forward_soft(bits.float(), noise_var)
    for row in range(3):
        alone = modulator(bits[row], noise_var[row, 0])
        torch.testing.assert_close(symbols[row], alone)
        torch.testing.assert_close(soft[row], alone)
        torch.testing.assert_close(llr[row], demodulator(alone, noise_var[row, 0]), rtol=1e-4, atol=1e-4)
    each = noise_var.expand(3, 20)
    torch.testing.assert_close(demodulator(symbols, each), llr, rtol=1e-4, atol=1e-4)


# -------------------------------------------------------------------------------------------------------- shaping


@pytest.mark.parametrize("name", ["16qam", "64qam", "8pam", "16apsk"])
def test_maxwell_boltzmann(name: str) -> None:
    constellation = Constellation.from_name(name)
    shaped = MaxwellBoltzmann(name, 0.7)
    expected = np.exp(-0.7 * np.abs(constellation.points) ** 2)
    np.testing.assert_allclose(shaped.probabilities(), expected / expected.sum(), rtol=1e-5)
    target = constellation.bits_per_symbol - 0.4
    assert abs(float(MaxwellBoltzmann(name, entropy=target).entropy()) - target) < 1e-5
    uniform_shaping = MaxwellBoltzmann(name, 0.0)
    y = complex_normal(30, dtype=torch.complex64)
    torch.testing.assert_close(Demodulator(uniform_shaping)(y, 0.2), Demodulator(name)(y, 0.2), rtol=1e-4, atol=1e-4)


def test_sampling_follows_the_probabilities() -> None:
    shaped = MaxwellBoltzmann("16qam", 1.0)
    labels = shaped.sample((100, 1000), torch.Generator().manual_seed(0))
    assert labels.shape == (100, 1000)
    frequency = torch.bincount(labels.flatten(), minlength=16) / 1e5
    assert (frequency - shaped.probabilities()).abs().max() < 5 * math.sqrt(0.1 / 1e5)
    symbols = Modulator(shaped)(bits_of_labels(labels, 4))
    assert abs(symbols.abs().square().mean() - 1) < 0.02


def test_weights_stand_for_probabilities() -> None:
    """The rate over uniform labels with weights is the rate over drawn labels, within both intervals."""
    shaped = MaxwellBoltzmann("16qam", 0.8)
    generator = torch.Generator().manual_seed(4)
    rates = []
    for labels in (shaped.sample((60_000,), generator), torch.randint(0, 16, (60_000,), generator=generator)):
        bits = bits_of_labels(labels, 4)
        noise = torch.randn(60_000, dtype=torch.complex64, generator=generator) * math.sqrt(0.1)
        llr = Demodulator(shaped)(Modulator(shaped)(bits) + noise, 0.1)
        weights = None if not rates else shaped.weights(labels)
        rates.append(bmd_rate(llr, bits, 4, entropy=shaped.entropy(), weights=weights))
    assert abs(rates[0].value - rates[1].value) < rates[0].half_width + rates[1].half_width


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MaxwellBoltzmann("16qam"), "exactly one"),
        (lambda: MaxwellBoltzmann("16qam", 0.1, entropy=3.0), "exactly one"),
        (lambda: MaxwellBoltzmann("16qam", -0.1), "nu is -0.1"),
        (lambda: MaxwellBoltzmann("16qam", entropy=4.5), "entropy is 4.5"),
        (lambda: MaxwellBoltzmann("16qam", entropy=1.0), "entropy is 1.0"),
        (lambda: NeuralDemapper(4, activation="step"), "activation is 'step'"),
        (lambda: NeuralDemapper(4, hidden=(0,)), "layer widths are"),
        (lambda: NeuralDemapper(4)(torch.ones(3), 0.1), "symbols are torch.float32"),
        (lambda: NeuralDemapper(4)(complex_normal(3), 0.0), "noise_var is 0.0"),
    ],
)
def test_faults(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    "source, esn0_db",
    [(TrainableConstellation("16psk"), 10), (TrainableShaping("16qam"), 6)],
    ids=["points", "probabilities"],
)
def test_training_raises_the_rate(source, esn0_db: float) -> None:
    """A few Adam steps gain rate beyond the intervals."""
    modulator, demodulator = Modulator(source), Demodulator(source)
    noise_var = 10 ** (-esn0_db / 10)
    generator = torch.Generator().manual_seed(0)

    def rate(n: int):
        labels = torch.randint(0, 16, (n,), generator=generator)
        bits = bits_of_labels(labels, 4)
        noise = torch.randn(n, dtype=torch.complex64, generator=generator) * math.sqrt(noise_var)
        llr = demodulator(modulator(bits) + noise, noise_var)
        if isinstance(source, TrainableShaping):
            return bmd_rate(llr, bits, 4, entropy=source.entropy(), weights=source.weights(labels))
        return bmd_rate(llr, bits, 4)

    with torch.no_grad():
        before = rate(200_000)
    optimizer = torch.optim.Adam(source.parameters(), 0.02)
    for _ in range(80):
        optimizer.zero_grad()
        (-rate(4096).value).backward()
        optimizer.step()
    with torch.no_grad():
        after = rate(200_000)
    assert after.interval[0] > before.interval[1]


def test_neural_demapper_learns_qpsk() -> None:
    torch.manual_seed(0)
    demapper, modulator = NeuralDemapper(2, hidden=(16,)), Modulator("qpsk")
    optimizer = torch.optim.Adam(demapper.parameters(), 0.02)
    for _ in range(150):
        noise_var = 0.1 + 0.4 * torch.rand(64, 1)
        bits = torch.randint(0, 2, (64, 64))
        y = modulator(bits) + noise_var.sqrt() * torch.randn(64, 32, dtype=torch.complex64)
        loss = bit_cross_entropy(demapper(y, noise_var), bits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = bit_cross_entropy(Demodulator("qpsk")(y, noise_var), bits)
    assert loss < best + 0.02


def test_scaled_neural_demapper_counts_in_units_of_the_noise() -> None:
    plain, scaled = NeuralDemapper(4, hidden=[8]), NeuralDemapper(4, hidden=[8], scaled=True)
    scaled.load_state_dict(plain.state_dict())
    y = complex_normal(2, 5, dtype=torch.complex64)
    for noise_var in (0.1, 0.002, torch.full((2, 1), 0.7)):
        factor = torch.as_tensor(0.1 / noise_var).expand(2, 1)
        torch.testing.assert_close(scaled(y, noise_var, torch.ones(20)), plain(y, noise_var) * factor + 1)
    assert NeuralDemapper(**scaled.config).scaled


def test_neural_demapper_shapes_and_config() -> None:
    demapper = NeuralDemapper(6, hidden=[8, 8], activation="gelu")
    again = NeuralDemapper(**demapper.config)
    again.load_state_dict(demapper.state_dict())
    y = complex_normal(2, 5, dtype=torch.complex64)
    for noise_var in (0.1, torch.tensor(0.1), torch.full((2, 1), 0.1), torch.full((2, 5), 0.1)):
        llr = demapper(y, noise_var)
        assert llr.shape == (2, 30) and llr.dtype == torch.float32
        torch.testing.assert_close(again(y, 0.1), llr)
    torch.testing.assert_close(demapper(y, 0.1, torch.ones(30)), demapper(y, 0.1) + 1)
    assert demapper.double()(y.to(torch.complex128), 0.1).dtype == torch.float64
    assert torch.equal(demapper.hard(y, 0.1), (demapper(y, 0.1) > 0).to(torch.uint8))
