# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod capture``: windows of a tap into a capture, with its progress shown."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from gr_softmod.hooks.capture import Capture, QuotaReached, Rolling
from gr_softmod.hooks.endpoint import Security
from gr_softmod.hooks.stream import Inlet

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?")


@dataclass(frozen=True)
class Settings:
    """What ``softmod capture`` is asked to do.

    Attributes:
        endpoint: of the tap.
        out: folder of the capture.
        security: None on this machine.
        quota: bytes; None: all there is.
        when_full: as :class:`Capture`.
        segment_seconds: of samples in a recording.
        records, seconds: stop after so many windows, or so long.
    """

    endpoint: str
    out: Path
    security: Security | None = None
    quota: int | None = None
    when_full: str = "stop"
    segment_seconds: float = 60.0
    records: int | None = None
    seconds: float | None = None


def parse_size(text: str) -> int:
    """Bytes of "500M", "10 GB", "4096".

    Raises:
        ValueError: it is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or float(match[1]) * _UNITS[match[2]] < 1:
        raise ValueError(f"{text!r} is no size; write a number and k, M, G or T, such as 10G")
    return int(float(match[1]) * _UNITS[match[2]])


@dataclass
class Progress:
    """How far a recorder is."""

    began: float
    saved: int = 0  # records that another recorder had left unfinished
    records: int = 0
    bytes: int = 0
    missing: int = 0
    refused: int = 0
    ended: str = "interrupted"

    def line(self, labels: Counter[str], used: int, now: float) -> str:
        """For a person, in one line."""
        elapsed = max(now - self.began, 1e-3)
        parts = [
            f"{self.records:,} windows",
            f"{self.records / elapsed:,.1f}/s",
            f"{self.bytes / elapsed / 1e6:.2f} MB/s",
            f"{used / 1e6:,.1f} MB on disk",
        ]
        if self.missing:
            parts.append(f"{self.missing:,} missing")
        if self.refused:
            parts.append(f"{self.refused:,} refused")
        parts += [f"{name} {count:,}" for name, count in labels.most_common(6)]
        return "  ".join(parts)


def record(settings: Settings, quiet: bool = False) -> Progress:
    """Capture until interrupted (SIGINT, SIGTERM), the quota or one of the settings' limits.

    Raises:
        ValueError: an argument is wrong, or another process captures into the folder.
        OSError: the folder cannot be written or the address not be used; what was written before is whole.
    """
    console = Console(stderr=True)
    inlet = Inlet(settings.endpoint, settings.security)
    try:
        rolling = Rolling(seconds=settings.segment_seconds)
        with Capture(settings.out, settings.quota, settings.when_full, rolling) as capture:
            progress = Progress(time.monotonic(), capture.resumed)
            if capture.resumed and not quiet:
                console.print(f"{capture.resumed:,} windows of a capture that was interrupted are safe", markup=False)
            labels: Counter[str] = Counter()
            show = console.is_terminal and not quiet
            with stopping() as stop, _line(console, show) as update:
                while not stop:
                    progress.ended = _one(settings, inlet, capture, progress, labels)
                    if progress.ended:
                        break
                    update(progress.line(labels, capture.used, time.monotonic()))
            progress.ended = progress.ended or "interrupted"
    finally:
        inlet.close()
    if not quiet:
        out = Console(highlight=False)
        out.print(progress.line(labels, capture.used, time.monotonic()), markup=False)
        out.print(f"ended: {progress.ended}; windows in {settings.out}/", markup=False)
        for reason, count in inlet.refused.most_common(5):
            console.print(f"warning: {count} times: {reason}", markup=False, style="yellow")
    return progress


def _one(settings: Settings, inlet: Inlet, capture: Capture, progress: Progress, labels: Counter[str]) -> str:
    """Take one window, or wait a moment for it; returns why to stop, or nothing."""
    if settings.seconds is not None and time.monotonic() - progress.began >= settings.seconds:
        return f"{settings.seconds:g} seconds are over"
    message = inlet.receive(0.2)
    progress.refused = inlet.refused.total()
    if message is None:
        return ""
    try:
        progress.missing += capture.add(message)
    except QuotaReached as reached:
        return str(reached)
    except ValueError as error:
        inlet.refused[str(error)] += 1
        return ""
    progress.records += 1
    progress.bytes += sum(array.nbytes for array in message.arrays.values())
    label = message.label()
    labels[label.value if label else "no label"] += 1
    return f"{progress.records} windows are there" if progress.records == settings.records else ""


@contextmanager
def stopping() -> Iterator[list[int]]:
    """A list that a signal to end puts something into, so that nothing is interrupted in the middle."""
    stop: list[int] = []
    before = {number: signal.signal(number, lambda n, _: stop.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _line(console: Console, show: bool) -> Iterator[Any]:
    if not show:
        yield lambda text: None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield live.update
