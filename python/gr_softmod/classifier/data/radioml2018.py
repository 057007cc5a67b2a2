# SPDX-License-Identifier: GPL-3.0-or-later
"""RadioML 2018.01A (GOLD_XYZ_OSC.0001_1024.hdf5): X [n, 1024, 2] float32, Y [n, 24] one-hot, Z [n, 1] SNR in dB.

The file holds 20 GB: labels and SNRs are read once in blocks, frames when they are asked for.
"""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.data.files import Indices
from gr_softmod.conventions import CLASS_NAMES

#: Rows of Y and Z read at once.
_BLOCK = 1 << 15


class RadioML2018:
    """The data set's HDF5 file, or another of its layout, as a :class:`gr_softmod.classifier.data.files.FrameStore`.

    Columns of Y are the classes in the order of :data:`gr_softmod.conventions.CLASS_NAMES`. The ``classes.txt`` that
    comes with the data set has another order, which is wrong: where it lies beside the file, a warning says so, and the
    corrected order is used. A file with fewer columns (a part of the data set) needs a ``classes.txt`` for itself.

    Args:
        path: of the file.
    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no HDF5, lacks X, Y or Z, has a wrong shape or type, or a row of Y or Z is damaged; the
            message names the file and the record.
    """

    region: Indices | None = None

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {str(path)!r}")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ValueError(f"{self.path.name} is not an HDF5 file, or is damaged: {error}") from None
        x, y, z = (self._dataset(name) for name in "XYZ")
        self._frames = x
        if x.ndim != 3 or x.shape[2] != 2 or x.dtype.kind != "f" or not x.shape[0]:
            raise ValueError(f"{self.path.name}: X is {x.dtype} {x.shape}; it must be floats [n, samples, 2], n > 0")
        if y.ndim != 2 or y.shape[0] != x.shape[0] or y.dtype.kind not in "iuf":
            raise ValueError(f"{self.path.name}: Y is {y.dtype} {y.shape}; it must be numbers [{x.shape[0]}, classes]")
        if z.shape not in ((x.shape[0],), (x.shape[0], 1)) or z.dtype.kind not in "iuf":
            raise ValueError(f"{self.path.name}: Z is {z.dtype} {z.shape}; it must be numbers [{x.shape[0]}, 1]")
        self.frame_length: int = x.shape[1]
        self.class_names = self._class_names(y.shape[1])
        self.labels, self.snr_db = self._read_labels(y, z)

    def read(self, records: Indices) -> NDArray[np.complex64]:
        """See :class:`gr_softmod.classifier.data.files.FrameStore`."""
        frames = np.empty((len(records), self.frame_length, 2), np.float32)
        # One read for each run of neighbours.
        starts = np.flatnonzero(np.diff(records, prepend=-2) != 1)
        for start, stop in zip(starts, [*starts[1:], len(records)], strict=True):
            first = int(records[start])
            try:
                self._frames.read_direct(frames, np.s_[first : first + stop - start], np.s_[start:stop])
            except OSError as error:
                raise ValueError(f"{self.name(first)} cannot be read: {error}") from None
        return frames.view(np.complex64)[:, :, 0]

    def name(self, record: int) -> str:
        return f"{self.path.name}, record {record}"

    def _dataset(self, name: str) -> h5py.Dataset:
        found = self._file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise ValueError(f"{self.path.name} has no data set {name}; RadioML 2018.01A has X, Y and Z")
        return found

    def _class_names(self, columns: int) -> tuple[str, ...]:
        beside = read_class_order(self.path.parent / "classes.txt")
        if columns == len(CLASS_NAMES):
            if beside is not None and beside != CLASS_NAMES:
                warnings.warn(
                    f"{self.path.parent / 'classes.txt'} names the classes in an order that is wrong for"
                    f" {self.path.name}; the corrected order (OOK, 4ASK, 8ASK, BPSK, ...) is used",
                    stacklevel=3,
                )
            return CLASS_NAMES
        if beside is None or len(beside) != columns:
            have = "no" if beside is None else f"{len(beside)} names in its"
            raise ValueError(f"{self.path.name}: Y has {columns} columns, not 24, and there is {have} classes.txt")
        return beside

    def _read_labels(self, y: h5py.Dataset, z: h5py.Dataset) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        labels = np.empty(y.shape[0], np.int16)
        snr_db = np.empty(y.shape[0], np.float32)
        for start in range(0, y.shape[0], _BLOCK):
            stop = min(start + _BLOCK, y.shape[0])
            try:
                one_hot, snr = y[start:stop], z[start:stop]
            except OSError as error:
                raise ValueError(f"{self.path.name}: records {start} to {stop - 1} are damaged: {error}") from None
            # A row without exactly one 1 (or with anything but 0 and 1, NaN too) is damaged.
            wrong = ((one_hot == 1).sum(1) != 1) | ((one_hot != 0).sum(1) != 1)
            if wrong.any():
                raise ValueError(f"{self.name(start + int(wrong.argmax()))}: its row of Y is not one 1 among zeros")
            labels[start:stop] = one_hot.argmax(1)
            snr_db[start:stop] = snr.reshape(-1)
            bad = ~np.isfinite(snr_db[start:stop])
            if bad.any():
                raise ValueError(f"{self.name(start + int(bad.argmax()))}: its SNR is {snr.reshape(-1)[bad][0]}")
        return labels, snr_db


def read_class_order(path: Path) -> tuple[str, ...] | None:
    """The names in a ``classes.txt`` (a Python list, or a name a line), or None where there is no such file.

    Raises:
        ValueError: it names a class that is not known, or one twice.
    """
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    listed = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        names = ast.literal_eval(listed[0]) if listed else text.split()
    except (ValueError, SyntaxError):
        raise ValueError(f"{path.name} beside the data set is not a list of class names") from None
    for name in names:
        if name not in CLASS_NAMES or names.count(name) > 1:
            raise ValueError(f"{path.name} names the class {name!r}, which is not known or is there twice")
    return tuple(names)
