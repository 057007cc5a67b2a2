# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolutional code of rate 1/2 and constraint length 7 that space links use, from soft bits.

Generators 1111001 and 1011011 (0x4f and 0x6d with the newest bit first), the second output inverted: CCSDS 131.0-B,
"TM Synchronization and Channel Coding", section 3; without the inversion in older systems.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

GENERATORS = (0x4F, 0x6D)
MEMORY = 6
_STATES = 1 << MEMORY


def encode(bits: ArrayLike, *, state: int = 0, invert_second: bool = True) -> NDArray[np.uint8]:
    """Coded bits [2 N] of bits [N]; ``state``: the last six bits before them, the newest in the lowest place."""
    data = np.asarray(bits, np.int64)
    before = (state >> np.arange(MEMORY - 1, -1, -1)) & 1
    stream = np.concatenate((before, data))
    out = np.empty((len(data), 2), np.uint8)
    for column, generator in enumerate(GENERATORS):
        taps = (generator >> np.arange(MEMORY + 1)) & 1  # taps[d]: of the bit d ago
        out[:, column] = np.convolve(stream, taps)[MEMORY : MEMORY + len(data)] & 1
    out[:, 1] ^= np.uint8(invert_second)
    return out.reshape(-1)


def _branches() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each new state its two predecessors [64, 2], and the signs of the two coded bits on the way [64, 2, 2]."""
    new = np.arange(_STATES)
    before = np.stack((new >> 1, (new >> 1) | (_STATES >> 1)), axis=1)
    register = (before << 1) | (new & 1)[:, None]
    coded = np.stack([np.array([int(r & g).bit_count() & 1 for r in register.ravel()]) for g in GENERATORS], axis=-1)
    return before, (2.0 * coded - 1).reshape(_STATES, 2, 2)


def decode(llr: ArrayLike, *, invert_second: bool = True, terminated: bool = False) -> NDArray[np.uint8]:
    """The most likely bits [N] of LLRs [2 N] of coded bits (Viterbi's algorithm over the whole input).

    The encoder may start in any state; ``terminated``: it ends in state 0. The LLRs' scale does not matter.
    """
    soft = np.asarray(llr, np.float64).reshape(-1, 2) * [1.0, -1.0 if invert_second else 1.0]
    before, signs = _branches()
    metric = np.zeros(_STATES)
    chosen = np.empty((len(soft), _STATES), np.uint8)
    gains = soft @ signs.reshape(-1, 2).T  # [N, 128]
    for step in range(len(soft)):
        arriving = metric[before] + gains[step].reshape(_STATES, 2)
        second = arriving[:, 1] > arriving[:, 0]
        chosen[step] = second
        metric = np.where(second, arriving[:, 1], arriving[:, 0])
        if step % 1024 == 0:
            metric -= metric.max()
    state = 0 if terminated else int(np.argmax(metric))
    bits = np.empty(len(soft), np.uint8)
    for step in range(len(soft) - 1, -1, -1):
        bits[step] = state & 1
        state = int(before[state, chosen[step, state]])
    return bits
