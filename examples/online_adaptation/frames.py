# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds frames in samples behind the matched filter, and sets their symbols upright by sync word and pilots."""

from __future__ import annotations

from dataclasses import dataclass

import link
import numpy as np
from numpy.typing import NDArray

_STEP = link.SAMPLES_PER_SYMBOL
_LENGTH = link.FRAME * _STEP
#: Least correlation with the sync word, of 1, that is one.
_LEAST = 0.7
#: Pilots that a gain is the mean of, on either side.
_REACH = 4
_KERNEL = np.concatenate([np.arange(1, _REACH + 1), np.arange(_REACH - 1, 0, -1)]) / _REACH**2


@dataclass(frozen=True)
class Frame:
    """A frame as received.

    Attributes:
        number: as it says itself.
        first: sample of its first symbol.
        payload: complex64 [link.PAYLOAD], the pilots' level and phase taken out.
    """

    number: int
    first: int
    payload: link.Symbols


class Frames:
    """Samples in pieces to frames. Attributes: searched, samples in which no frame was found."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.complex64)
        self._at = 0  # sample number of the first of the rest
        self._locked = False
        self.searched = 0

    def push(self, samples: NDArray[np.complex64]) -> list[Frame]:
        """The frames that are whole with these samples."""
        self._rest = np.concatenate([self._rest, samples])
        found = []
        while len(self._rest) >= 2 * _LENGTH:
            start = self._find(range(3) if self._locked else range(_LENGTH))
            self._locked = start is not None
            if start is None:
                self.searched += _LENGTH
                self._drop(_LENGTH)
                continue
            symbols = self._rest[start : start + _LENGTH : _STEP]
            upright = symbols / _gains(symbols)
            found.append(Frame(link.number_of(upright), self._at + start, upright[link.DATA].astype(np.complex64)))
            self._drop(start + _LENGTH - 1)  # a sample early: the next one may be a sample early too
        return found

    def _find(self, starts: range) -> int | None:
        """The start that fits the sync word best, by the correlation's magnitude."""
        reach = starts[-1] + 1 + (link.SYNC - 1) * _STEP
        window = np.lib.stride_tricks.sliding_window_view(self._rest[:reach], (link.SYNC - 1) * _STEP + 1)[:, ::_STEP]
        energy = np.sqrt(np.einsum("ij,ij->i", window, window.conj()).real * link.SYNC)
        fit = np.abs(window @ link.SYNC_WORD.conj()) / np.maximum(energy, 1e-12)
        best = int(np.argmax(fit))
        return best if fit[best] > _LEAST else None

    def _drop(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._at += count


def _gains(symbols: link.Symbols) -> NDArray[np.complex64]:
    """Complex gain of every symbol of a frame: of the sync word up to its end, then between smoothed pilots."""
    pilots = symbols[link.PILOTS] / link.CORNER
    padded = np.pad(pilots, _REACH - 1, "edge")
    smooth = np.convolve(padded, _KERNEL, "valid")
    at = np.arange(len(symbols))
    between = np.interp(at, link.PILOTS, smooth.real) + 1j * np.interp(at, link.PILOTS, smooth.imag)
    sync = (symbols[: link.SYNC] @ link.SYNC_WORD.conj()) / link.SYNC
    return np.where(at < link.SYNC, sync, between).astype(np.complex64)
