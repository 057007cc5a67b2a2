# SPDX-License-Identifier: GPL-3.0-or-later
"""Modulator: hard bits against Constellation, soft bits against the sum over all labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from gr_softmod.constellation import Constellation
from gr_softmod.modem import (
    Demodulator,
    Modulator,
    TrainableConstellation,
    bits_of_labels,
    harden,
    kernels,
    labels_of_bits,
    soft_bits,
)
from modem_helpers import complex_normal, random_bits

ALL = [Constellation.from_name(name) for name in Constellation.names()]


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_every_constellation(constellation: Constellation) -> None:
    m = constellation.bits_per_symbol
    modulator = Modulator(constellation)
    bits = random_bits(2, 50 * m)
    symbols = modulator(bits)
    assert symbols.dtype == torch.complex64
    np.testing.assert_allclose(symbols, constellation.modulate(bits), rtol=0, atol=2e-7)
    # On hard bits both forms agree to the last bit, in both precisions.
    assert torch.equal(modulator.forward_soft(bits.float()), symbols)
    assert torch.equal(modulator.forward_soft(bits.double()), modulator(bits.double()))
    np.testing.assert_allclose(modulator(bits.double()), constellation.modulate(bits), rtol=0, atol=1e-14)
    # Round trip without noise.
    for method in ("exact", "maxlog"):
        assert torch.equal(Demodulator(constellation, method).hard(symbols, 1e-6), bits.to(torch.uint8))


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "16qam", "8pam", "8psk", "32qam", "16apsk", "ook", "pi4-qpsk"])
def test_soft_is_the_expectation(name: str, monkeypatch) -> None:
    constellation = Constellation.from_name(name)
    m = constellation.bits_per_symbol
    p = torch.rand(3, 4 * m, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    hard = (p > 0.5).int()
    each = p.reshape(3, 4, 1, m).numpy()
    probability = np.where(constellation.bits == 1, each, 1 - each).prod(-1)
    expected = constellation.rotate(probability @ constellation.points)
    np.testing.assert_allclose(Modulator(name).forward_soft(p), expected, atol=1e-14)
    for built in (kernels.TrainingDemapper, None):
        monkeypatch.setattr(kernels, "TrainingDemapper", built)
        np.testing.assert_allclose(Modulator(name).forward_soft(p.float()), expected, atol=1e-6)
        assert torch.equal(Modulator(name).forward_soft(hard.float()), Modulator(name)(hard))
    assert gradcheck(Modulator(name).forward_soft, (p.requires_grad_(),))


@pytest.mark.parametrize("name", ["qpsk", "64qam", "8psk", "8pam", "32qam"])
def test_float32_gradients_equal_those_of_float64(name: str) -> None:
    """To soft bits and to points, of first and second order."""
    m = Modulator(name).bits_per_symbol
    p = torch.rand(40 * m, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weight = complex_normal(40, seed=3)
    source = TrainableConstellation(name)

    def gradients(real: torch.dtype) -> list[torch.Tensor]:
        complex_ = torch.complex64 if real == torch.float32 else torch.complex128
        found = []
        for modulator in (Modulator(name), Modulator(source.to(real))):
            inputs = [p.to(real).requires_grad_(), *modulator.parameters()]
            symbols = modulator.forward_soft(inputs[0])
            loss = (symbols * weight.to(complex_).conj()).real.square().sum()
            first = torch.autograd.grad(loss, inputs, create_graph=True)
            found += [*first, *torch.autograd.grad(first[0].square().sum(), inputs)]
        return found

    for got, expected in zip(gradients(torch.float32), gradients(torch.float64), strict=True):
        assert (got - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float32])
def test_bits_of_any_dtype(dtype: torch.dtype) -> None:
    bits = random_bits(5, 60)
    assert torch.equal(Modulator("64qam")(bits.to(dtype)), Modulator("64qam")(bits))
    if dtype.is_floating_point:
        assert Modulator("64qam").forward_soft(bits.to(dtype)).dtype == torch.complex64


def test_dtype_argument() -> None:
    bits = random_bits(8)
    assert Modulator("qpsk")(bits, dtype=torch.complex128).dtype == torch.complex128
    assert Modulator("qpsk").forward_soft(bits.double(), dtype=torch.complex64).dtype == torch.complex64


def test_straight_through() -> None:
    p = torch.tensor([0.1, 0.9, 0.4, 0.6], requires_grad=True)
    q = p.detach().clone().requires_grad_()
    symbols = Modulator("16qam", straight_through=True).forward_soft(p)
    assert torch.equal(symbols, Modulator("16qam")((p > 0.5).int()))
    symbols.real.sum().backward()
    # The gradient is taken at the rounded bits.
    Modulator("16qam").forward_soft(harden(q)).real.sum().backward()
    assert torch.equal(p.grad, q.grad) and p.grad.abs().sum() > 0


def test_labels_and_bits() -> None:
    labels = torch.arange(64).reshape(4, 16)
    bits = bits_of_labels(labels, 6)
    assert bits.shape == (4, 96) and torch.equal(labels_of_bits(bits.reshape(4, 16, 6)), labels)
    assert bits[3, -6:].tolist() == [1, 1, 1, 1, 1, 1] and bits[2, :6].tolist() == [1, 0, 0, 0, 0, 0]


def test_soft_bits() -> None:
    llr = torch.tensor([-1e30, -2.0, 0.0, 2.0, 1e30])
    assert soft_bits(llr).tolist()[::2] == [0.0, 0.5, 1.0]
    assert soft_bits(llr, straight_through=True).tolist() == [0, 0, 0, 1, 1]
    torch.testing.assert_close(soft_bits(llr, 0.5)[3], torch.tensor(1 / (1 + math.exp(-4))))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: m(torch.ones(5, dtype=torch.int64)), "5 bits do not fill"),
        (lambda m: m.forward_soft(torch.ones(3, 6)), "6 soft bits do not fill"),
        (lambda m: m(torch.full((4,), 2)), "bits have 2"),
        (lambda m: m(torch.full((4,), -1)), "bits have -1"),
        (lambda m: m(torch.full((4,), 0.5)), "forward_soft"),
        (lambda m: m(torch.full((4,), math.nan)), "bits"),
        (lambda m: m.forward_soft(torch.full((4,), 1.5)), "soft bits have 1.5"),
        (lambda m: m.forward_soft(torch.full((4,), math.nan)), "soft bits have nan"),
        (lambda m: m(torch.ones(4, dtype=torch.complex64)), "bits are torch.complex64"),
        (lambda m: m(torch.ones(())), "bits are"),
        (lambda m: m(torch.ones(4), dtype=torch.float32), "dtype is torch.float32"),
    ],
)
def test_faults(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Modulator("16qam"))
