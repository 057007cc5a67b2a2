# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel that drifts: amplifier, phase noise, an interferer, noise. All of it follows from the sample's number."""

from __future__ import annotations

import numpy as np
from link import SAMPLES_PER_SYMBOL
from numpy.typing import NDArray
from scipy.signal import lfilter
from settings import Drift

Samples = NDArray[np.complex64]
#: E|s|^4 and E|s|^6 of 16-QAM's symbols, of E|s|^2 = 1.
_FOURTH, _SIXTH = 1.32, 1.96


class DriftingChannel:
    """Samples [n] to samples [n], whatever pieces they come in.

    Amplifier: ``y = x + beta |x|^2 x``, GNU Radio's third order, with a complex beta (compression and AM/PM), at
    constant mean power. Oscillator: a phase that wanders and is held by a loop (autoregressive, ``phase_degrees`` rms).
    Interferer: a tone on the carrier's own frequency, ``tone_db`` beside the signal. While the channel drifts, beta
    goes from 0 to its value and the phase's rms from the first to the second of its values; the tone comes at once.

    Args:
        drift: what changes and when, in samples.
        noise_var: of a symbol behind the matched filter.
        seed: of noise and phase.
    """

    def __init__(self, drift: Drift, noise_var: float, seed: int) -> None:
        self._drift, self._noise_var = drift, noise_var
        self._noise, self._steps = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
        self._at, self._phase = 0, 0.0

    def __call__(self, x: Samples) -> Samples:
        n, drift = len(x), self._drift
        at = self._at + np.arange(n)
        share = np.clip((at - drift.begins) / max(1, drift.ends - drift.begins), 0.0, 1.0)
        y = amplified(x * np.sqrt(SAMPLES_PER_SYMBOL), share * complex(*drift.beta)) / np.sqrt(SAMPLES_PER_SYMBOL)
        first, last = np.radians(drift.phase_degrees)
        y *= np.exp(1j * (first + share * (last - first)) * self._walk(n))
        tone = 10 ** (drift.tone_db / 20) / np.sqrt(SAMPLES_PER_SYMBOL) * np.exp(1j * np.radians(drift.tone_degrees))
        y += tone * (at >= drift.tone_at)
        noise = self._noise.normal(scale=np.sqrt(self._noise_var / 2), size=(n, 2)) @ [1, 1j]
        self._at += n
        return (y + noise).astype(np.complex64)

    def _walk(self, n: int) -> NDArray[np.float64]:
        """Gaussian of variance 1 that forgets within ``phase_samples``."""
        keep = 1 - 1 / self._drift.phase_samples
        steps = self._steps.normal(scale=np.sqrt(1 - keep**2), size=n)
        walk, _ = lfilter([1.0], [1.0, -keep], steps, zi=[keep * self._phase])
        self._phase = float(walk[-1]) if n else self._phase
        return np.asarray(walk)


def amplified(x: NDArray[np.complex128], beta: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """What an amplifier makes of x, its mean power that of x for 16-QAM."""
    power = 1 + 2 * beta.real * _FOURTH + np.abs(beta) ** 2 * _SIXTH
    return np.asarray(x * (1 + beta * np.abs(x) ** 2) / np.sqrt(power))
