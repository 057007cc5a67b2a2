# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded inputs and the calibration check of the modem's tests."""

from __future__ import annotations

import math

import torch


def random_bits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed))


def complex_normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, low: float = 0.2, seed: int = 1) -> torch.Tensor:
    return low + torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def assert_calibrated(soft: torch.Tensor, bits: torch.Tensor) -> None:
    for low in torch.arange(0.0, 1.0, 0.1):
        chosen = (soft >= low) & (soft < low + 0.1)
        count = int(chosen.sum())
        if count >= 200:
            mean = soft[chosen].mean()
            deviation = math.sqrt(float((soft[chosen] * (1 - soft[chosen])).sum())) / count
            assert abs(float(bits[chosen].double().mean() - mean)) < 5 * deviation + 1e-6
