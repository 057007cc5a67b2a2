# SPDX-License-Identifier: GPL-3.0-or-later
"""APSK of DVB-S2 and DVB-S2X: rings, phases, labels, and radii by code rate.

Sources: ETSI EN 302 307-1 section 5.4 (DVB-S2) and ETSI EN 302 307-2 section 5.4 (DVB-S2X). Rates are written as in
the standards' MODCOD tables; "L" marks the modes for linear channels. Every table here equals what GNU Radio's
gr-dtv modulator sends. Left out: 16-APSK 3/5-L and 2/3-L, which the standard gives as coordinates without rings and
which we could not check against a second source, and the 8 and 256 points of DVB-S2X.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ring(NamedTuple):
    """Labels counter-clockwise; phases in units of pi, the first quadrant's, repeated or mirrored into the others."""

    phases: tuple[float, ...]
    labels: tuple[int, ...]


def _even(first: float, *labels: int) -> Ring:
    """A ring of equally spaced points that begins at phase ``first * pi``."""
    return Ring(tuple(first + 2.0 * k / len(labels) for k in range(len(labels))), labels)


def _mirrored(quadrant: tuple[float, ...], *labels: int) -> Ring:
    """A ring given by its first quadrant's phases; the other quadrants are its reflections in the axes."""
    half = quadrant + tuple(1.0 - p for p in reversed(quadrant))
    return Ring(half + tuple(2.0 - p for p in reversed(half)), labels)


# fmt: off
_4_12 = (
    _even(1 / 4, 12, 14, 15, 13),
    _even(1 / 12, 4, 0, 8, 10, 2, 6, 7, 3, 11, 9, 1, 5),
)
_8_8 = (
    _even(1 / 8, 0, 1, 3, 2, 6, 7, 5, 4),
    _even(1 / 8, 8, 9, 11, 10, 14, 15, 13, 12),
)
_4_12_16 = (
    _even(1 / 4, 17, 21, 23, 19),
    _even(1 / 12, 16, 0, 1, 5, 4, 20, 22, 6, 7, 3, 2, 18),
    _even(0, 24, 8, 25, 9, 13, 29, 12, 28, 30, 14, 31, 15, 11, 27, 10, 26),
)
_4_12_16_TURNED = (
    _even(1 / 4, 15, 13, 29, 31),
    _even(1 / 12, 14, 6, 7, 5, 4, 12, 28, 20, 21, 23, 22, 30),
    _even(1 / 16, 11, 10, 2, 3, 1, 0, 8, 9, 25, 24, 16, 17, 19, 18, 26, 27),
)
_4_8_4_16 = (
    _even(1 / 4, 0, 4, 6, 2),
    _mirrored((1 / 12, 5 / 12), 8, 16, 20, 12, 14, 22, 18, 10),
    _even(1 / 4, 24, 28, 30, 26),
    _even(1 / 16, 9, 25, 17, 1, 5, 21, 29, 13, 15, 31, 23, 7, 3, 19, 27, 11),
)
_16_16_16_16 = tuple(
    _even(1 / 16, *(first + low for low in (0, 1, 3, 2, 6, 7, 5, 4, 12, 13, 15, 14, 10, 11, 9, 8)))
    for first in (0, 16, 48, 32)
)
_8_16_20_20 = (
    _even(1 / 8, 52, 48, 56, 60, 28, 24, 16, 20),
    _even(1 / 16, 54, 50, 34, 32, 40, 42, 58, 62, 30, 26, 10, 8, 0, 2, 18, 22),
    _even(1 / 20, 55, 51, 35, 39, 38, 46, 47, 43, 59, 63, 31, 27, 11, 15, 14, 6, 7, 3, 19, 23),
    _even(1 / 20, 53, 49, 33, 37, 36, 44, 45, 41, 57, 61, 29, 25, 9, 13, 12, 4, 5, 1, 17, 21),
)
_4_12_20_28 = (
    _even(1 / 4, 12, 14, 15, 13),
    _even(1 / 12, 28, 60, 44, 46, 62, 30, 31, 63, 47, 45, 61, 29),
    _even(1 / 20, 24, 56, 48, 52, 36, 38, 54, 50, 58, 26, 27, 59, 51, 55, 39, 37, 53, 49, 57, 25),
    _even(1 / 28, 8, 40, 32, 0, 16, 20, 4, 6, 22, 18, 2, 34, 42, 10, 11, 43, 35, 3, 19, 23, 7, 5, 21, 17, 1, 33, 41, 9),
)


def _128_ring(phases_5040: tuple[int, ...], *quadrant_labels: int) -> Ring:
    """A ring of the 128-APSK, phases in units of pi / 5040; two bits (0, 32, 96, 64) of its labels are the quadrant."""
    first, second = quadrant_labels, quadrant_labels[::-1]
    return _mirrored(tuple(p / 5040 for p in phases_5040),
                     *first, *(32 + v for v in second), *(96 + v for v in first), *(64 + v for v in second))


_128 = (
    _128_ring((332, 927, 1593, 2187), 0, 8, 24, 16),
    _128_ring((242, 1017, 1503, 2278), 4, 12, 28, 20),
    _128_ring((414, 845, 1673, 2106), 5, 13, 29, 21),
    _128_ring((427, 834, 1686, 2094), 7, 15, 31, 23),
    _128_ring((133, 1126, 1393, 2387), 6, 14, 30, 22),
    _128_ring((111, 330, 528, 732, 929, 1149, 1372, 1590, 1789, 1993, 2190, 2408),
              2, 3, 1, 9, 11, 10, 26, 27, 25, 17, 19, 18),
)

#: order -> code rate -> (rings, radii relative to the innermost).
APSK: dict[int, dict[str, tuple[tuple[Ring, ...], tuple[float, ...]]]] = {
    16: {
        "2/3": (_4_12, (1, 3.15)), "3/4": (_4_12, (1, 2.85)), "4/5": (_4_12, (1, 2.75)),
        "5/6": (_4_12, (1, 2.70)), "8/9": (_4_12, (1, 2.60)), "9/10": (_4_12, (1, 2.57)),
        "26/45": (_4_12, (1, 3.70)), "3/5": (_4_12, (1, 3.70)), "28/45": (_4_12, (1, 3.50)),
        "23/36": (_4_12, (1, 3.10)), "25/36": (_4_12, (1, 3.10)), "13/18": (_4_12, (1, 2.85)),
        "7/9": (_4_12, (1, 3.60)), "77/90": (_4_12, (1, 3.20)),
        "1/2-L": (_8_8, (1, 2.19)), "8/15-L": (_8_8, (1, 2.19)), "5/9-L": (_8_8, (1, 2.19)),
    },
    32: {
        "3/4": (_4_12_16, (1, 2.84, 5.27)), "4/5": (_4_12_16, (1, 2.72, 4.87)), "5/6": (_4_12_16, (1, 2.64, 4.64)),
        "8/9": (_4_12_16, (1, 2.54, 4.33)), "9/10": (_4_12_16, (1, 2.53, 4.30)),
        "2/3-L": (_4_12_16_TURNED, (1, 2.85, 5.55)),
        "32/45": (_4_8_4_16, (1, 2.60, 2.99, 5.60)), "11/15": (_4_8_4_16, (1, 2.60, 2.86, 5.60)),
        "7/9": (_4_8_4_16, (1, 2.80, 3.08, 5.60)),
    },
    64: {
        "32/45-L": (_16_16_16_16, (1, 1.88, 2.72, 3.95)), "11/15": (_4_12_20_28, (1, 2.4, 4.3, 7.0)),
        "7/9": (_8_16_20_20, (1, 2.2, 3.6, 5.2)), "4/5": (_8_16_20_20, (1, 2.2, 3.6, 5.2)),
        "5/6": (_8_16_20_20, (1, 2.2, 3.5, 5.0)),
    },
    128: {
        "3/4": (_128, (1, 1.715, 2.118, 2.681, 2.75, 3.819)), "7/9": (_128, (1, 1.715, 2.118, 2.681, 2.75, 3.733)),
    },
}
# fmt: on

#: The rate behind the plain names "16apsk", "32apsk", "64apsk" and "128apsk".
DEFAULT_RATE = {16: "3/4", 32: "3/4", 64: "4/5", 128: "3/4"}


def apsk_points(order: int, rate: str) -> NDArray[np.complex128]:
    """Points by label of the APSK that the standards use at a code rate.

    Raises:
        ValueError: no such order or, for that order, no such rate.
    """
    if order not in APSK:
        raise ValueError(f"APSK order is {order}; it must be one of {sorted(APSK)}")
    if rate not in APSK[order]:
        raise ValueError(f"{order}-APSK has no code rate {rate!r}; it must be one of {', '.join(APSK[order])}")
    rings, radii = APSK[order][rate]
    points = np.full(order, np.nan, np.complex128)
    for ring, radius in zip(rings, radii, strict=True):
        points[list(ring.labels)] = radius * np.exp(1j * np.pi * np.array(ring.phases))
    return points
