# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture: a folder of SigMF recordings that grows by windows, survives anything, and keeps to its share of the disk.

Layout and guarantees: docs/capture.md. :class:`Capture` writes, :func:`read_records` reads, also while another process
writes or after it was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from gr_softmod.hooks.segment import DATA, JOURNAL, META, Record, Segment, finish, load_array, read_journal
from gr_softmod.hooks.sigmf import ARRAYS, INDEX, read_finished, read_summary, write_index
from gr_softmod.hooks.wire import Message

_NAME = re.compile(r"capture-\d{8}")


class QuotaReached(Exception):
    """The capture has used its share of the disk."""


@dataclass(frozen=True)
class Rolling:
    """When one recording ends and the next begins: whichever comes first.

    Attributes:
        size: in bytes.
        records: at most.
        seconds: of the windows' own time, from the first to the last.
    """

    size: int = 1 << 26
    records: int = 4096
    seconds: float = 60.0


class Capture:
    """Writes windows into a folder; goes on where another one was stopped or killed.

    Args:
        folder: made if need be. Recordings of before stay.
        quota: bytes that the folder's data may use; None: all there is.
        when_full: "stop" raises QuotaReached; "oldest" removes the oldest recordings.
        rolling: size of the recordings.
    Raises:
        OSError: the folder cannot be made or written.
        ValueError: another process writes to it, or an argument is out of its range.
    """

    def __init__(
        self,
        folder: str | Path,
        quota: int | None = None,
        when_full: str = "stop",
        rolling: Rolling | None = None,
    ) -> None:
        if quota is not None and quota < 1:
            raise ValueError(f"the quota is {quota} bytes; it must be positive")
        if when_full not in ("stop", "oldest"):
            raise ValueError(f"when_full is {when_full!r}; it must be 'stop' or 'oldest'")
        self.folder, self.quota, self.when_full = Path(folder), quota, when_full
        self.rolling = rolling or Rolling()
        if quota is not None:  # so that there are old recordings to remove
            self.rolling = replace(self.rolling, size=min(self.rolling.size, max(1, quota // 4)))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder)
        try:
            self.resumed = self._recover()
        except BaseException:
            os.close(self._lock)
            raise
        self._segment: Segment | None = None
        self._first: Message | None = None
        self.missing = 0  # windows lost since this was opened

    def _recover(self) -> int:
        """Finish what was not; returns how many records that saved."""
        saved = 0
        for journal in sorted(self.folder.glob(f"capture-*{JOURNAL}")):
            name = journal.name.removesuffix(JOURNAL)
            known = (self.folder / f"{name}{META}").exists()
            if finish(self.folder, name) and not known:
                saved += read_summary(self.folder / f"{name}{META}")["records"]
        for data in [*self.folder.glob(f"capture-*{DATA}"), *self.folder.glob(f"*/capture-*{DATA}")]:
            # The metadata go first when a recording is removed.
            if _NAME.fullmatch(data.stem) and not (self.folder / f"{data.stem}{META}").exists():
                data.unlink()
                data.with_suffix(META).unlink(missing_ok=True)
        metas = sorted(p for p in self.folder.glob(f"capture-*{META}") if _NAME.fullmatch(p.stem))
        self.segments: dict[str, dict[str, Any]] = {meta.stem: read_summary(meta) for meta in metas}
        self._number = max((int(name.split("-")[1]) for name in self.segments), default=-1)
        last = next(reversed(self.segments.values()), None)
        self._last: int | None = None if last is None else last["last_sequence"]
        write_index(self.folder, self.segments)
        return saved

    @property
    def used(self) -> int:
        """Bytes of data so far."""
        return sum(segment["bytes"] for segment in self.segments.values()) + (
            self._segment.size if self._segment else 0
        )

    @property
    def records(self) -> int:
        """Windows in the folder."""
        return sum(s["records"] for s in self.segments.values()) + (self._segment.records if self._segment else 0)

    def add(self, message: Message) -> int:
        """Write a window; returns how many were lost before it, by the sequence numbers.

        Raises:
            ValueError: the message is no window, or what it says of itself cannot be kept.
            QuotaReached: there is no room left for it; it is not written.
            OSError: it cannot be written (with "oldest", not even when everything old is removed).
        """
        if message.kind != "window":
            raise ValueError(f"a capture takes windows, not a {message.kind}")
        for label in message.labels:
            if label.key == "snr_db" and not isfinite(float(label.value)):
                raise ValueError(f"the label snr_db is {label.value!r}; it must be a finite number")
        restarted = self._last is not None and message.sequence <= self._last
        missing = 0 if self._last is None or restarted else message.sequence - self._last - 1
        self._make_room(sum(array.nbytes for array in message.arrays.values()))
        ended = self._segment if self._segment is not None and (restarted or self._ends(message)) else None
        self._retry(lambda: self._append(message, missing, ended))
        self._last = message.sequence
        self.missing += missing
        return missing

    def _retry(self, action: Callable[[], None]) -> None:
        """Do it; on a full disk make room and do it again."""
        while True:
            try:
                return action()
            except OSError:
                if not self._remove_oldest():
                    raise

    def _append(self, message: Message, missing: int, ended: Segment | None) -> None:
        if self._segment is not None and (self._segment is ended or self._segment.closed):
            self._finish()
        if self._segment is None:
            self._segment = Segment(self.folder, f"capture-{self._number + 1:08d}")
            self._number += 1
            self._first = message
        self._segment.append(message, missing)

    def _ends(self, message: Message) -> bool:
        assert self._segment is not None and self._first is not None and self._first.sample_rate is not None
        assert self._first.sample_index is not None and message.sample_index is not None
        return (
            message.sample_rate != self._first.sample_rate
            or self._segment.size >= self.rolling.size
            or self._segment.records >= self.rolling.records
            or message.sample_index - self._first.sample_index >= self.rolling.seconds * self._first.sample_rate
        )

    def _make_room(self, size: int) -> None:
        while self.quota is not None and self.used + size > self.quota:
            if not self._remove_oldest():
                raise QuotaReached(f"{self.folder} has reached its quota of {self.quota} bytes")

    def _remove_oldest(self) -> bool:
        if self.when_full != "oldest" or not self.segments:
            return False
        name = next(iter(self.segments))
        del self.segments[name]
        # First from the lists, then its metadata, then the data: whatever interrupts this leaves no broken recording.
        with suppress(OSError):  # on a full disk not even the index can be written; the next one will be
            write_index(self.folder, self.segments)
        (self.folder / f"{name}{META}").unlink(missing_ok=True)
        for array in ARRAYS:
            folder = self.folder if array == "iq" else self.folder / array
            for suffix in (META, DATA):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
        return True

    def roll(self) -> None:
        """End the recording: it becomes SigMF and appears in the index and the collection.

        Raises:
            OSError: the metadata cannot be written; the records stay readable, and the next Capture finishes them.
        """
        self._retry(self._finish)

    def _finish(self) -> None:
        if self._segment is None:
            return
        name = self._segment.name
        self._segment.close()
        made = finish(self.folder, name)
        self._segment = None
        if made:
            self.segments[name] = read_summary(self.folder / f"{name}{META}")
            write_index(self.folder, self.segments)

    def close(self) -> None:
        """As :meth:`roll`, and let others write to the folder."""
        try:
            self.roll()
        finally:
            os.close(self._lock)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(folder: Path) -> int:
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ValueError(f"another process captures into {folder}") from None
    return lock


def read_records(folder: str | Path) -> Iterator[Record]:
    """Every complete record of a capture, in order, its arrays in ``message.arrays``.

    Reads finished recordings and those that are not, whatever became of their writer.

    Raises:
        OSError, ValueError: a file cannot be read or is not one of ours.
    """
    folder = Path(folder)
    names = {path.name.split(".")[0] for suffix in (META, JOURNAL) for path in folder.glob(f"capture-*{suffix}")}
    for name in sorted(names):
        for record in _read(folder, name):
            if record is not None:
                arrays = {array: load_array(folder, name, array, span) for array, span in record.spans.items()}
                yield replace(record, message=replace(record.message, arrays=arrays))


def _read(folder: Path, name: str) -> Iterator[Record | None]:
    if not (folder / f"{name}{META}").exists():
        try:
            yield from read_journal(folder, name)
            return
        except FileNotFoundError:
            pass  # it has been finished a moment ago
    yield from read_finished(folder, name)


def read_index(folder: str | Path) -> dict[str, Any]:
    """The index of a capture's finished recordings.

    Raises:
        OSError, ValueError: there is none, or it is damaged.
    """
    index: dict[str, Any] = json.loads((Path(folder) / INDEX).read_text(encoding="utf-8"))
    return index
