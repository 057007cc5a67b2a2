# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod receive`` without a constellation, as a person or a pipe sees it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from gr_softmod.receive.adaptive import AdaptiveResult, AdaptiveSettings, receive_anything
from gr_softmod.receive.console import drivers_silenced
from gr_softmod.receive.frames import one_line
from gr_softmod.receive.segments import RATE_TOLERANCE

#: Rows of the live table.
_ROWS = 24


def run(settings: AdaptiveSettings, as_json: bool = False, quiet: bool = False, debug: bool = False) -> None:
    """Do the job: a live table (or a line for each change where stdout is no terminal, or JSON lines), then a summary.

    Raises:
        OSError, ValueError: as :func:`gr_softmod.receive.adaptive.receive_anything`.
    """
    shown = os.fdopen(os.dup(1), "w")
    with shown, drivers_silenced(not debug):
        console = Console(file=shown, highlight=False, soft_wrap=True)
        table = _LiveTable(console)
        try:
            if as_json:

                def tell(line: dict[str, Any]) -> None:
                    print(json.dumps(line), file=shown, flush=True)

                result = receive_anything(settings, tell)
                for segment in result.report["segments"]:
                    tell({"segment": segment})
            else:
                result = receive_anything(
                    settings, (lambda line: None) if quiet else table.add, lambda _: table.close()
                )
        except BrokenPipeError:  # what reads the lines has enough
            os._exit(0)
        finally:
            table.close()
        if not quiet and not as_json:
            summarise(result, console)
    if result.stuck:
        sys.stdout.flush()
        os._exit(0)


class _LiveTable:
    """A row for each stretch of windows alike; on a terminal the last row lives."""

    HEADS = ("time", "class", "sure", "SNR", "symbol rate", "carrier")

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[dict[str, Any]] = []
        self._live: Live | None = None
        self._headed = False

    def add(self, line: dict[str, Any]) -> None:
        new = not self._rows or not _alike(self._rows[-1], line)
        if new:
            self._rows.append(line)
        else:
            self._rows[-1] = line | {"time_s": self._rows[-1]["time_s"]}
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=8)
                self._live.start()
            self._live.update(self._table())
        elif new:
            if not self._headed:
                self._console.print(_text(self.HEADS))
                self._headed = True
            self._console.print(_text(cells(line)))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in self.HEADS:
            table.add_column(head, justify="left" if head == "class" else "right", min_width=8)
        for line in self._rows[-_ROWS:]:
            style = "green" if line["confirmed"] else "" if line["symbol_rate_hz"] else "dim"
            table.add_row(*cells(line), style=style)
        return table


def cells(line: dict[str, Any]) -> tuple[str, ...]:
    """A finding for a person; a class in brackets was not confirmed by symbols, so it cannot be demodulated."""
    name = line["class"] or "-"
    return (
        f"{line['time_s']:.3f} s",
        name if line["confirmed"] else f"({name})",
        f"{line['probability']:.0%}",
        "-" if line["snr_db"] is None else f"{line['snr_db']:.1f} dB",
        "-" if line["symbol_rate_hz"] is None else f"{line['symbol_rate_hz']:,.1f} Bd",
        "-" if line["carrier_hz"] is None else f"{line['carrier_hz']:+,.1f} Hz",
    )


def _text(row: tuple[str, ...]) -> str:
    time, name, sure, snr, rate, carrier = row
    return f"{time:>12}  {name:<12}{sure:>6}  {snr:>9}  {rate:>15}  {carrier:>16}"


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if (one["class"], one["confirmed"]) != (other["class"], other["confirmed"]):
        return False
    first, second = one["symbol_rate_hz"] or 0.0, other["symbol_rate_hz"] or 0.0
    return abs(first - second) <= 2 * RATE_TOLERANCE * max(first, second)


def summarise(result: AdaptiveResult, console: Console) -> None:
    """Print the segments, the frames, and where it all lies."""
    report = result.report
    for segment in report["segments"]:
        console.print(
            f"{segment['begin_s']:.3f} to {segment['end_s']:.3f} s: {segment['constellation'].upper()},"
            f" {segment['symbol_rate_hz']:,.1f} Bd at {segment['carrier_hz']:+,.1f} Hz,"
            f" Es/N0 {segment['esn0_db']:.1f} dB, {segment['symbols']:,} symbols, {segment['llrs']:,} soft bits",
            markup=False,
        )
    if "frames" in report:
        for entry in report["frames"]["first"][:5]:
            console.print(one_line(entry), markup=False)
        count, repaired = report["frames"]["count"], report["frames"]["repaired"]
        more = f", {repaired} of them repaired" if repaired else ""
        console.print(f"{count} AX.25 frame{'s' * (count != 1)} with a valid check sequence{more}", markup=False)
    console.print(f"ended: {report['ended']}; results in {result.folder}/ (look at report.png)", markup=False)
    for warning in report["warnings"]:
        console.print(f"warning: {warning}", markup=False, style="yellow")
