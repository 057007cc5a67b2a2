# SPDX-License-Identifier: GPL-3.0-or-later
"""Soft bits P(b=1) from LLRs, sharper or hard ones for training."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_bits(llr: Tensor, temperature: float = 1.0, *, straight_through: bool = False) -> Tensor:
    """``sigmoid(llr / temperature)``; below 1 is sharper.

    With ``straight_through`` the values are 0 or 1 and the gradient is that of the soft bits.
    """
    probability = torch.sigmoid(llr if temperature == 1.0 else llr / temperature)
    return harden(probability) if straight_through else probability


def harden(soft: Tensor) -> Tensor:
    """1 where a soft bit exceeds 1/2, else 0; the gradient passes as if nothing had been done (straight-through).

    Source: Bengio, Leonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013.
    """
    return (soft.detach() > 0.5).to(soft.dtype) + (soft - soft.detach())


def check_temperature(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be positive")
    return float(temperature)
