# SPDX-License-Identifier: GPL-3.0-or-later
"""Root-raised-cosine signals at any rate, for tests and benchmarks: numpy alone, exact by the Fourier transform."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation

#: Points between symbols from which samples are interpolated (linearly: 60 dB below the signal).
_FINE = 32


def shaped_signal(
    constellation: str,
    samples: int,
    samples_per_symbol: float,
    esn0_db: float,
    frequency: float = 0.0,
    rolloff: float = 0.35,
    seed: int = 1,
) -> NDArray[np.complex64]:
    """Random symbols in white noise, of unit power without it.

    Args:
        constellation: name.
        samples_per_symbol: need not be an integer.
        frequency: of the carrier, in cycles a sample.
        seed: of symbols, phases and noise.
    """
    rng = np.random.default_rng(seed)
    points = Constellation.from_name(constellation).points
    count = int(np.ceil(samples / samples_per_symbol)) + 64
    symbols = points[rng.integers(len(points), size=1 << (count - 1).bit_length())]  # a power of two for the transform
    # A periodic signal: its spectrum has lines at k / len(symbols) cycles a symbol.
    half = int(len(symbols) * (1 + rolloff) / 2) + 1
    k = np.arange(-half, half + 1)
    beyond = np.clip((np.abs(k) / len(symbols) - (1 - rolloff) / 2) / rolloff, 0, 1)
    fine = np.zeros(len(symbols) * _FINE, complex)
    fine[k] = np.fft.fft(symbols)[k % len(symbols)] * np.cos(np.pi / 2 * beyond)
    fine = np.fft.ifft(fine) * _FINE
    at = (np.arange(samples) / samples_per_symbol + 32 + rng.random()) * _FINE
    index = at.astype(int)
    clean = fine[index] + (fine[index + 1] - fine[index]) * (at - index)
    clean /= np.sqrt(np.mean(np.abs(clean) ** 2))
    clean = clean * np.exp(2j * np.pi * (frequency * np.arange(samples) + rng.random()))
    noise = rng.normal(size=(samples, 2)) @ [1, 1j] * np.sqrt(samples_per_symbol * 10 ** (-esn0_db / 10) / 2)
    return (clean + noise).astype(np.complex64)
