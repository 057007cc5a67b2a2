# SPDX-License-Identifier: GPL-3.0-or-later
"""Activations of complex numbers. All but CReLU keep the phase."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CReLU(nn.Module):
    """``ReLU(Re z) + j ReLU(Im z)``, elementwise.

    Source:
        Trabelsi et al., "Deep complex networks", 2018, section 3.4.
    """

    def forward(self, z: Tensor) -> Tensor:
        return torch.complex(z.real.relu(), z.imag.relu())


class ModReLU(nn.Module):
    """``ReLU(|z| - threshold) z / |z|``, elementwise, 0 at 0: the modulus shrinks, the phase stays.

    Args:
        threshold: one number for all elements; negative ones grow the modulus.
        trainable: learn it.
    Source:
        Arjovsky, Shah, Bengio, "Unitary evolution recurrent neural networks", 2016, eq. 8 (its b is -threshold).
    """

    threshold: Tensor

    def __init__(self, threshold: float = 0.1, *, trainable: bool = False) -> None:
        super().__init__()
        value = torch.tensor(float(threshold))
        if trainable:
            self.threshold = nn.Parameter(value)
        else:
            self.register_buffer("threshold", value)

    def forward(self, z: Tensor) -> Tensor:
        return _shrink(z, self.threshold)


class AdaptiveModReLU(nn.Module):
    """ModReLU with a threshold learnt for each channel.

    Args:
        channels: size of dimension 1 of the input.
        threshold: initial value.
    Shape:
        [B, channels, ...] complex -> the same.
    Raises:
        ValueError: dimension 1 is not ``channels`` long.
    """

    def __init__(self, channels: int, threshold: float = 0.1) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full((channels,), float(threshold)))

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim < 2 or z.shape[1] != len(self.threshold):
            raise ValueError(f"the input has shape {tuple(z.shape)}; it must be [B, {len(self.threshold)}, ...]")
        return _shrink(z, self.threshold.reshape(-1, *[1] * (z.ndim - 2)))

    def extra_repr(self) -> str:
        return str(len(self.threshold))


class Cardioid(nn.Module):
    """``(1 + cos(arg z)) z / 2``, elementwise: ReLU on the real axis, smooth between.

    Source:
        Virtue, Yu, Lustig, "Better than real: complex-valued neural nets for MRI fingerprinting", 2017.
    """

    def forward(self, z: Tensor) -> Tensor:
        modulus = z.abs()
        cosine = z.real / torch.where(modulus > 0, modulus, 1)
        return 0.5 * (1 + cosine) * z


def _shrink(z: Tensor, threshold: Tensor) -> Tensor:
    modulus = z.abs()
    # The inner `where` keeps 0/0 out of the gradient, the outer one makes 0 of 0 for negative thresholds.
    scale = (1 - threshold.to(modulus.dtype) / torch.where(modulus > 0, modulus, 1)).relu()
    return torch.where(modulus > 0, scale, 0) * z
