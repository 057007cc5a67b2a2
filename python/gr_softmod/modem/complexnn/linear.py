# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear maps of complex tensors: a dense layer and a convolution that is computed in real arithmetic."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gr_softmod.modem.complexnn.init import glorot_

# Below so many input channels per group one real convolution of twice the channels is faster, from there on three of
# the same channels (benchmarks/complexnn).
_FEW_CHANNELS = 24


class Linear(nn.Linear):
    """``y = W x + b`` with complex W and b: nn.Linear with complex initial values.

    Computed by torch's own complex matrix product, which is faster than its real block form.

    Args:
        in_features, out_features, bias: as nn.Linear; dtype is complex64 unless given.
    Shape:
        [..., in_features] complex -> [..., out_features] complex.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **options: Any) -> None:
        super().__init__(in_features, out_features, bias, **_complex_options(options))

    def reset_parameters(self) -> None:
        glorot_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Conv1d(nn.Conv1d):
    """nn.Conv1d for complex tensors, computed in real arithmetic (see :func:`conv1d`).

    Args:
        as nn.Conv1d (stride, padding, dilation, groups, bias, padding_mode); dtype is complex64 unless given.
    Shape:
        [B, C_in, N] or [C_in, N] complex -> [B, C_out, M] or [C_out, M] complex.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, **options: Any) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **_complex_options(options))

    def reset_parameters(self) -> None:
        glorot_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        out = conv1d(input, weight, stride=self.stride, padding=padding, dilation=self.dilation, groups=self.groups)
        return out if bias is None else out + bias[:, None]


def conv1d(signal: Tensor, weight: Tensor, *, groups: int = 1, **options: Any) -> Tensor:
    """Complex convolution [B, C_in, N] * [C_out, C_in / groups, K] -> [B, C_out, M] by real ones.

    ``[yr; yi] = [[Wr, -Wi], [Wi, Wr]] [xr; xi]``. With few input channels that is one real convolution; with more,
    three of half the size each way, by Gauss' identity: ``p = Wr (xr + xi)``, ``yr = p - (Wr + Wi) xi``,
    ``yi = p + (Wi - Wr) xr``. Under autocast the real convolutions run in its precision; the result keeps the
    signal's dtype.

    Args:
        options: stride, padding, dilation of torch.nn.functional.conv1d.
    Raises:
        ValueError: signal or weight is not complex.
    """
    if not signal.is_complex() or not weight.is_complex():
        raise ValueError(f"signal is {signal.dtype} and weight {weight.dtype}; both must be complex")
    if signal.ndim == 2:
        return conv1d(signal[None], weight, groups=groups, **options)[0]
    form = _one_convolution if weight.shape[1] < _FEW_CHANNELS else _three_convolutions
    real, imag = form(signal, weight, groups, options)
    return torch.complex(real.to(signal.real.dtype), imag.to(signal.real.dtype))


def _one_convolution(signal: Tensor, weight: Tensor, groups: int, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    real, imag = weight.real.unflatten(0, (groups, -1)), weight.imag.unflatten(0, (groups, -1))
    block = torch.cat([torch.cat([real, -imag], 2), torch.cat([imag, real], 2)], 1).flatten(0, 1)
    parts = signal.unflatten(1, (groups, -1))
    out = F.conv1d(torch.cat([parts.real, parts.imag], 2).flatten(1, 2), block, groups=groups, **options)
    yr, yi = out.unflatten(1, (groups, 2, -1)).unbind(2)
    return yr.flatten(1, 2), yi.flatten(1, 2)


def _three_convolutions(signal: Tensor, weight: Tensor, groups: int, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    xr, xi, wr, wi = signal.real, signal.imag, weight.real, weight.imag
    both = F.conv1d(xr + xi, wr, groups=groups, **options)
    real = both - F.conv1d(xi, wr + wi, groups=groups, **options)
    imag = both + F.conv1d(xr, wi - wr, groups=groups, **options)
    return real, imag


def _complex_options(options: dict[str, Any]) -> dict[str, Any]:
    options = {"dtype": torch.complex64, **options}
    if not options["dtype"].is_complex:
        raise ValueError(f"dtype is {options['dtype']}; it must be complex")
    return options
