# SPDX-License-Identifier: GPL-3.0-or-later
"""The conventions everything keeps: LLR sign, bit order, noise variance, class names.

Mirrored in prose by ``docs/conventions.md``. Needs numpy alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONVENTIONS_VERSION = 1

#: Modulation classes in the corrected order of RadioML 2018.01A (the data set's own classes.txt has them wrong).
CLASS_NAMES = (
    "OOK", "4ASK", "8ASK", "BPSK", "QPSK", "8PSK", "16PSK", "32PSK", "16APSK", "32APSK", "64APSK", "128APSK",
    "16QAM", "32QAM", "64QAM", "128QAM", "256QAM", "AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC", "AM-DSB-SC", "FM", "GMSK",
    "OQPSK",
)  # fmt: skip


def negate_llr(llr: NDArray[np.floating]) -> NDArray[np.floating]:
    """Convert between ``ln P(1)/P(0)`` (used here) and ``ln P(0)/P(1)`` (used by some other software).

    The only place where the sign of an LLR may change. Works both ways; any shape and float dtype.
    """
    return -llr


def soft_bit(llr: ArrayLike) -> NDArray[np.float64]:
    """``P(b = 1) = 1 / (1 + exp(-llr))``; any shape, without overflow at any magnitude."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(llr, np.float64)))


def llr_of_soft_bit(probability: ArrayLike) -> NDArray[np.float64]:
    """``ln P(1)/P(0)`` of ``P(b = 1)`` in [0, 1]; 0 and 1 give -inf and inf.

    Raises:
        ValueError: a probability lies outside [0, 1].
    """
    p = np.asarray(probability, np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"soft bits are probabilities in [0, 1]; got values from {np.min(p)} to {np.max(p)}")
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


def check_noise_var(noise_var: ArrayLike) -> NDArray[np.float64]:
    """``noise_var`` as float64, or a ValueError when any value is not positive and finite."""
    value = np.asarray(noise_var, np.float64)
    if not np.all(np.isfinite(value) & (value > 0)):
        bad = value[~(np.isfinite(value) & (value > 0))].flat[0]
        raise ValueError(f"noise_var is {bad}; it must be positive and finite (E|n|^2 of the complex noise)")
    return value


def noise_var_of_esn0_db(esn0_db: ArrayLike, *, samples_per_symbol: float = 1.0) -> NDArray[np.float64]:
    """``E|n|^2`` of complex noise per sample that gives Es/N0 in dB.

    The signal has unit energy per symbol at one sample a symbol; at ``samples_per_symbol`` samples of unit mean power
    (before a matched filter) the same Es/N0 needs that much more noise.
    """
    return samples_per_symbol * 10.0 ** (-np.asarray(esn0_db, np.float64) / 10.0)


def esn0_db_of_noise_var(noise_var: ArrayLike, *, samples_per_symbol: float = 1.0) -> NDArray[np.float64]:
    """Inverse of :func:`noise_var_of_esn0_db`."""
    return -10.0 * np.log10(check_noise_var(noise_var) / samples_per_symbol)


def esn0_db_of_ebn0_db(ebn0_db: ArrayLike, *, bits_per_symbol: float, code_rate: float = 1.0) -> NDArray[np.float64]:
    """Es/N0 in dB of Eb/N0 in dB, where Eb is the energy per information bit."""
    return np.asarray(ebn0_db, np.float64) + 10.0 * math.log10(bits_per_symbol * code_rate)


def noise_var_of_ebn0_db(
    ebn0_db: ArrayLike, *, bits_per_symbol: float, code_rate: float = 1.0, samples_per_symbol: float = 1.0
) -> NDArray[np.float64]:
    """``E|n|^2`` of complex noise that gives Eb/N0 in dB (energy per information bit)."""
    esn0_db = esn0_db_of_ebn0_db(ebn0_db, bits_per_symbol=bits_per_symbol, code_rate=code_rate)
    return noise_var_of_esn0_db(esn0_db, samples_per_symbol=samples_per_symbol)


def noise_voltage(noise_var: ArrayLike) -> NDArray[np.float64]:
    """The amplitude GNU Radio's complex noise sources and channel models ask for: ``sqrt(noise_var)``."""
    return np.sqrt(check_noise_var(noise_var))


def labels_of_bits(bits: ArrayLike, bits_per_symbol: int) -> NDArray[np.int64]:
    """Labels [..., N] of bits [..., N * m] in {0, 1}, most significant bit first.

    Raises:
        ValueError: the number of bits is not a multiple of ``bits_per_symbol``.
    """
    array = np.asarray(bits)
    if array.shape[-1] % bits_per_symbol:
        raise ValueError(f"{array.shape[-1]} bits do not fill whole symbols of {bits_per_symbol} bits")
    groups = array.reshape(*array.shape[:-1], -1, bits_per_symbol).astype(np.int64)
    return groups @ (1 << np.arange(bits_per_symbol - 1, -1, -1, dtype=np.int64))


def bits_of_labels(labels: ArrayLike, bits_per_symbol: int) -> NDArray[np.uint8]:
    """Bits [..., N * m] in {0, 1} of labels [..., N], most significant bit first."""
    array = np.asarray(labels, np.int64)
    shifts = np.arange(bits_per_symbol - 1, -1, -1)
    return ((array[..., None] >> shifts) & 1).astype(np.uint8).reshape(*array.shape[:-1], -1)
