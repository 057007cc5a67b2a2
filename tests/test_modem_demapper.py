# SPDX-License-Identifier: GPL-3.0-or-later
"""LLRs against the float64 brute force, gradients against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem import Demodulator
from oracle import assert_llr_close, brute_force_llr

ALL = [Constellation.from_name(name) for name in Constellation.names()]
SMALL = [c for c in ALL if c.order <= 16]
GRID = [1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0, 1e3]
METHODS = ["exact", "maxlog"]


def received(constellation: Constellation, noise_var: float, n: int = 48) -> np.ndarray:
    """Symbols as float32 hardware would see them: noisy ones, ones far out, ones between the points, zero."""
    rng = np.random.default_rng(7)
    y = constellation.points[rng.integers(constellation.order, size=n)]
    y = y + math.sqrt(min(noise_var, 10.0) / 2) * (rng.normal(size=n) + 1j * rng.normal(size=n))
    y[:4] = rng.normal(size=4) * 5 + 1j * rng.normal(size=4) * 5
    y[4:8] = (constellation.points[0] + constellation.points[rng.integers(constellation.order, size=4)]) / 2
    y[8] = 0
    return y.astype(np.complex64)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_llr_equals_brute_force(constellation, method):
    demodulator = Demodulator(constellation, method)
    for noise_var in GRID:
        y = received(constellation, noise_var)
        llr = demodulator(torch.from_numpy(y), noise_var=noise_var)
        assert llr.dtype == torch.float32
        expected = brute_force_llr(constellation, constellation.derotate(y), noise_var, method=method)
        assert_llr_close(llr, expected, y, noise_var)
