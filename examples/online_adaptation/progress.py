# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens, while it happens: a table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from score import SIDES
from settings import Settings

#: Blocks of eight heights: a curve in one line of text.
_LEVELS = " ▁▂▃▄▅▆▇█"
_WIDTH = 60


class Progress:
    """Reads the score that the radio writes."""

    def __init__(self, settings: Settings) -> None:
        self._path, self._seconds = Path(settings.out) / "score.json", settings.seconds
        self._console, self._told = Console(stderr=True), 0
        self._live: Live | None = None
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self) -> None:
        """Look once, after a moment."""
        time.sleep(0.5)
        try:
            score = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return
        now = score["seconds"][-1]["second"] if score["seconds"] else 0
        if self._live:
            self._live.update(_table(score, now, self._seconds))
        elif now >= self._told + self._seconds / 12:
            self._told = now
            self._console.print(_line(score, now, self._seconds), highlight=False)


def _rate(seconds: list[dict[str, int]], over: str, under: str) -> float:
    total = sum(second.get(under, 0) for second in seconds)
    return sum(second.get(over, 0) for second in seconds) / total if total else float("nan")


def _line(score: dict[str, Any], now: int, whole: float) -> str:
    latest = score["seconds"][-8:]
    rates = ", ".join(f"{side} {_rate(latest, f'errors_{side}', 'bits'):.1e}" for side in SIDES)
    swaps = sum("swapped" in event["what"] for event in score["events"])
    return f"{now:4d} of {whole:.0f} s   BER {rates}   {swaps} swaps   lost {sum(score['lost'].values())}"


def _table(score: dict[str, Any], now: int, whole: float) -> Table:
    table = Table(title=_line(score, now, whole))
    table.add_column("bit error rate, 1e-3 to 1e-1")
    table.add_column("over time", width=_WIDTH)
    size = max(1, len(score["seconds"]) // _WIDTH + 1)
    groups = [score["seconds"][i : i + size] for i in range(0, len(score["seconds"]), size)]
    for side in SIDES:
        rates = [_rate(group, f"errors_{side}", "bits") for group in groups]
        table.add_row(side, "".join(_LEVELS[_height(rate)] for rate in rates))
    return table


def _height(rate: float) -> int:
    if not rate > 0:
        return 0
    return max(0, min(8, round((math.log10(rate) + 3) * 4)))
