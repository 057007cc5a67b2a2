# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether points separate into one amplitude modulation per axis, found from the points themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr_softmod.conventions import labels_of_bits

#: Largest difference, at unit symbol energy, between coordinates that count as one level: a few float32 ulp.
_SAME_LEVEL = 5e-7


@dataclass(frozen=True)
class Axes:
    """How a separable constellation falls apart into one PAM per axis.

    Attributes:
        i_levels: real parts [2^len(i_bits)], indexed by the value of the bits ``i_bits``, first one highest.
        i_bits: positions (0 = most significant bit of the label) of the bits that choose the real part.
        q_levels, q_bits: the same for the imaginary part. An axis without bits has one level.
    """

    i_levels: NDArray[np.float64]
    i_bits: tuple[int, ...]
    q_levels: NDArray[np.float64]
    q_bits: tuple[int, ...]


def find_axes(points: NDArray[np.complex128], bits: NDArray[np.uint8]) -> Axes | None:
    """Bits that move a point along one axis only belong to it; a bit that moves along both means no separation."""
    m = bits.shape[1]
    moves = [points[np.arange(len(points)) ^ (1 << (m - 1 - k))] - points for k in range(m)]
    on_i = [bool(np.any(np.abs(move.real) > _SAME_LEVEL)) for move in moves]
    on_q = [bool(np.any(np.abs(move.imag) > _SAME_LEVEL)) for move in moves]
    if any(i and q for i, q in zip(on_i, on_q, strict=True)):
        return None
    i_bits = tuple(k for k in range(m) if on_i[k])
    q_bits = tuple(k for k in range(m) if not on_i[k])
    return Axes(_levels(points.real, bits, i_bits), i_bits, _levels(points.imag, bits, q_bits), q_bits)


def _levels(coordinates: NDArray[np.float64], bits: NDArray[np.uint8], chosen: tuple[int, ...]) -> NDArray[np.float64]:
    values = labels_of_bits(bits[:, chosen], len(chosen))[:, 0] if chosen else np.zeros(len(bits), np.int64)
    levels = np.bincount(values, coordinates) / np.bincount(values)
    levels.flags.writeable = False
    return levels
