# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellations to and from GNU Radio's ``digital.constellation_*`` objects. Needs GNU Radio only to make one."""

from __future__ import annotations

from typing import Any

import numpy as np

from gr_softmod.constellation import Constellation


def from_gnuradio(constellation: Any) -> Constellation:
    """Points by label of a GNU Radio constellation object, as its modulator sends them.

    GNU Radio's ``digital.generic_mod`` sends value v as ``points()[pre_diff_code()[v]]`` when
    ``apply_pre_diff_code()``, else as ``points()[v]``: so do we. (The in-tree constellation encoder, decoder and soft
    decoder ignore the code.) Differential encoding, where a flowgraph has it, stays outside.

    Raises:
        ValueError: dimensionality is not 1, or the object is not one of GNU Radio's constellations.
    """
    if not all(hasattr(constellation, name) for name in ("points", "pre_diff_code", "apply_pre_diff_code")):
        raise ValueError(f"a {type(constellation).__name__} is not a GNU Radio constellation object")
    if constellation.dimensionality() != 1:
        raise ValueError(
            f"the GNU Radio constellation has dimensionality {constellation.dimensionality()}; it must be 1"
        )
    points = np.array(constellation.points(), np.complex128)
    if constellation.apply_pre_diff_code():
        points = points[np.array(constellation.pre_diff_code())]
    return Constellation(points, name=type(constellation).__name__.removeprefix("constellation_"))


def to_gnuradio(constellation: Constellation) -> Any:
    """The same points, in the order of their labels and with no pre-differential code, at unit mean power.

    Raises:
        ValueError: the constellation rotates or delays Q, which a GNU Radio constellation object cannot say.
    """
    if constellation.rotation or constellation.q_delay:
        raise ValueError(
            f"{constellation} has rotation {constellation.rotation} and q_delay {constellation.q_delay}; "
            "a GNU Radio constellation object has neither"
        )
    from gnuradio import digital

    norm = digital.constellation_calcdist.NO_NORMALIZATION
    symmetry = rotational_symmetry(constellation)
    return digital.constellation_calcdist(list(constellation.points), [], symmetry, 1, norm).base()


def rotational_symmetry(constellation: Constellation) -> int:
    """The largest n, up to M, for which turning by 2 pi / n maps the set of points onto itself."""
    points = constellation.points
    # Turned points come in groups of n, except one at the origin.
    movable = constellation.order - int(np.any(np.abs(points) < 1e-6))
    for n in range(movable, 1, -1):
        if movable % n == 0 and all(np.min(np.abs(points - p)) < 1e-6 for p in points * np.exp(2j * np.pi / n)):
            return n
    return 1
