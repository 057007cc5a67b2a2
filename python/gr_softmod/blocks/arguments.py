# SPDX-License-Identifier: GPL-3.0-or-later
"""What blocks take as a ``constellation``, and the message that changes it in a running flowgraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pmt
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation

#: Name, Constellation, GNU Radio ``digital.constellation_*`` object, or points [M] by label.
ConstellationArgument = str | Constellation | Sequence[complex] | NDArray[Any] | Any


def as_constellation(constellation: ConstellationArgument) -> Constellation:
    """A Constellation of what a block's ``constellation`` argument may be.

    Args:
        constellation: a name such as "16qam" (see :meth:`Constellation.names`), a Constellation, a GNU Radio
            ``digital.constellation_*`` object, or complex points [M] by label in any scale.
    Raises:
        ValueError: there is no such name, or the points cannot be a constellation.
        TypeError: it is none of these.
    """
    if isinstance(constellation, Constellation):
        return constellation
    if isinstance(constellation, str):
        return Constellation.from_name(constellation)
    if hasattr(constellation, "pre_diff_code"):
        return Constellation.from_gnuradio(constellation)
    try:
        points = np.asarray(constellation, np.complex128)
    except (TypeError, ValueError):
        points = None
    if points is None or points.ndim == 0:
        raise TypeError(
            f"a constellation is a name, a Constellation, a GNU Radio constellation object or a sequence of points; "
            f"got a {type(constellation).__name__}"
        )
    return Constellation(points)


def constellation_points(constellation: ConstellationArgument) -> list[complex]:
    """Points by label at E|s|^2 = 1, for a block without memory.

    Raises:
        ValueError: also when the constellation turns or delays Q from symbol to symbol: its points alone are not it.
        TypeError: as :func:`as_constellation`.
    """
    made = as_constellation(constellation)
    if made.rotation or made.q_delay:
        raise ValueError(
            f"{made} turns by {made.rotation:.4g} rad a symbol and delays Q by {made.q_delay:.4g} symbols, which this "
            "block does not undo; undo it before the block and pass the constellation's points"
        )
    return made.points.tolist()


def constellation_message(constellation: ConstellationArgument) -> Any:
    """The PMT pair ``(constellation . c32vector)`` for the message port ``constellation`` of the blocks.

    The vector alone is what a stream tag ``constellation`` holds: ``pmt.cdr`` of this.

    Raises:
        ValueError, TypeError: as :func:`constellation_points`.
    """
    points = constellation_points(constellation)
    return pmt.cons(pmt.intern("constellation"), pmt.init_c32vector(len(points), points))
