# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of the flowgraph: LLRs and symbols go to files, and a bounded summary of each stays in memory.

They run at symbol rate, on whole buffers. An exception in ``work`` would leave the flowgraph waiting for ever, so
whatever fails is kept as ``error`` and ends the stream.
"""

from __future__ import annotations

import hashlib
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import gr
from numpy.typing import NDArray

from gr_softmod.bindings._kernels import NoiseEstimator
from gr_softmod.receive.thinned import Thinned

_ERASURE, _LOCKED = pmt.intern("erasure"), pmt.intern("locked")

#: Most erased stretches and lock changes that are listed one by one; more are counted only.
LISTED = 10_000


class FileSink(gr.sync_block):
    """Writes items to a file, and keeps account of erasures and of the carrier's lock by the tags that come with them.

    Items between ``erasure`` tags, and ``hold`` after them, are written as 0.
    """

    def __init__(self, name: str, dtype: Any, path: Path, hold: int) -> None:
        gr.sync_block.__init__(self, name, [dtype], None)
        self.error: Exception | None = None
        self.count = 0
        self.erased = 0
        self.erasures: list[tuple[int, int]] = []
        self.locked = 0
        self.lock_changes: list[tuple[int, bool]] = []
        self.knows_lock = False
        self._file = path.open("wb")
        self._hash = hashlib.sha512()
        self._lock = threading.Lock()
        self._hold = hold
        self._since: int | None = None  # the first item of an erasure
        self._until: int | None = None  # the first behind it, once that is known
        self._is_locked = False

    def observe(self, items: NDArray[Any], valid: NDArray[np.bool_] | None, locked: NDArray[np.bool_]) -> None:
        """See the next items, which of them are valid (None: all) and which came while the carrier was locked."""

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        items = input_items[0]
        try:
            with self._lock:
                if not self._file.closed:  # a stream that could not be stopped goes on after the end
                    self._take(items)
        except Exception as error:
            self.error = error
            return -1
        return len(items)

    def _take(self, items: NDArray[Any]) -> None:
        valid = self._valid(len(items))
        if valid is not None:
            items = np.where(valid, items, items.dtype.type(0))
        self.observe(items, valid, self._locked(len(items)))
        data = items.tobytes()
        self._hash.update(data)
        self._file.write(data)
        self.count += len(items)

    def _valid(self, count: int) -> NDArray[np.bool_] | None:
        """Which of the next items are not erased."""
        tags = self.get_tags_in_window(0, 0, count, _ERASURE)
        if not tags and self._since is None:
            return None
        valid = np.ones(count, bool)
        for tag in sorted(tags, key=lambda tag: tag.offset):
            if not pmt.to_bool(tag.value):
                if self._since is not None and self._until is None:
                    self._until = tag.offset + self._hold
                continue
            if self._until is not None and self._until < tag.offset:
                self._finish_erasure(valid)
            self._since = tag.offset if self._since is None else self._since
            self._until = None
        if self._until is not None and self._until <= self.count + count:
            self._finish_erasure(valid)
        elif self._since is not None:
            valid[max(0, self._since - self.count) :] = False
        self.erased += count - int(np.count_nonzero(valid))
        return valid

    def _finish_erasure(self, valid: NDArray[np.bool_]) -> None:
        if self._since is not None and self._until is not None:
            valid[max(0, self._since - self.count) : max(0, self._until - self.count)] = False
            if len(self.erasures) < LISTED:
                self.erasures.append((int(self._since), int(self._until - self._since)))
        self._since = self._until = None

    def _locked(self, count: int) -> NDArray[np.bool_]:
        """Which of the next items came while the carrier was locked."""
        locked = np.full(count, self._is_locked)
        for tag in sorted(self.get_tags_in_window(0, 0, count, _LOCKED), key=lambda tag: tag.offset):
            self.knows_lock = True
            self._is_locked = pmt.to_bool(tag.value)
            locked[tag.offset - self.count :] = self._is_locked
            if len(self.lock_changes) < LISTED:
                self.lock_changes.append((int(tag.offset), self._is_locked))
        self.locked += int(np.count_nonzero(locked))
        return locked

    def flushed(self) -> int:
        """How many items are in the file for others to read."""
        with self._lock:
            if not self._file.closed:
                self._file.flush()
            return self.count

    def close(self) -> str:
        """Finish the file; its SHA-512. Items that still come are dropped."""
        with self._lock:
            if self._since is not None and self._since < self.count:
                self._until = self.count
                self._finish_erasure(np.ones(0, bool))
            self._file.close()
            return self._hash.hexdigest()


class LlrSink(FileSink):
    """Soft bits to a file, and what they say about themselves."""

    def __init__(self, path: Path, hold: int) -> None:
        super().__init__("softmod.llr_sink", np.float32, path, hold)
        self.sample = Thinned(1 << 17, dtype=np.float32)  # while locked
        self.unlocked = Thinned(1 << 14, dtype=np.float32)
        self.sums = _LlrSums()
        self.locked_sums = _LlrSums()

    def observe(self, items: NDArray[np.float32], valid: NDArray[np.bool_] | None, locked: NDArray[np.bool_]) -> None:
        if valid is not None:
            items, locked = items[valid], locked[valid]
        self.sums.add(items)
        self.locked_sums.add(items[locked])
        self.sample.extend(items[locked])
        self.unlocked.extend(items[~locked])


class _LlrSums:
    """How large soft bits are, and how often they expect to be wrong."""

    def __init__(self) -> None:
        self.count, self.magnitude, self.errors = 0, 0.0, 0.0

    def add(self, llrs: NDArray[np.float32]) -> None:
        magnitude = np.abs(llrs)
        self.count += len(llrs)
        self.magnitude += float(np.sum(magnitude, dtype=np.float64))
        # P(error) of a decision by the sign: 1 / (1 + exp(|llr|)).
        self.errors += float(np.sum(1 / (1 + np.exp(np.minimum(magnitude, 80.0))), dtype=np.float64))


class SymbolSink(FileSink):
    """Symbols to a file; noise over time from what passes.

    Args:
        points: of the constellation, by label.
        interval: symbols from one noise estimate to the next.
    """

    ESTIMATED = 512

    def __init__(self, path: Path, hold: int, points: NDArray[np.complex128], interval: int) -> None:
        super().__init__("softmod.symbol_sink", np.complex64, path, hold)
        self.sample = Thinned(1 << 15, dtype=np.complex64)  # while locked
        self.unlocked = Thinned(1 << 13, dtype=np.complex64)
        #: Symbol number, noise variance (of symbols of unit energy), whether the carrier was locked.
        self.noise = Thinned(1 << 11, (3,))
        self._estimator = NoiseEstimator(points.astype(np.complex64), self.ESTIMATED, 0.0)
        self._interval = max(interval, self.ESTIMATED)
        self._collected = 0
        self._next = 0

    def observe(self, items: NDArray[np.complex64], valid: NDArray[np.bool_] | None, locked: NDArray[np.bool_]) -> None:
        self.sample.extend(items[locked] if valid is None else items[locked & valid])
        self.unlocked.extend(items[~locked] if valid is None else items[~locked & valid])
        at = 0
        while at < len(items):
            at += max(0, self._next - (self.count + at))
            part = items[at : at + self.ESTIMATED - self._collected]
            used = part if valid is None else part[valid[at : at + len(part)]]
            self._estimator.push(used)
            at += len(part)
            self._collected += len(part)
            if self._collected == self.ESTIMATED:
                self._estimate(self.count + at, bool(locked[at - 1]))

    def _estimate(self, end: int, locked: bool) -> None:
        estimate = self._estimator.estimate()
        if estimate is not None and math.isfinite(estimate["esn0_db"]):
            self.noise.append([end - self.ESTIMATED / 2, 10.0 ** (-estimate["esn0_db"] / 10.0), locked])
        self._estimator.clear()
        self._collected = 0
        self._next += self._interval


class SnapshotSink(gr.sync_block):
    """Blocks of samples, evenly over the whole stream, never more than ``capacity`` of them."""

    def __init__(self, length: int, capacity: int) -> None:
        gr.sync_block.__init__(self, "softmod.snapshot_sink", [(np.complex64, length)], None)
        self.blocks = Thinned(capacity, (length,), np.complex64)

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        self.blocks.extend(input_items[0])
        return len(input_items[0])


class StatusSink(gr.basic_block):
    """Keeps the latest of each field of ``status`` messages, and the reasons of those that are not for information."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, "softmod.status_sink", None, None)
        self.latest: dict[str, Any] = {}
        self.complaints: list[str] = []
        self.message_port_register_in(pmt.intern("status"))
        self.set_msg_handler(pmt.intern("status"), self._handle)

    def _handle(self, message: Any) -> None:
        # An exception here would silence the block.
        try:
            fields = pmt.to_python(message)
        except Exception as error:
            gr.log.warn(f"softmod.status_sink: a status message cannot be read: {error}")
            return
        if not isinstance(fields, dict):
            return
        self.latest.update(fields)
        reason = f"{fields.get('block', 'flowgraph')}: {fields.get('reason', 'unknown')}"
        known = reason in self.complaints or len(self.complaints) >= 100
        if fields.get("severity") in ("warning", "error") and not known:
            self.complaints.append(reason)
