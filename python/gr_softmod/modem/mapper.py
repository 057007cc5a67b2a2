# SPDX-License-Identifier: GPL-3.0-or-later
"""Modulator: bits, hard or soft, to symbols."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem import kernels
from gr_softmod.modem.arguments import check_bits
from gr_softmod.modem.expectation import expected_parts
from gr_softmod.modem.points import Points, as_points
from gr_softmod.modem.soft_bits import harden, labels_of_bits

_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


class Modulator(nn.Module):
    """Bits to symbols, one sample a symbol.

    Args:
        constellation: a Constellation, its name, an array of points by label, or a module with points
            (:class:`~gr_softmod.modem.trainable.TrainableConstellation`, a shaped one ...).
        straight_through: ``forward_soft`` rounds its soft bits and passes the gradient as if it had not.
    Shape:
        bits [..., N * m], first bit of a symbol first -> symbols [..., N].
    """

    def __init__(self, constellation: Points | Constellation | str | Any, *, straight_through: bool = False) -> None:
        super().__init__()
        self.points = as_points(constellation)
        self.straight_through = straight_through

    @property
    def bits_per_symbol(self) -> int:
        return self.points.bits_per_symbol

    def forward(
        self, bits: Tensor, noise_var: float | Tensor | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Symbols of hard bits.

        Args:
            bits: 0 or 1 of any real or bool dtype [..., N * m].
            noise_var: for constellations that depend on it; broadcastable to the symbols.
            dtype: complex64 or complex128; default: complex128 for float64 bits, else complex64.
        Returns:
            symbols [..., N].
        Raises:
            ValueError: bits do not fill whole symbols or are not 0 and 1 (values: eager mode on a CPU only).
        """
        real = _REAL[complex_dtype(bits, dtype)]
        grouped = check_bits(bits, self.bits_per_symbol, soft=False)
        labels = labels_of_bits(grouped)
        points = self.points(real, _like(noise_var, bits, real))
        if points.dim() == 1:
            symbols = points.index_select(0, labels.flatten()).reshape(labels.shape)
        else:
            symbols = points.expand(*labels.shape, -1).gather(-1, labels[..., None])[..., 0]
        return turn(symbols, self.points.rotation)

    def forward_soft(
        self, soft_bits: Tensor, noise_var: float | Tensor | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Expected symbols when the bits are independent with P(b=1) = ``soft_bits``; on 0 and 1 exactly ``forward``.

        Args, Returns, Raises: as :meth:`forward`, for soft bits in [0, 1].
        """
        real = _REAL[complex_dtype(soft_bits, dtype)]
        grouped = check_bits(soft_bits, self.bits_per_symbol, soft=True).to(real)
        if self.straight_through:
            grouped = harden(grouped)
        tables: list[Tensor | None] = [None, None]
        bits: list[tuple[int, ...]] = [(), ()]
        axis_tables = self.points.tables(real, _like(noise_var, soft_bits, real))[::2]
        for axis, table in zip(self.points.axes, axis_tables, strict=True):
            assert table is not None
            for d, levels in zip(axis.dimensions, table, strict=True):
                tables[d], bits[d] = levels, axis.bits
        return turn(_expected_symbols(grouped, tables, bits), self.points.rotation)


def _expected_symbols(probabilities: Tensor, tables: list[Tensor | None], bits: list[tuple[int, ...]]) -> Tensor:
    """Symbols [..., N] of P(b=1) [..., N, m]; for the real and the imaginary part a table, or None for 0."""
    real, imag = tables
    if real is not None and real.dim() == 1 and kernels.usable(probabilities):
        flat = probabilities.reshape(-1, probabilities.shape[-1])
        return kernels.expect(flat, real, imag, *bits).reshape(probabilities.shape[:-1])
    zero = torch.zeros_like(probabilities[..., 0])
    pairs = zip(tables, bits, strict=True)
    return torch.complex(*(zero if t is None else expected_parts(probabilities, [t], [b])[0] for t, b in pairs))


def turn(symbols: Tensor, rotation: float) -> Tensor:
    """Symbol n of [..., N] turned by n * rotation."""
    if rotation == 0.0:
        return symbols
    phase = rotation * torch.arange(symbols.shape[-1], dtype=torch.float64, device=symbols.device)
    return symbols * torch.polar(torch.ones_like(phase), phase).to(symbols.dtype)


def complex_dtype(bits: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """``dtype``, or by default complex128 for float64 bits and complex64 for all others."""
    if dtype not in (None, torch.complex64, torch.complex128):
        raise ValueError(f"dtype is {dtype}; symbols are torch.complex64 or torch.complex128")
    return dtype or (torch.complex128 if bits.dtype == torch.float64 else torch.complex64)


def _like(noise_var: float | Tensor | None, bits: Tensor, real: torch.dtype) -> Tensor | None:
    return None if noise_var is None else torch.as_tensor(noise_var, dtype=real, device=bits.device)
