# SPDX-License-Identifier: GPL-3.0-or-later
"""Demapper models for tests: random ones, and QPSK's, whose LLRs are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.model_file import DemapperFile, DemapperLayer


def symbols(count: int, seed: int = 1) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 2)) @ [1, 1j]).astype(np.complex64)


def demapper_model(m: int, *, int8: bool = False, seed: int = 0, width: int = 64) -> DemapperFile:
    """Three layers of random weights."""
    rng = np.random.default_rng(seed)

    def layer(outputs: int, inputs: int) -> DemapperLayer:
        weight, bias = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs), rng.normal(size=outputs)
        return DemapperLayer(weight.astype(np.float32), bias.astype(np.float32))

    layers = [layer(width, 3), layer(width, width), layer(m, width)]
    if int8:
        step = np.abs(layers[1].weight).max(axis=1) / 127
        weight = np.rint(layers[1].weight / step[:, None]).astype(np.int8)
        scale = np.array([30.0], np.float32)
        layers[1] = DemapperLayer(weight, layers[1].bias, (step / scale).astype(np.float32), scale)
    points = Constellation.psk(1 << m).points
    pairs = np.stack([points.real, points.imag], -1)[None].astype(np.float32)
    return DemapperFile("random", tuple(layers), 0.1, pairs, np.ones(1, np.float32))


def qpsk_model(sign: float = 1.0) -> DemapperFile:
    """The exact demapper of QPSK as a network of one layer: llr = -2 sqrt(2) y / noise_var, times ``sign``."""
    weight = sign * -2 * np.sqrt(2) / 0.1 * np.eye(2, 3)
    points = Constellation.qpsk().points
    pairs = np.stack([points.real, points.imag], -1)[None].astype(np.float32)
    only = DemapperLayer(weight.astype(np.float32), np.zeros(2, np.float32))
    return DemapperFile("QPSK", (only,), 0.1, pairs, np.ones(1, np.float32), {"sign": sign})
