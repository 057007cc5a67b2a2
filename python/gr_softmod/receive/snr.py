# SPDX-License-Identifier: GPL-3.0-or-later
"""Signal-to-noise ratio of samples whose signal is not known, from their spectrum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gnuradio import gr
from numpy.typing import NDArray

#: Of the bins, the quietest share that is taken to hold noise alone.
QUIET_SHARE = 0.25


def snr_db(samples: NDArray[np.complex64], bins: int = 256) -> float | None:
    """Power of the signal over that of white noise in the whole band, in dB.

    The noise density is the median of the quietest quarter of the bins of an averaged spectrum (Welch, Hann window,
    half overlapped). Right where a signal leaves at least a quarter of the band free; one that fills the band counts as
    noise in part.

    Args:
        samples: complex [N], N at least 4 bins.
    Returns:
        None where there is no power, or nothing above the noise.
    Source: P. Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967.
    """
    if len(samples) < 4 * bins:
        raise ValueError(f"there are {len(samples)} samples; it needs at least {4 * bins}")
    starts = np.arange(0, len(samples) - bins + 1, bins // 2)
    pieces = samples[starts[:, None] + np.arange(bins)] * np.hanning(bins)
    density = np.mean(np.abs(np.fft.fft(pieces)) ** 2, axis=0)
    quiet = np.sort(density)[: int(bins * QUIET_SHARE)]
    noise, total = float(np.median(quiet)), float(density.mean())
    if not (math.isfinite(total) and total > 0) or total <= noise:
        return None
    return 10 * math.log10((total - noise) / noise) if noise > 0 else None


class SnrSink(gr.sync_block):
    """The ratio of each window of a stream, the latest thousand of them."""

    def __init__(self, window: int) -> None:
        gr.sync_block.__init__(self, "snr", [(np.complex64, window)], [])
        self.window = window
        self.windows = 0
        self._found: dict[int, float | None] = {}

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        for samples in input_items[0]:
            self._found[self.windows] = snr_db(samples)
            self._found.pop(self.windows - 1000, None)
            self.windows += 1
        return len(input_items[0])

    def before(self, sample: int) -> float | None:
        """Of the last whole window that ends at this sample or earlier."""
        return self._found.get(sample // self.window - 1)
