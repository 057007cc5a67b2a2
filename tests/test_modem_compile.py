# SPDX-License-Identifier: GPL-3.0-or-later
"""torch.compile in one graph on every module; autocast leaves LLRs alone or keeps them within the stated error."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor, nn

from gr_softmod import modem
from gr_softmod.modem import (
    ConditionedConstellation,
    Demodulator,
    MaxwellBoltzmann,
    Modulator,
    NeuralDemapper,
    TrainableConstellation,
    TrainableShaping,
    bit_cross_entropy,
)
from modem_helpers import complex_normal, random_bits

LINKS = {
    "qpsk": (lambda: Modulator("qpsk"), lambda: Demodulator("qpsk")),
    "64qam": (lambda: Modulator("64qam"), lambda: Demodulator("64qam")),
    "64qam-maxlog": (lambda: Modulator("64qam"), lambda: Demodulator("64qam", "maxlog")),
    "8psk": (lambda: Modulator("8psk"), lambda: Demodulator("8psk")),
    "8psk-maxlog": (lambda: Modulator("8psk"), lambda: Demodulator("8psk", "maxlog")),
    "pi4-qpsk": (lambda: Modulator("pi4-qpsk"), lambda: Demodulator("pi4-qpsk")),
    "oqpsk": (modem.OQPSKModulator, modem.OQPSKDemodulator),
    "dqpsk": (modem.DQPSKModulator, modem.DQPSKDemodulator),
    "gmsk": (modem.GMSKModulator, modem.GMSKDemodulator),
    "straight-through": (
        lambda: Modulator("16qam", straight_through=True),
        lambda: Demodulator("16qam", temperature=2.0, straight_through=True),
    ),
    "neural": (lambda: Modulator("16qam"), lambda: NeuralDemapper(4, hidden=(8,))),
}
SOURCES = {
    "trained": lambda: TrainableConstellation("16qam"),
    "conditioned": lambda: ConditionedConstellation("16qam"),
    "maxwell-boltzmann": lambda: MaxwellBoltzmann("16qam", 0.3, trainable=True),
    "shaped": lambda: TrainableShaping(TrainableConstellation("16qam")),
}


class Link(nn.Module):
    """Soft bits -> symbols -> soft bits, at a noise_var of each row."""

    def __init__(self, modulator: nn.Module, demodulator: nn.Module, conditioned: bool = False) -> None:
        super().__init__()
        self.modulator, self.demodulator, self.conditioned = modulator, demodulator, conditioned

    def forward(self, soft: Tensor, noise_var: Tensor | float) -> Tensor:
        arguments = (soft, noise_var) if self.conditioned else (soft,)
        return self.demodulator.forward_soft(self.modulator.forward_soft(*arguments), noise_var)


def build(name: str) -> Link:
    if name in LINKS:
        modulator, demodulator = LINKS[name]
        return Link(modulator(), demodulator())
    points = SOURCES[name]()
    return Link(Modulator(points), Demodulator(points), conditioned=True)


def check(name: str, backend: str, noise_var: Tensor | float) -> None:
    """Values and gradients of a link compiled in one graph are those of the plain one."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    link = build(name)
    soft = torch.rand(2, 24)
    results = []
    for run in (link, torch.compile(link, fullgraph=True, backend=backend)):
        leaf = soft.clone().requires_grad_()
        out = run(leaf, noise_var)
        link.zero_grad()
        bit_cross_entropy(torch.logit(out, 1e-6), (soft > 0.5).float()).backward()
        results.append([out, leaf.grad, *(p.grad.clone() for p in link.parameters() if p.grad is not None)])
    for got, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [*LINKS, *SOURCES])
def test_one_graph(name: str) -> None:
    check(name, "eager", torch.tensor([[0.2], [0.7]]))


@pytest.mark.parametrize("name", ["64qam", "8psk", "trained", "gmsk"])
def test_one_graph_forward_and_backward(name: str) -> None:
    check(name, "aot_eager", 0.2)


@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
def test_inductor() -> None:
    torch._dynamo.reset()
    demodulator = Demodulator("16qam")
    compiled = torch.compile(demodulator, fullgraph=True)
    results = []
    for run in (demodulator, compiled):
        y = complex_normal(50, dtype=torch.complex64).requires_grad_()
        llr = run(y, 0.1)
        results.append((llr, torch.autograd.grad(llr.square().sum(), y)[0]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-3)


def test_hard_bits_and_dynamic_lengths_in_one_graph() -> None:
    torch._dynamo.reset()
    modulator, demodulator = Modulator("64qam"), Demodulator("64qam")

    def link(bits: Tensor) -> Tensor:
        return demodulator.hard(modulator(bits), 0.01)

    compiled = torch.compile(link, fullgraph=True, dynamic=True, backend="eager")
    for n in (12, 60, 600):
        bits = random_bits(2, n)
        assert torch.equal(compiled(bits), bits.to(torch.uint8))


def test_bad_noise_var_in_a_graph_shows_as_nan() -> None:
    torch._dynamo.reset()
    compiled = torch.compile(Demodulator("16qam"), fullgraph=True, backend="eager")
    y = complex_normal(3, dtype=torch.complex64)
    llr = compiled(y, torch.tensor([0.1, -1.0, 0.0])).reshape(3, 4)
    assert torch.isfinite(llr[0]).all() and torch.isnan(llr[1:]).all()
    with pytest.raises(ValueError, match="noise_var is -1"):
        Demodulator("16qam")(y, -1.0)


# ------------------------------------------------------------------------------------------------ mixed precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LINKS)
def test_autocast(name: str, dtype: torch.dtype) -> None:
    """The closed forms compute in float32 or better whatever autocast says: not a bit changes."""
    modulator, demodulator = (build() for build in LINKS[name])
    bits = random_bits(2, 24)
    symbols = modulator(bits)
    samples = symbols + 0.3 * complex_normal(*symbols.shape, dtype=torch.complex64)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(modulator(bits), symbols)
        for noise_var in (1e-6, 0.1, 1e3):
            with torch.autocast("cpu", enabled=False):
                expected = demodulator(samples, noise_var)
            llr = demodulator(samples.requires_grad_(), noise_var)
            assert torch.isfinite(llr).all() and llr.dtype == torch.float32
            if name == "neural":
                # Its layers run in the lower precision: an error of a few units in the last place of the largest.
                assert (llr - expected).abs().max() < 8 * torch.finfo(dtype).eps * expected.abs().max().clamp(min=1)
            else:
                torch.testing.assert_close(llr, expected, rtol=1e-5, atol=1e-5)
            assert torch.isfinite(torch.autograd.grad(llr.sum(), samples)[0]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_widened(dtype: torch.dtype) -> None:
    y, noise_var = complex_normal(5, dtype=torch.complex64), torch.full((5,), 0.25, dtype=dtype)
    priors = torch.ones(20, dtype=dtype)
    expected = Demodulator("16qam")(y, 0.25, torch.ones(20))
    torch.testing.assert_close(Demodulator("16qam")(y, noise_var, priors), expected)
    soft = torch.rand(8).to(dtype)
    assert torch.equal(Modulator("16qam").forward_soft(soft), Modulator("16qam").forward_soft(soft.float()))
