# SPDX-License-Identifier: GPL-3.0-or-later
"""The known bits that ``softmod.ber_meter`` compares with, and bits to send."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.bindings import _kernels

STAGES = {"prbs9": 9, "prbs15": 15, "prbs23": 23, "prbs31": 31}

#: "prbs9", "prbs15", "prbs23" or "prbs31"; a file of one byte a bit; or bits.
SequenceArgument = str | os.PathLike[str] | Sequence[int] | NDArray[Any]


def known_sequence(sequence: SequenceArgument) -> int | NDArray[np.uint8]:
    """Stages of a PRBS, or bits.

    Args:
        sequence: "prbs9", "prbs15", "prbs23" or "prbs31" (ITU-T O.150); the path of a file that holds one byte, 0 or
            1, per bit (as a file sink writes a stream of bits); or a sequence of bits.
    Raises:
        ValueError: there is neither such a PRBS nor such a file, or an item is not 0 or 1.
        TypeError: it is none of these.
    """
    if isinstance(sequence, str) and sequence.lower() in STAGES:
        return STAGES[sequence.lower()]
    if isinstance(sequence, str | os.PathLike):
        path = Path(sequence)
        if not path.is_file():
            raise ValueError(f"the known sequence {str(sequence)!r} is neither one of {', '.join(STAGES)} nor a file")
        bits = np.fromfile(path, np.uint8)
    else:
        values = np.asarray(sequence)
        if values.ndim != 1 or values.dtype.kind not in "buif":
            raise TypeError(f"a known sequence is a name, a file or a list of bits; got a {type(sequence).__name__}")
        bits = (values == 1).astype(np.uint8)
        if not np.array_equal(values, bits):
            raise ValueError(f"item {int(np.argmin(values == bits))} of the known sequence is not 0 or 1")
    if not bits.size:
        raise ValueError("the known sequence has no bits")
    if bits.max() > 1:
        at = int(np.argmax(bits > 1))
        raise ValueError(f"item {at} of the known sequence is {bits[at]}; each must be a bit, 0 or 1, one byte a bit")
    return bits


def prbs(name: str, count: int, skip: int = 0) -> NDArray[np.uint8]:
    """Bits of a PRBS of ITU-T O.150, for a source to send.

    Args:
        name: "prbs9" (x^9 + x^5 + 1), "prbs15" (x^15 + x^14 + 1), "prbs23" (x^23 + x^18 + 1) or "prbs31"
            (x^31 + x^28 + 1).
        count: how many bits; one period is 2^stages - 1.
        skip: bits to leave out first, from a register of ones on.
    Returns:
        uint8 [count] in {0, 1}, the plain output of the shift register (O.150 inverts those of 15, 23 and 31 stages).
    Raises:
        ValueError: there is no such PRBS.
    """
    if name.lower() not in STAGES:
        raise ValueError(f"there is no PRBS {name!r}; it must be one of {', '.join(STAGES)}")
    return _kernels.prbs(STAGES[name.lower()], count, skip)
