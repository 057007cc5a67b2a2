# SPDX-License-Identifier: GPL-3.0-or-later
"""CCSDS concatenated frames from soft bits: convolutional code, marker, randomiser, Reed-Solomon (CCSDS 131.0-B)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.framing import convolutional, reed_solomon

MARKER = np.unpackbits(np.frombuffer(bytes.fromhex("1acffc1d"), np.uint8))


class Frame(NamedTuple):
    """A frame whose Reed-Solomon code holds."""

    start: int  # LLR of the marker's first code bit
    payload: bytes
    corrected: int  # bytes


def randomiser(count: int) -> NDArray[np.uint8]:
    """Bytes that data are added to modulo 2: x^8 + x^7 + x^5 + x^3 + 1, from all ones."""
    register, bits = [1] * 8, np.empty(8 * count, np.uint8)
    for k in range(8 * count):
        bits[k] = register[0]
        register = [*register[1:], register[0] ^ register[3] ^ register[5] ^ register[7]]
    return np.packbits(bits)


def recover_frames(llr: ArrayLike, payload_bytes: int, *, marker_errors: int = 5) -> list[Frame]:
    """Frames of ``payload_bytes``, one codeword each, in LLRs [N] of channel bits; NRZ-M before the convolutional code.

    Either phase of the code is tried, and the code and NRZ-M are blind to an inverted carrier.
    """
    soft = np.asarray(llr, np.float64)
    length = payload_bytes + reed_solomon.PARITY
    frames = []
    for phase in (0, 1):
        pairs = (len(soft) - phase) // 2
        if pairs <= 8 * length + len(MARKER):
            continue
        bits = convolutional.decode(soft[phase : phase + 2 * pairs])
        data = bits[1:] ^ bits[:-1]
        agreement = np.correlate(2.0 * data - 1, 2.0 * MARKER - 1, "valid")
        for at in np.flatnonzero(agreement >= len(MARKER) - 2 * marker_errors):
            part = data[at + len(MARKER) : at + len(MARKER) + 8 * length]
            if len(part) < 8 * length:
                continue
            decoded = reed_solomon.decode(bytes(np.packbits(part) ^ randomiser(length)))
            if decoded is not None:
                frames.append(Frame(phase + 2 * (int(at) + 1), *decoded))
    return sorted(frames)


def frame_bits(payload: bytes) -> NDArray[np.uint8]:
    """Marker and randomised codeword, before NRZ-M and the convolutional code."""
    codeword = np.frombuffer(reed_solomon.encode(payload), np.uint8)
    return np.concatenate((MARKER, np.unpackbits(codeword ^ randomiser(len(codeword)))))


def code_bits(payload: bytes) -> NDArray[np.uint8]:
    """Channel bits of a frame as they were sent, less the first 12, which depend on the bits before the marker.

    Up to an inversion of all of them.
    """
    nrz = np.bitwise_xor.accumulate(frame_bits(payload))
    memory = convolutional.MEMORY
    state = int("".join(map(str, nrz[:memory].tolist())), 2)
    return convolutional.encode(nrz[memory:], state=state)
