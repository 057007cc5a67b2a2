# SPDX-License-Identifier: GPL-3.0-or-later
"""HDLC frames of AX.25 with G3RUH scrambling and NRZI, to channel bits and back.

The way of a bit in the transmitter: bit stuffing and flags (ISO/IEC 13239), the scrambler 1 + x^12 + x^17 (James
Miller, G3RUH, "9600 Baud Packet Radio Modem Design", 1988), NRZI (a 0 is a change), the channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A wrong channel bit k makes data bits k + these wrong: NRZI doubles it, the descrambler's three taps triple it.
ERROR_SPREAD = np.array([0, 1, 12, 13, 17, 18])
FLAG = np.array([0, 1, 1, 1, 1, 1, 1, 0], np.uint8)
_CRC_POLYNOMIAL = 0x8408  # x^16 + x^12 + x^5 + 1, bits reversed


def descramble(channel_bits: ArrayLike) -> NDArray[np.uint8]:
    """Data bits [..., N - 18] of channel bits [..., N]: bit k of the result belongs to channel bit k + 18."""
    a = np.asarray(channel_bits, np.uint8)
    unchanged: NDArray[np.uint8] = np.uint8(1) ^ a[..., 1:] ^ a[..., :-1]
    return unchanged[..., 17:] ^ unchanged[..., 5:-12] ^ unchanged[..., :-17]


def scramble(data_bits: NDArray[np.integer], seed: int = 0) -> NDArray[np.uint8]:
    """Channel bits [N] of data bits [N]: inverse of :func:`descramble`, from a scrambler that holds ``seed``."""
    register = [(seed >> k) & 1 for k in range(17)]  # register[k]: scrambled bit k + 1 ago
    level, out = 0, np.empty(len(data_bits), np.uint8)
    for k, bit in enumerate(np.asarray(data_bits, np.uint8).tolist()):
        scrambled = bit ^ register[11] ^ register[16]
        register = [scrambled, *register[:16]]
        level ^= 1 ^ scrambled
        out[k] = level
    return out


def check_sequence(payload: bytes) -> bytes:
    """The frame check sequence (CRC-16 of ISO/IEC 13239), as it follows the payload."""
    crc = 0xFFFF
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CRC_POLYNOMIAL if crc & 1 else 0)
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def frame_bits(payload: bytes) -> NDArray[np.uint8]:
    """Flag, stuffed payload and check sequence, flag."""
    out, ones = [], 0
    for bit in np.unpackbits(np.frombuffer(payload + check_sequence(payload), np.uint8), bitorder="little").tolist():
        out.append(bit)
        ones = ones + 1 if bit else 0
        if ones == 5:
            out.append(0)
            ones = 0
    return np.concatenate((FLAG, np.array(out, np.uint8), FLAG))


def flag_ends(data_bits: NDArray[np.integer]) -> NDArray[np.int64]:
    """Index behind each flag in data bits [N]."""
    bits = np.asarray(data_bits, np.uint8)
    if len(bits) < len(FLAG):
        return np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(bits, len(FLAG))
    return np.flatnonzero((windows == FLAG).all(axis=1)) + len(FLAG)
