# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a modulator and a demodulator find their points: fixed ones; trained and shaped ones have their own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.soft_demap import Axis

Tables = tuple[Tensor | None, ...]


class Points(nn.Module):
    """Base of the sources of points.

    Attributes:
        name: for people.
        order, bits_per_symbol: M and m.
        rotation: radians by which symbol n is turned n times.
        axes: what decides which bits; "both" for points that may lie anywhere.
        equiprobable: labels are, so the points say everything.
        follows_noise: the points depend on noise_var.
    """

    equiprobable = False
    follows_noise = False

    def __init__(self, name: str, bits_per_symbol: int, rotation: float = 0.0) -> None:
        super().__init__()
        self.name = name
        self.bits_per_symbol = bits_per_symbol
        self.order = 1 << bits_per_symbol
        self.rotation = rotation
        self.axes: tuple[Axis, ...] = (Axis("both", tuple(range(bits_per_symbol))),)

    def extra_repr(self) -> str:
        return f"{self.name}, order={self.order}"

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        """Points by label, complex [M]; [..., M] where they depend on ``noise_var`` [...]. ``dtype`` is a real one."""
        raise NotImplementedError

    def log_prob(self, dtype: torch.dtype = torch.float32) -> Tensor | None:
        """ln P(label) [M]; None for equiprobable labels."""
        return None

    def tables(self, dtype: torch.dtype, noise_var: Tensor | None = None) -> Tables:
        """For each axis its points [D, L] and the log-probabilities [L] of them or None."""
        return torch.view_as_real(self(dtype, noise_var)).movedim(-1, 0), self.log_prob(dtype)


class FixedPoints(Points):
    """The points of a :class:`~gr_softmod.constellation.Constellation`, an axis at a time where it separates.

    Tables are kept in float32 and float64 whatever the module is cast to (``module.half()`` would spoil them).
    """

    equiprobable = True
    points32: Tensor
    points64: Tensor

    def __init__(self, constellation: Constellation) -> None:
        super().__init__(constellation.name, constellation.bits_per_symbol, constellation.rotation)
        self.constellation = constellation
        axes = constellation.axes
        points = constellation.points
        if axes is not None:
            parts = (("real", axes.i_bits, axes.i_levels), ("imag", axes.q_bits, axes.q_levels))
            self.axes = tuple(Axis(part, bits) for part, bits, _ in parts if bits)
            self._levels = [np.asarray(levels)[None] for _, bits, levels in parts if bits]
            # The points are put together from the levels, so that both forms agree to the last bit.
            label = constellation.bits.astype(np.int64)
            index = [label @ _weights(bits, constellation.bits_per_symbol) for _, bits, _ in parts]
            points = axes.i_levels[index[0]] + 1j * axes.q_levels[index[1]]
        else:
            self._levels = [np.stack((points.real, points.imag))]
        self._points = points
        self._fill(torch.device("cpu"))

    def _fill(self, device: torch.device) -> None:
        for name, dtype in (("32", torch.float32), ("64", torch.float64)):
            if device.type == "mps" and dtype == torch.float64:
                continue
            pairs = np.stack((self._points.real, self._points.imag), -1)
            self.register_buffer(f"points{name}", torch.tensor(pairs, dtype=dtype, device=device), persistent=False)
            for a, levels in enumerate(self._levels):
                tensor = torch.tensor(levels, dtype=dtype, device=device)
                self.register_buffer(f"levels{name}_{a}", tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._fill(fn(torch.empty(0, device=self.points32.device)).device)
        return self

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        return torch.view_as_complex(self.points64 if dtype == torch.float64 else self.points32)

    def tables(self, dtype: torch.dtype, noise_var: Tensor | None = None) -> Tables:
        size = "64" if dtype == torch.float64 else "32"
        pairs = [(getattr(self, f"levels{size}_{a}"), None) for a in range(len(self.axes))]
        return tuple(table for pair in pairs for table in pair)


def as_points(source: Points | Constellation | str | Any) -> Points:
    """A source of points as it is; a Constellation, a name or an array of points by label made into one."""
    if isinstance(source, Points):
        return source
    if isinstance(source, str):
        source = Constellation.from_name(source)
    elif not isinstance(source, Constellation):
        source = Constellation(source.detach().cpu().numpy() if isinstance(source, Tensor) else source)
    return FixedPoints(source)


def _weights(bits: tuple[int, ...], m: int) -> np.ndarray:
    """Column by which a row of bits is multiplied to give the value of ``bits``, the first most significant."""
    weights = np.zeros(m, np.int64)
    weights[list(bits)] = 1 << np.arange(len(bits) - 1, -1, -1)
    return weights
