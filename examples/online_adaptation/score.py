# SPDX-License-Identifier: GPL-3.0-or-later
"""What the receiver got right, second by second, and what it lost. Knows the bits of all frames; tells nobody."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections import defaultdict, deque
from pathlib import Path
from threading import Lock
from typing import Any

import link
import numpy as np
from numpy.typing import NDArray

#: The two receivers on the same samples.
FIXED, ADAPTED = "fixed", "adapted"
SIDES = (FIXED, ADAPTED)


class Score:
    """Counts by second of the signal. Thread-safe.

    Args:
        rate: samples a second.
        path: of the report, written every few seconds of the signal.
    """

    def __init__(self, rate: float, path: Path) -> None:
        self._rate, self._path, self._lock = rate, path, Lock()
        self._seconds: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._events: list[dict[str, Any]] = []
        self._starts: list[int] = []
        self._frames: list[int] = []  # numbers of all frames that were found
        self._waiting: deque[tuple[str, int, int, str]] = deque()
        self._main: list[int] = []  # numbers of the frames that came through both demappers
        self.misplaced = 0
        self._written = -1

    def frame(self, number: int, first: int) -> None:
        """A frame was found."""
        with self._lock:
            self._starts.append(first)
            self._frames.append(number)
            while self._waiting and self._waiting[0][1] < first:
                self._judge(*self._waiting.popleft())

    def bits(self, number: int, llrs: dict[str, NDArray[np.float32]]) -> None:
        """LLRs [link.PAYLOAD * 4] that the demappers made of a frame's payload."""
        sent = link.payload_bits(number)
        with self._lock:
            self._main.append(number)
            index = bisect_right(self._frames, number) - 1
            if link.is_training(number) or index < 0:
                return
            second = self._seconds[int(self._starts[index] / self._rate)]
            second["bits"] += len(sent)
            for side, llr in llrs.items():
                second[f"errors_{side}"] += int(((llr > 0) != sent).sum())

    def classification(self, side: str, first: int, length: int, name: str) -> None:
        """A classifier named the samples from ``first`` on."""
        with self._lock:
            self._waiting.append((side, first, length, name))

    def _judge(self, side: str, first: int, length: int, name: str) -> None:
        index = bisect_right(self._starts, first) - 1
        if index < 0:
            return
        number, begin = self._frames[index], self._starts[index] + link.PAYLOAD_FROM
        if link.trains_classifier(number) or not begin <= first <= begin + link.PAYLOAD_SAMPLES - length:
            return
        second = self._seconds[int(first / self._rate)]
        right = name.lower() == link.modulation(number)
        second[f"named_{side}"] += 1
        second[f"right_{side}"] += right

    def event(self, what: str, **more: Any) -> None:
        """Something happened now, by the clock of the samples."""
        with self._lock:
            at = self._starts[-1] / self._rate if self._starts else 0.0
            self._events.append({"second": round(at, 2), "what": what, **more})

    def lost(self) -> dict[str, int]:
        """Frames that were not found or did not come through a demapper, and tags that were not where they belong."""
        with self._lock:
            main = [number for number in self._frames if link.modulation(number) == link.MAIN]
            gaps = np.diff(self._frames) if len(self._frames) > 1 else np.ones(1, int)
            return {
                "frames_not_found": int((gaps - 1).sum()),
                "frames_not_demapped": len(set(main[: len(self._main)]) - set(self._main)),
                "tags_misplaced": self.misplaced,
            }

    def write(self, last: bool = False, **more: Any) -> None:
        """The report so far, at most once every other second of the signal."""
        now = int(self._starts[-1] / self._rate) if self._starts else 0
        if not last and now < self._written + 2:
            return
        self._written = now
        lost = self.lost()
        with self._lock:
            seconds = [{"second": second, **counts} for second, counts in sorted(self._seconds.items())]
            report = {"seconds": seconds, "events": self._events, "lost": lost, "frames": len(self._frames), **more}
        temporary = self._path.with_suffix(".part")
        temporary.write_text(json.dumps(report) + "\n")
        os.replace(temporary, self._path)
