# SPDX-License-Identifier: GPL-3.0-or-later
"""What transmitter and receiver agree on: the frames, which of them are known beforehand, and the pulse.

A frame is a sync word, the frame's number, and a payload with a pilot symbol before every 16 symbols. Three frames of
four carry 16-QAM, the fourth another modulation in turn, for the classifier. Every eighth frame is a **training
frame**: its bits follow from its number, and the receiver makes use of that. The bits of all other frames follow from
their numbers too, but only the scorer, which counts errors, looks at them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation

Symbols = NDArray[np.complex64]
Bits = NDArray[np.uint8]

#: Symbols of a frame, by part.
SYNC, NUMBER, PILOT_EVERY, BLOCKS = 64, 32, 17, 54
PAYLOAD = BLOCKS * (PILOT_EVERY - 1)
FRAME = SYNC + NUMBER + BLOCKS * PILOT_EVERY + 1
#: Pulses are rectangles of one symbol: the amplifier leaves no echo of one symbol in another.
SAMPLES_PER_SYMBOL = 4
PULSE = np.full(SAMPLES_PER_SYMBOL, SAMPLES_PER_SYMBOL**-0.5)
#: Modulation of the payload that the demappers are about, and of the others.
MAIN, OTHERS = "16qam", ("bpsk", "qpsk", "8psk", "64qam")
TRAINING_EVERY = 8
CORNER = np.complex64((1 + 1j) / np.sqrt(2))

#: Samples from a frame's first (behind the matched filter) to its payload's first (before it), and of the payload.
PAYLOAD_FROM = (SYNC + NUMBER) * SAMPLES_PER_SYMBOL - (SAMPLES_PER_SYMBOL - 1)
PAYLOAD_SAMPLES = (BLOCKS * PILOT_EVERY + 1) * SAMPLES_PER_SYMBOL

_CHIPS = np.random.default_rng(20).choice([-1, 1], SYNC)
#: Known symbols of energy 1; pilots too.
SYNC_WORD: Symbols = (_CHIPS * CORNER).astype(np.complex64)
#: Where in a frame pilots and payload symbols are.
PILOTS = SYNC + NUMBER + PILOT_EVERY * np.arange(BLOCKS + 1)
DATA = np.setdiff1d(np.arange(SYNC + NUMBER, FRAME), PILOTS)


def modulation(number: int) -> str:
    """Of the payload of a frame."""
    return OTHERS[number // 4 % len(OTHERS)] if number % 4 == 3 else MAIN


def is_training(number: int) -> bool:
    """Whether the receiver may know the payload beforehand."""
    return number % TRAINING_EVERY == 0


def trains_classifier(number: int) -> bool:
    """Whether a frame's samples, whose modulation its number tells, may teach the classifier: a quarter of them may."""
    return number // 4 % 8 < 4 and number % 4 in (0, 3)


@cache
def constellation(name: str) -> Constellation:
    return Constellation.from_name(name)


def payload_bits(number: int) -> Bits:
    """Bits of a frame's payload, one a byte."""
    count = PAYLOAD * constellation(modulation(number)).bits_per_symbol
    return np.random.default_rng([7, number]).integers(0, 2, count).astype(np.uint8)


def frame(number: int) -> Symbols:
    """All symbols of a frame, [FRAME]."""
    symbols = np.full(FRAME, CORNER, np.complex64)
    symbols[:SYNC] = SYNC_WORD
    digits = number >> np.arange(15, -1, -1) & 1
    symbols[SYNC : SYNC + NUMBER] = CORNER * (1 - 2 * np.repeat(digits, NUMBER // 16))
    symbols[DATA] = constellation(modulation(number)).modulate(payload_bits(number))
    return symbols


def number_of(symbols: Symbols) -> int:
    """The frame's number out of its received symbols, which have been set upright."""
    seen = (symbols[SYNC : SYNC + NUMBER] / CORNER).real.reshape(16, -1).sum(1)
    return int(((seen < 0) << np.arange(15, -1, -1)).sum())
