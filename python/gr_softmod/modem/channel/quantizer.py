# SPDX-License-Identifier: GPL-3.0-or-later
"""Analogue-to-digital conversion with a straight-through gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check_complex, hold


class Quantizer(nn.Module):
    """A pair of converters: real and imaginary part rounded to ``2^bits`` uniform levels, clipped at the ends.

    Mid-rise: levels at ``(k + 1/2) step``, ``step = 2 full_scale / 2^bits``. Backward, rounding is taken for the
    identity: the gradient to the signal is 1 inside the range and 0 where it clips; that to ``full_scale`` is the
    rounding error over the scale inside and the end level's share outside, so the range can be learnt.

    Args:
        bits: of each converter, 1 to 24.
        full_scale: positive amplitude at which clipping begins; number or tensor that broadcasts to the signal.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: an argument is out of range; the signal is not complex.
    Source:
        Esser et al., "Learned step size quantization", 2020 (gradient to the scale).
    """

    full_scale: Tensor

    def __init__(self, bits: int, full_scale: float | Tensor = 1.0) -> None:
        super().__init__()
        if int(bits) != bits or not 1 <= bits <= 24:
            raise ValueError(f"bits is {bits}; it must be a whole number from 1 to 24")
        self.bits = int(bits)
        hold(self, "full_scale", full_scale, lambda v: v > 0, "it must be positive")

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        half = 2 ** (self.bits - 1)
        step = self.full_scale.to(signal.real.dtype) / half
        if step.ndim:
            step = step[..., None]
        scaled = torch.view_as_real(signal) / step
        clipped = scaled.clamp(-half, half)
        level = (torch.floor(clipped) + 0.5).clamp(0.5 - half, half - 0.5)
        # Where it clips, `scaled - clipped` takes the gradient away and `level` stands for the end level.
        straight = clipped + (level - clipped).detach()
        return torch.view_as_complex((straight * step).contiguous())

    def extra_repr(self) -> str:
        return f"bits={self.bits}"
