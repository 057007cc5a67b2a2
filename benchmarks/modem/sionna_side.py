# SPDX-License-Identifier: GPL-3.0-or-later
"""Sionna's side of the benchmark: the cases of ours.py in its own blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sionna
import torch
from sionna.phy import config
from sionna.phy.channel import AWGN
from sionna.phy.mapping import BinarySource, Constellation, Demapper, Mapper
from torch import nn

config.device = "cpu"
Work = Callable[[], Any]
NOISE_VAR = 0.1
METHODS = {"exact": "app", "maxlog": "maxlog"}


def constellation(name: str) -> tuple[dict[str, Any], int]:
    """Arguments of Mapper and Demapper, and bits per symbol."""
    if name.startswith("random-"):
        rng = np.random.default_rng(1)
        count = int(name.split("-")[1])
        points = rng.normal(size=count) + 1j * rng.normal(size=count)
        bits = count.bit_length() - 1
        custom = Constellation("custom", bits, points=points.astype(np.complex64), normalize=True)
        return {"constellation": custom}, bits
    bits = {"qpsk": 2}.get(name) or int(name.removesuffix("qam")).bit_length() - 1
    return {"constellation_type": "qam", "num_bits_per_symbol": bits}, bits


def received(symbols: int) -> torch.Tensor:
    return torch.randn(128, symbols // 128 or 1, dtype=torch.complex64)


def forward(name: str, method: str, symbols: int, compiled: bool = False) -> Work:
    demapper = Demapper(METHODS[method], **constellation(name)[0])
    run = torch.compile(demapper) if compiled else demapper
    y, no = received(symbols), torch.tensor(NOISE_VAR)
    return lambda: run(y, no)


def forward_backward(name: str, method: str, symbols: int, compiled: bool = False, points: bool = False) -> Work:
    arguments, bits = constellation(name)
    wanted: list[torch.Tensor] = []
    if points:
        start = arguments["constellation"].points.detach()
        real, imag = (nn.Parameter(part.clone()) for part in (start.real, start.imag))
        wanted = [real, imag]
        moving = Constellation("custom", bits, points=start)
        arguments = {"constellation": moving}
    demapper = Demapper(METHODS[method], **arguments)

    def llr(y: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
        if points:
            moving.points = torch.complex(real, imag)
        return demapper(y, no)

    run = torch.compile(llr) if compiled else llr
    y, no = received(symbols).requires_grad_(), torch.tensor(NOISE_VAR)
    return lambda: torch.autograd.grad(run(y, no).sum(), [y, *wanted])


def modulate(name: str, symbols: int) -> Work:
    arguments, bits = constellation(name)
    mapper = Mapper(**arguments)
    data = torch.randint(0, 2, (128, symbols // 128 * bits)).float()
    return lambda: mapper(data)


def neural_step(constellation: str = "fixed", compiled: bool = False) -> Work:
    """The neural demapper of Sionna's tutorial: real and imaginary part, and here log10 of the noise as well."""
    source, channel = BinarySource(), AWGN()
    layers = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))
    parameters = [*layers.parameters()]
    if constellation == "trained":
        start = Constellation("qam", 6).points
        real, imag = (nn.Parameter(part.clone()) for part in (start.real, start.imag))
        parameters += [real, imag]
        points = Constellation("custom", 6, points=start, normalize=True, center=True)
        mapper = Mapper(constellation=points)
    else:
        mapper = Mapper("qam", 6)
    optimizer = torch.optim.Adam(parameters, 1e-3)

    def loss(bits: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
        if constellation == "trained":
            points.points = torch.complex(real, imag)
        y = channel(mapper(bits), no)
        features = torch.stack((y.real, y.imag, no.log10().expand(y.shape)), -1)
        llr = layers(features).reshape(bits.shape)
        return nn.functional.binary_cross_entropy_with_logits(llr, bits)

    run = torch.compile(loss) if compiled else loss

    def step() -> float:
        bits = source([128, 1200])
        no = 10 ** (-torch.empty(128, 1).uniform_(1.0, 2.0))
        optimizer.zero_grad()
        value = run(bits, no)
        value.backward()
        optimizer.step()
        return float(value)

    return step


def llrs(name: str, method: str, noise_var: float, folder: str) -> Work:
    def run() -> str:
        y = torch.from_numpy(np.load(Path(folder) / "symbols.npy"))
        demapper = Demapper(METHODS[method], **constellation(name)[0])
        np.save(Path(folder) / "sionna.npy", demapper(y, torch.tensor(noise_var)).numpy())
        return "saved"

    return run


def versions() -> dict[str, str]:
    return {"sionna": sionna.__version__, "torch": torch.__version__, "threads": str(torch.get_num_threads())}
