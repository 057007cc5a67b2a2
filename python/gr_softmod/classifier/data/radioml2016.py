# SPDX-License-Identifier: GPL-3.0-or-later
"""RadioML 2016.10a and 2016.10b: a pickle of {(modulation, SNR in dB): float32 [n, 2, 128]}.

The whole of it lies in memory (0.2 GB and 1.2 GB). No code in the pickle can run: see
:mod:`gr_softmod.classifier.data.array_pickle`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.data.array_pickle import load_arrays
from gr_softmod.classifier.data.files import Indices

#: The data set's names to this project's where both mean the same. The others stay as they are: "AM-DSB" does not say
#: whether there is a carrier, and PAM4 is bipolar where 4ASK is not.
CLASSES = {
    "8PSK": "8PSK", "AM-DSB": "AM-DSB", "AM-SSB": "AM-SSB", "BPSK": "BPSK", "CPFSK": "CPFSK", "GFSK": "GFSK",
    "PAM4": "4PAM", "QAM16": "16QAM", "QAM64": "64QAM", "QPSK": "QPSK", "WBFM": "FM",
}  # fmt: skip


class RadioML2016:
    """The data set's file as a :class:`gr_softmod.classifier.data.files.FrameStore`; classes in alphabetical order.

    Args:
        path: of the file.
    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, holds anything but arrays, a class that is not known, or an array of a wrong shape;
            the message names the file and the record.
    """

    region: Indices | None = None

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        arrays = load_arrays(self.path)
        keys = sorted(arrays, key=str)
        for key in keys:
            self._check(key, arrays[key])
        self._keys = sorted(keys, key=lambda key: (CLASSES[key[0]], key[1]))
        self._arrays = [arrays[key] for key in self._keys]
        self.class_names = tuple(sorted({CLASSES[key[0]] for key in keys}))
        self.frame_length: int = self._arrays[0].shape[2]
        uneven = [k for k, a in zip(self._keys, self._arrays, strict=True) if a.shape[2] != self.frame_length]
        if uneven:
            raise ValueError(f"{self.path.name}, record {uneven[0]}: its frames are longer or shorter than the others")
        counts = [len(array) for array in self._arrays]
        self._ends = np.cumsum(counts)
        self.labels = np.repeat([self.class_names.index(CLASSES[key[0]]) for key in self._keys], counts).astype(
            np.int16
        )
        self.snr_db = np.repeat([key[1] for key in self._keys], counts).astype(np.float32)

    def read(self, records: Indices) -> NDArray[np.complex64]:
        """See :class:`gr_softmod.classifier.data.files.FrameStore`."""
        frames = np.empty((len(records), self.frame_length), np.complex64)
        part, place = self._place(records)
        for number in np.unique(part):
            at = part == number
            rows = self._arrays[number][place[at]]
            frames.real[at], frames.imag[at] = rows[:, 0], rows[:, 1]
        return frames

    def name(self, record: int) -> str:
        part, place = self._place(np.array([record]))
        return f"{self.path.name}, record {self._keys[part[0]]}[{place[0]}]"

    def _place(self, records: Indices) -> tuple[Indices, Indices]:
        part = np.searchsorted(self._ends, records, side="right")
        return part, records - np.concatenate(([0], self._ends))[part]

    def _check(self, key: object, array: NDArray) -> None:
        where = f"{self.path.name}, record {key}"
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], int | float) and np.isfinite(key[1])):
            raise ValueError(f"{where}: a key must be (modulation, SNR in dB)")
        if key[0] not in CLASSES:
            raise ValueError(f"{where}: the modulation {key[0]!r} is not known; known: {', '.join(CLASSES)}")
        if array.ndim != 3 or array.shape[1] != 2 or not array.size:
            raise ValueError(f"{where}: its array is {array.shape}; it must be [n, 2, samples]")
