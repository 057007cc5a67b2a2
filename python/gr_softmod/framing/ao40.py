# SPDX-License-Identifier: GPL-3.0-or-later
"""The AO-40 FEC frame of AMSAT's satellites from soft bits: 256 bytes in a block of 5200 DBPSK symbols.

Two Reed-Solomon codewords (160, 128), scrambled, convolutionally coded and written by columns into 65 rows of 80, which
are sent row by row; the first column is a sync vector. Source: P. Karn, KA9Q, "Proposed coded AO-40 telemetry format",
2002.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.framing import convolutional, reed_solomon

ROWS, COLUMNS, BYTES = 65, 80, 256
BLOCK = ROWS * COLUMNS
_WORDS = 2
_CODED_BYTES = BYTES + _WORDS * reed_solomon.PARITY
CODE_BITS = 2 * (8 * _CODED_BYTES + convolutional.MEMORY)


class Frame(NamedTuple):
    """A frame both of whose Reed-Solomon codewords hold."""

    start: int  # LLR of the block's first bit
    payload: bytes
    corrected: int  # bytes


def _shifted(register: int, taps: int, width: int) -> int:
    return (register << 1 | (register & taps).bit_count() & 1) & ((1 << width) - 1)


def sync_vector() -> NDArray[np.uint8]:
    """The 65 bits of the first column: x^7 + x^3 + 1, from all ones."""
    register, bits = 0x7F, np.empty(ROWS, np.uint8)
    for row in range(ROWS):
        bits[row] = register >> 6
        register = _shifted(register, 0x48, 7)
    return bits


def scrambler() -> NDArray[np.uint8]:
    """The 320 bytes that coded data are added to: x^8 + x^7 + x^5 + x^3 + 1, from all ones."""
    register, out = 0xFF, np.empty(_CODED_BYTES, np.uint8)
    for k in range(_CODED_BYTES):
        out[k] = register
        for _ in range(8):
            register = _shifted(register, 0x95, 8)
    return out


def code_bits(payload: bytes) -> NDArray[np.uint8]:
    """The 5132 bits of the convolutional code, in the order it gives them."""
    words = [np.frombuffer(reed_solomon.encode(payload[k::_WORDS]), np.uint8) for k in range(_WORDS)]
    scrambled = np.stack(words, axis=1).reshape(-1) ^ scrambler()
    return convolutional.encode(np.concatenate((np.unpackbits(scrambled), np.zeros(convolutional.MEMORY, np.uint8))))


def block_bits(payload: bytes) -> NDArray[np.uint8]:
    """The 5200 bits of a block as they are sent; 1 is a change of phase or its opposite."""
    columns = np.concatenate((code_bits(payload), np.zeros(ROWS * (COLUMNS - 1) - CODE_BITS, np.uint8)))
    return np.column_stack((sync_vector(), columns.reshape(COLUMNS - 1, ROWS).T)).reshape(-1)


def code_llrs(llr: NDArray[np.float64], start: int) -> NDArray[np.float64]:
    """LLRs [5132] of the code bits of the block that begins at ``start``."""
    return llr[start : start + BLOCK].reshape(ROWS, COLUMNS)[:, 1:].T.reshape(-1)[:CODE_BITS]


def find_block(llr: ArrayLike) -> tuple[int, float]:
    """Where the sync vector fits best, and how well: 1 or -1 (bits inverted) at best, random bits about 0.1."""
    certainty = np.tanh(np.asarray(llr, np.float64) / 2)
    if len(certainty) < BLOCK:
        raise ValueError(f"{len(certainty)} LLRs are fewer than the {BLOCK} of a block")
    last = len(certainty) - BLOCK + 1
    score = sum((2.0 * bit - 1) * certainty[row * COLUMNS :][:last] for row, bit in enumerate(sync_vector()))
    best = int(np.argmax(np.abs(score)))
    return best, float(np.asarray(score)[best]) / ROWS


def recover_frame(llr: ArrayLike) -> Frame | None:
    """The frame at the best place in differential LLRs [N] (``receiver(..., differential=True)``), if it decodes."""
    start, fit = find_block(llr)
    soft = code_llrs(np.copysign(1.0, fit) * np.asarray(llr, np.float64), start)
    data = np.packbits(convolutional.decode(soft, terminated=True)[: 8 * _CODED_BYTES]) ^ scrambler()
    words = [reed_solomon.decode(bytes(data[k::_WORDS])) for k in range(_WORDS)]
    payload = np.empty(BYTES, np.uint8)
    for k, word in enumerate(words):
        if word is None:
            return None
        payload[k::_WORDS] = np.frombuffer(word[0], np.uint8)
    return Frame(start, payload.tobytes(), sum(word[1] for word in words if word is not None))
