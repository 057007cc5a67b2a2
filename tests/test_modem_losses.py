# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses and rates against numerical integration and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem import (
    Demodulator,
    Modulator,
    awgn_capacity,
    bit_cross_entropy,
    bmd_rate,
    gmi,
    labels_of_bits,
    mutual_information,
    symbol_cross_entropy,
    symbol_logits,
)
from oracle import brute_force_llr


def bmd_rate_by_quadrature(name: str, noise_var: float) -> float:
    """E over points and noise of 1 - log2(1 + exp(-+llr)), by Gauss-Hermite quadrature in two dimensions."""
    constellation = Constellation.from_name(name)
    nodes, weights = np.polynomial.hermite.hermgauss(24)
    noise = math.sqrt(noise_var) * (nodes[:, None] + 1j * nodes).reshape(-1)
    weight = np.outer(weights, weights).reshape(-1) / math.pi
    y = (constellation.points[:, None] + noise).reshape(-1)
    llr = brute_force_llr(constellation, y, noise_var).reshape(constellation.order, -1, constellation.bits_per_symbol)
    sign = np.where(constellation.bits == 1, 1, -1)[:, None, :]
    loss = np.logaddexp(0, -sign * llr).sum(-1) / math.log(2)
    return constellation.bits_per_symbol - float((loss @ weight).mean())


def sent(name: str, noise_var: float, n: int = 100_000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    modulator = Modulator(name)
    bits = torch.randint(0, 2, (n * modulator.bits_per_symbol,), generator=generator)
    return bits, modulator(bits) + math.sqrt(noise_var) * torch.randn(n, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("name, noise_var", [("bpsk", 1.0), ("16qam", 0.15), ("8psk", 0.2)])
def test_rates_of_exact_llrs(name: str, noise_var: float) -> None:
    bits, y = sent(name, noise_var)
    expected = bmd_rate_by_quadrature(name, noise_var)
    m = Modulator(name).bits_per_symbol
    llr = Demodulator(name)(y, noise_var)
    for estimate in (bmd_rate, gmi):
        rate = estimate(llr, bits, m, confidence=0.9999)
        assert rate.interval[0] < expected < rate.interval[1]
        assert rate.half_width < 0.03
    # Wrongly scaled LLRs cost rate, unless the scale is found: then none at all.
    assert bmd_rate(3 * llr, bits, m).value < expected - 0.02
    torch.testing.assert_close(gmi(3 * llr, bits, m).value, gmi(llr, bits, m).value, rtol=1e-5, atol=1e-5)
    # Symbol-metric decoding is at least as good, and no rate exceeds capacity.
    points = torch.tensor(Constellation.from_name(name).points)
    logits = symbol_logits(y, points, noise_var)
    labels = labels_of_bits(bits.reshape(-1, m))
    information = mutual_information(logits, labels)
    assert bmd_rate(llr, bits, m).value - 1e-5 <= information.value < awgn_capacity(noise_var)
    loss = symbol_cross_entropy(logits, labels)
    assert abs(float(loss) / math.log(2) - (m - float(information.value))) < 1e-5


def test_maxlog_gmi_is_above_its_bmd_rate() -> None:
    bits, y = sent("64qam", 0.1)
    llr = Demodulator("64qam", "maxlog")(y, 0.1)
    assert gmi(llr, bits, 6).value > bmd_rate(llr, bits, 6).value + 0.01


def test_interval_covers() -> None:
    """Of 200 estimates about 95 % hold the true rate."""
    expected = bmd_rate_by_quadrature("qpsk", 0.5)
    bits, y = sent("qpsk", 0.5, 200_000)
    llr = Demodulator("qpsk")(y, 0.5).reshape(200, -1)
    rates = [bmd_rate(a, b, 2) for a, b in zip(llr, bits.reshape(200, -1), strict=True)]
    inside = [rate.interval[0] < expected < rate.interval[1] for rate in rates]
    assert 178 <= sum(inside) <= 199


def test_bit_cross_entropy() -> None:
    llr = torch.tensor([[0.0, 2.0, -1.0, 3.0]], requires_grad=True)
    bits = torch.tensor([[0, 1, 1, 0]])
    expected = [math.log(2), math.log1p(math.exp(-2)), math.log1p(math.exp(1)), math.log1p(math.exp(3))]
    loss = bit_cross_entropy(llr, bits)
    assert abs(loss.item() - np.mean(expected)) < 1e-6
    weighted = bit_cross_entropy(llr, bits, torch.tensor([[2.0, 0.0]]))
    assert abs(weighted.item() - 2 * sum(expected[:2]) / 4) < 1e-6
    loss.backward()
    torch.testing.assert_close(llr.grad, (torch.sigmoid(llr.detach()) - bits) / 4)
    with pytest.raises(ValueError, match="llr has shape"):
        bit_cross_entropy(llr, bits[0])


def test_rates_pass_gradients() -> None:
    bits, y = sent("16qam", 0.2, 500)
    noise_var = torch.tensor(0.3, requires_grad=True)
    (slope,) = torch.autograd.grad(bmd_rate(Demodulator("16qam")(y, noise_var), bits, 4).value, noise_var)
    assert slope < 0  # told too much noise: telling the truth (0.2) is better
    (slope,) = torch.autograd.grad(gmi(Demodulator("16qam")(y, noise_var), bits, 4).value, noise_var)
    assert torch.isfinite(slope)
