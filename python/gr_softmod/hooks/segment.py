# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording of a capture while it grows: data files and a journal that survive being killed at any byte.

A record's arrays are appended to the data files first, then one line goes to the journal: the CRC-32C of the rest of
the line, the record's header, where its arrays lie and their CRC-32C. So a record is complete exactly when its line is,
and a line or data cut off anywhere is found and left out. :func:`finish` makes SigMF recordings of it; the metadata of
the IQ samples appear last and whole, and are what makes the recording exist.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
from numpy.typing import NDArray

from gr_softmod.hooks.sigmf import ARRAYS, Record, write_recording
from gr_softmod.hooks.wire import Label, Message

JOURNAL, DATA, META = ".journal", ".sigmf-data", ".sigmf-meta"


def data_path(folder: Path, name: str, array: str) -> Path:
    """IQ lies in the folder itself, other arrays in a folder of their name."""
    return (folder if array == "iq" else folder / array) / f"{name}{DATA}"


class Segment:
    """A recording that records are appended to.

    Args:
        folder: of the capture.
        name: of the recording; nothing of that name may be there.
    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.records = self.size = 0
        self._files: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._open("journal", folder / f"{name}{JOURNAL}")  # before any data: data without a journal is nobody's

    def _open(self, key: str, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._files[key] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._sizes[key] = 0

    def append(self, message: Message, missing: int) -> None:
        """Add a window.

        Raises:
            OSError: it could not be written (the disk is full); what was written of it is taken back.
        """
        before = dict(self._sizes)
        entry: dict[str, Any] = {"missing": missing, "message": _as_json(message), "spans": {}}
        try:
            for name, array in message.arrays.items():
                if name not in self._files:
                    self._open(name, data_path(self.folder, self.name, name))
                data = array.data.cast("B")
                entry["spans"][name] = [self._sizes[name], len(data), crc32c.crc32c(data)]
                self._write(name, data)
            text = json.dumps(entry, allow_nan=False, separators=(",", ":")).encode()
            self._write("journal", memoryview(b"%08x %s\n" % (crc32c.crc32c(text), text)))
        except OSError:
            for name in self._files:
                os.ftruncate(self._files[name], before.get(name, 0))
                self._sizes[name] = before.get(name, 0)
            raise
        self.records += 1
        self.size += sum(array.nbytes for array in message.arrays.values())

    def _write(self, key: str, data: memoryview) -> None:
        while data:  # counts what was written, also when the rest of it cannot be
            written = os.write(self._files[key], data)
            self._sizes[key] += written
            data = data[written:]

    @property
    def closed(self) -> bool:
        """Whether nothing can be added any more."""
        return not self._files

    def close(self) -> None:
        """Close the files; :func:`finish` makes SigMF of them."""
        while self._files:
            os.close(self._files.popitem()[1])


def _as_json(message: Message) -> dict[str, Any]:
    entry = {key: value for key, value in message.__dict__.items() if key != "arrays"}
    return entry | {"labels": [label.__dict__ for label in message.labels], "fields": dict(message.fields)}


def read_journal(folder: Path, name: str) -> Iterator[Record | None]:
    """The complete records of a segment that is not finished, in order; None for each that is damaged.

    What a killed writer has left behind the last whole line is no record.
    """
    files: dict[str, Any] = {}
    try:
        with (folder / f"{name}{JOURNAL}").open("rb") as journal:
            for line in journal:
                if not line.endswith(b"\n"):
                    return
                yield _checked(folder, name, line, files)
    finally:
        for file in files.values():
            file.close()


def _checked(folder: Path, name: str, line: bytes, files: dict[str, Any]) -> Record | None:
    try:
        if crc32c.crc32c(line[9:-1]) != int(line[:8], 16):
            return None
        entry = json.loads(line[9:])
        for array, (first, size, crc) in entry["spans"].items():
            if array not in files:
                files[array] = data_path(folder, name, array).open("rb")
            files[array].seek(first)
            data = files[array].read(size)
            if len(data) != size or crc32c.crc32c(data) != crc:
                return None
        said = entry["message"]
        message = Message(**said | {"labels": tuple(Label(**label) for label in said["labels"])})
        return Record(message, entry["missing"], {array: (at[0], at[1]) for array, at in entry["spans"].items()})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def finish(folder: Path, name: str) -> bool:
    """Turn a closed or abandoned segment into SigMF recordings; False when it holds no record and is gone.

    Can be interrupted anywhere and called again.

    Raises:
        OSError: the metadata cannot be written; the segment stays as it is, readable by :func:`read_journal`.
    """
    journal = folder / f"{name}{JOURNAL}"
    if not (folder / f"{name}{META}").exists():
        found = list(read_journal(folder, name))
        records = [record for record in found if record is not None]
        paths = {array: data_path(folder, name, array) for array in ARRAYS}
        used = {array for record in records for array in record.spans}
        for array, path in paths.items():
            if array not in used:
                path.unlink(missing_ok=True)
        for array in sorted(used, key=lambda array: array == "iq"):  # iq last: its metadata make the recording exist
            end = max(sum(record.spans[array]) for record in records if array in record.spans)
            with paths[array].open("r+b") as file:
                file.truncate(end)
                os.fsync(file.fileno())
            write_recording(paths[array], array, records, damaged=len(found) - len(records))
    journal.unlink(missing_ok=True)
    return (folder / f"{name}{META}").exists()


def load_array(folder: Path, name: str, array: str, span: tuple[int, int]) -> NDArray[Any]:
    """An array of a record, read from its data file."""
    with data_path(folder, name, array).open("rb") as file:
        file.seek(span[0])
        return np.frombuffer(file.read(span[1]), np.dtype(ARRAYS[array].dtype).newbyteorder("<"))
