# SPDX-License-Identifier: GPL-3.0-or-later
"""Our side of the benchmark: each case returns a function without arguments, which does the work once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem import (
    AWGN,
    Demodulator,
    Modulator,
    NeuralDemapper,
    TrainableConstellation,
    bit_cross_entropy,
    kernels,
)

Work = Callable[[], Any]
NOISE_VAR = 0.1


def points_of(name: str) -> Any:
    """ "random-64": 64 points without order; else a constellation's name."""
    if name.startswith("random-"):
        rng = np.random.default_rng(1)
        count = int(name.split("-")[1])
        return Constellation(rng.normal(size=count) + 1j * rng.normal(size=count), name=name)
    return Constellation.from_name(name)


def received(symbols: int) -> torch.Tensor:
    return torch.randn(128, symbols // 128 or 1, dtype=torch.complex64)


def formulas(use: bool) -> None:
    """Do without the C++ kernels, as an installation that has not built them."""
    if use:
        kernels.TrainingDemapper = None
    assert use or kernels.TrainingDemapper is not None, "the kernels are not built: see README"


def forward(
    name: str, method: str, symbols: int, soft: bool = False, compiled: bool = False, without_kernels: bool = False
) -> Work:
    formulas(without_kernels)
    demodulator = Demodulator(points_of(name), method)
    run = demodulator.forward_soft if soft else demodulator
    run = torch.compile(run) if compiled else run
    y = received(symbols)
    return lambda: run(y, NOISE_VAR)


def forward_backward(
    name: str, method: str, symbols: int, compiled: bool = False, without_kernels: bool = False, points: bool = False
) -> Work:
    """Gradient of the sum of the LLRs to the symbols, or to the symbols and the points."""
    formulas(without_kernels)
    source = TrainableConstellation(points_of(name), center=False, normalize=False) if points else points_of(name)
    demodulator = Demodulator(source, method)
    run = torch.compile(demodulator) if compiled else demodulator
    y = received(symbols).requires_grad_()
    wanted = [y, *demodulator.parameters()]
    return lambda: torch.autograd.grad(run(y, NOISE_VAR).sum(), wanted)


def modulate(name: str, symbols: int, soft: bool = False) -> Work:
    modulator = Modulator(points_of(name))
    bits = torch.randint(0, 2, (128, symbols // 128 * modulator.bits_per_symbol)).float()
    return (lambda: modulator.forward_soft(bits)) if soft else (lambda: modulator(bits))


def neural_step(constellation: str = "fixed", compiled: bool = False) -> Work:
    """64-QAM through AWGN into 64-64-6 dense layers, 128 blocks of 1200 bits, BCE, Adam."""
    source = TrainableConstellation("64qam") if constellation == "trained" else "64qam"
    modulator, channel, demapper = Modulator(source), AWGN(), NeuralDemapper(6, (64, 64))
    parameters = [*modulator.parameters(), *demapper.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)

    def loss(bits: torch.Tensor, noise_var: torch.Tensor) -> torch.Tensor:
        return bit_cross_entropy(demapper(channel(modulator(bits), noise_var=noise_var), noise_var), bits)

    run = torch.compile(loss) if compiled else loss

    def step() -> float:
        bits = torch.randint(0, 2, (128, 1200), dtype=torch.uint8)
        noise_var = 10 ** (-torch.empty(128, 1).uniform_(1.0, 2.0))
        optimizer.zero_grad()
        value = run(bits, noise_var)
        value.backward()
        optimizer.step()
        return float(value)

    return step


def llrs(name: str, method: str, noise_var: float, folder: str) -> Work:
    """LLRs of fixed symbols, float32, into a file."""

    def run() -> str:
        y = torch.from_numpy(np.load(Path(folder) / "symbols.npy"))
        np.save(Path(folder) / "ours.npy", Demodulator(points_of(name), method)(y, noise_var).numpy())
        return "saved"

    return run


def versions() -> dict[str, str]:
    from gr_softmod.bindings import _kernels

    return {"torch": torch.__version__, "simd": _kernels.simd_target(), "threads": str(torch.get_num_threads())}
