# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels, bits, and soft bits P(b=1), sharper or hard ones for training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

METHODS = ("exact", "maxlog")


def labels_of_bits(bits: Tensor) -> Tensor:
    """Labels [...] int64 of bits [..., m] in {0, 1}, most significant first."""
    # One product; float32 holds labels of up to 24 bits exactly, which half precision would not.
    weights = 2.0 ** torch.arange(bits.shape[-1] - 1, -1, -1, device=bits.device)
    with torch.autocast(bits.device.type, enabled=False):
        return (bits.to(torch.float32) @ weights).to(torch.int64)


def bits_of_labels(labels: Tensor, bits_per_symbol: int) -> Tensor:
    """Bits [..., N * m] uint8 of labels [..., N], most significant first."""
    shifts = torch.arange(bits_per_symbol - 1, -1, -1, device=labels.device)
    return ((labels[..., None] >> shifts) & 1).to(torch.uint8).flatten(-2)


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


class SoftReceiver(nn.Module):
    """Base of what gives LLRs in ``forward(symbols, noise_var, priors=None)``: soft and hard bits follow from them.

    Args:
        method: "exact" (log-MAP) or "maxlog".
        temperature: ``forward_soft`` gives sigmoid(llr / temperature).
        straight_through: ``forward_soft`` gives 0 and 1 with the gradient of the soft bits.
    Raises:
        ValueError: there is no such method; temperature is not positive.
    """

    def __init__(self, method: str = "exact", *, temperature: float = 1.0, straight_through: bool = False) -> None:
        super().__init__()
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}; it must be positive")
        self.method = method
        self.temperature = float(temperature)
        self.straight_through = straight_through

    def extra_repr(self) -> str:
        return f"method={self.method!r}"

    def forward_soft(self, symbols: Tensor, noise_var: Any, priors: Tensor | None = None) -> Tensor:
        """Soft bits P(b=1 | y): the sigmoid of :meth:`forward`, at the module's temperature."""
        llr = self(symbols, noise_var) if priors is None else self(symbols, noise_var, priors)
        return soft_bits(llr, self.temperature, straight_through=self.straight_through)

    def hard(self, symbols: Tensor, noise_var: Any = 1.0, priors: Tensor | None = None) -> Tensor:
        """Decided bits, uint8: 1 where the LLR is positive.

        Without priors the "maxlog" decision is the most likely one whatever ``noise_var`` is.
        """
        llr = self(symbols, noise_var) if priors is None else self(symbols, noise_var, priors)
        return (llr > 0).to(torch.uint8)
