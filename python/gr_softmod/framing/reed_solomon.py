# SPDX-License-Identifier: GPL-3.0-or-later
"""The Reed-Solomon code (255, 223) over GF(256) of CCSDS 131.0-B section 4, shortened at will.

Field polynomial x^8 + x^7 + x^2 + x + 1 (0x187), code roots (a^11)^112 .. (a^11)^143. In the "conventional" basis bytes
are polynomials in a; CCSDS itself writes them in a dual basis. Decoding: Berlekamp and Massey, Chien, Forney (R. E.
Blahut, "Algebraic Codes for Data Transmission", 2003, chapter 7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

PARITY = 32
_FIELD, _PRIMITIVE, _FIRST_ROOT = 0x187, 11, 112


def _tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    exp, log = np.zeros(510, np.int64), np.zeros(256, np.int64)
    value = 1
    for power in range(255):
        exp[power] = exp[power + 255] = value
        log[value] = power
        value = (value << 1) ^ (_FIELD if value & 0x80 else 0)
    return exp, log


_EXP, _LOG = _tables()


def _multiply(a: ArrayLike, b: ArrayLike) -> NDArray[np.int64]:
    x, y = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return np.where((x == 0) | (y == 0), 0, _EXP[_LOG[x] + _LOG[y]])


def _inverse(a: int) -> int:
    return int(_EXP[255 - _LOG[a]])


def _root(power: int) -> int:
    """(a^11)^power"""
    return int(_EXP[_PRIMITIVE * power % 255])


def _product(a: ArrayLike, b: ArrayLike) -> NDArray[np.int64]:
    """Of polynomials, lowest power first."""
    x, y = np.asarray(a, np.int64), np.asarray(b, np.int64)
    out = np.zeros(len(x) + len(y) - 1, np.int64)
    for power, value in enumerate(x):
        out[power : power + len(y)] ^= _multiply(value, y)
    return out


def _value(polynomial: ArrayLike, at: int) -> int:
    result = 0
    for coefficient in reversed(np.asarray(polynomial, np.int64).tolist()):
        result = int(_multiply(result, at)) ^ coefficient
    return result


def _generator() -> NDArray[np.int64]:
    polynomial = np.array([1], np.int64)
    for k in range(PARITY):
        polynomial = _product(polynomial, [_root(_FIRST_ROOT + k), 1])
    return polynomial


_GENERATOR = _generator()


def encode(data: bytes) -> bytes:
    """``data`` (at most 223 bytes) with its 32 parity bytes behind it."""
    if len(data) > 255 - PARITY:
        raise ValueError(f"{len(data)} bytes are too many for a codeword; it holds {255 - PARITY}")
    register = np.zeros(PARITY, np.int64)  # highest power first
    for byte in data:
        feedback = byte ^ int(register[0])
        register = np.append(register[1:], 0) ^ _multiply(feedback, _GENERATOR[PARITY - 1 :: -1])
    return data + bytes(register.astype(np.uint8))


def decode(codeword: bytes) -> tuple[bytes, int] | None:
    """Data without parity and the number of bytes corrected; None when there are more than 16 wrong ones."""
    if not PARITY < len(codeword) <= 255:
        raise ValueError(f"a codeword has 33 to 255 bytes; got {len(codeword)}")
    received = np.frombuffer(codeword, np.uint8).astype(np.int64)[::-1]  # lowest power first
    syndromes = [_value(received, _root(_FIRST_ROOT + k)) for k in range(PARITY)]
    if not any(syndromes):
        return codeword[:-PARITY], 0
    locator = _berlekamp_massey(syndromes)
    errors = len(locator) - 1
    positions = [k for k in range(len(received)) if _value(locator, _root(255 - k)) == 0]
    if errors > PARITY // 2 or len(positions) != errors:
        return None
    evaluator = _product(syndromes, locator)[:PARITY]
    slope = [int(c) if k % 2 == 0 else 0 for k, c in enumerate(locator[1:])]  # formal derivative
    corrected = received.copy()
    for position in positions:
        at = _root(255 - position)
        denominator = _value(slope, at)
        if denominator == 0:
            return None
        ratio = int(_multiply(_value(evaluator, at), _inverse(denominator)))
        corrected[position] ^= int(_multiply(ratio, _root((1 - _FIRST_ROOT) * position % 255)))
    if any(_value(corrected, _root(_FIRST_ROOT + k)) for k in range(PARITY)):
        return None
    return bytes(corrected[::-1].astype(np.uint8))[:-PARITY], errors


def _berlekamp_massey(syndromes: list[int]) -> NDArray[np.int64]:
    """The shortest error locator, lowest power first, that these syndromes obey."""
    locator, former = np.array([1], np.int64), np.array([1], np.int64)
    length, gap, former_discrepancy = 0, 1, 1
    for n, syndrome in enumerate(syndromes):
        discrepancy = syndrome
        for k in range(1, min(length, len(locator) - 1) + 1):
            discrepancy ^= int(_multiply(locator[k], syndromes[n - k]))
        if discrepancy == 0:
            gap += 1
            continue
        scale = int(_multiply(discrepancy, _inverse(former_discrepancy)))
        correction = np.concatenate((np.zeros(gap, np.int64), _multiply(scale, former)))
        size = max(len(locator), len(correction))
        updated = np.pad(locator, (0, size - len(locator))) ^ np.pad(correction, (0, size - len(correction)))
        if 2 * length <= n:
            length, former, former_discrepancy, gap = n + 1 - length, locator, discrepancy, 1
        else:
            gap += 1
        locator = updated
    return locator[: length + 1]
