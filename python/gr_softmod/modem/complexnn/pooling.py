# SPDX-License-Identifier: GPL-3.0-or-later
"""Dropout and pooling that treat a complex number as one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zero complex elements with probability ``p`` in training and scale the others by ``1 / (1 - p)``.

    Real and imaginary part go together. ``whole_channels=True`` drops [B, C] channels of [B, C, ...] as one.

    Raises:
        ValueError: p lies outside [0, 1).
    """

    def __init__(self, p: float = 0.5, *, whole_channels: bool = False) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p is {p}; it must lie in [0, 1)")
        self.p, self.whole_channels = p, whole_channels

    def forward(self, z: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return z
        shape = (*z.shape[:2], *[1] * (z.ndim - 2)) if self.whole_channels else z.shape
        keep = torch.rand(shape, dtype=z.real.dtype, device=z.device) >= self.p
        return z * (keep / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}, whole_channels={self.whole_channels}"


class ModulusMaxPool1d(nn.Module):
    """Of each window, the element of largest modulus, with its phase (the first of equals).

    Args:
        kernel_size, stride, padding, dilation, ceil_mode: as nn.MaxPool1d.
    Shape:
        [B, C, N] or [C, N] complex -> [B, C, M] or [C, M] complex.
    """

    def __init__(
        self, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, z: Tensor) -> Tensor:
        # Squared: the same order, and no root whose derivative at 0 nobody needs.
        _, index = F.max_pool1d(
            (z.real**2 + z.imag**2).detach(),
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            return_indices=True,
        )
        return z.gather(-1, index)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
