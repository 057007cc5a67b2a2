# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod receive`` as a person sees it: a bar or a live line while it runs, a summary behind it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gr_softmod.receive.frames import one_line
from gr_softmod.receive.settings import Settings

if TYPE_CHECKING:
    from gr_softmod.receive import job


def run(settings: Settings, quiet: bool = False, debug: bool = False) -> None:
    """Do the job, showing how far it is on stderr and its summary on stdout.

    Raises:
        OSError, ValueError: as :func:`gr_softmod.receive.job.receive`.
    """
    with drivers_silenced(not debug) as stderr:
        from gr_softmod.receive.job import receive

        console = Console(file=stderr)
        live = console.is_terminal and not quiet
        with _Display(console, live) as display:
            result = receive(settings, display.update)
    if not quiet:
        summarise(result, frames=0 if live else 5)
    if result.stuck:
        # A driver holds on to its thread; the interpreter would wait for it for ever.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class _Display:
    def __init__(self, console: Console, live: bool) -> None:
        self._console, self._live = console, live
        self._progress: Progress | None = None
        self._task: Any = None
        self._frames = 0

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, now: job.Progress) -> None:
        self._frames += len(now.frames)
        if not self._live:
            return
        if self._progress is None:
            ends = [BarColumn(), TaskProgressColumn(), TimeRemainingColumn()] if now.total else []
            self._progress = Progress(
                SpinnerColumn(), TextColumn("[bold]{task.description}"), *ends, TextColumn("{task.fields[line]}"),
                console=self._console, transient=True, refresh_per_second=5,
            )  # fmt: skip
            self._task = self._progress.add_task("receiving", total=now.total, line="")
            self._progress.start()
        for entry in now.frames:
            self._progress.console.print(one_line(entry), markup=False, highlight=False, soft_wrap=True)
        frames = f"  {self._frames} frames" if self._frames else ""
        self._progress.update(self._task, completed=now.samples, line=live_line(now) + frames)


def live_line(now: job.Progress) -> str:
    """What is known in the middle of a job, in one line."""
    parts = [f"{now.symbols:,} symbols", f"{now.samples / max(now.elapsed, 1e-3) / 1e6:.2f} MS/s"]
    if now.total is None:
        parts.insert(0, f"{int(now.elapsed // 60)}:{int(now.elapsed % 60):02d}")
    if "locked" in now.status:
        parts.append("[green]locked[/]" if now.status["locked"] else "[yellow]no lock[/]")
    if "esn0_db" in now.status and now.status.get("locked", True):
        parts.append(f"Es/N0 {now.status['esn0_db']:.1f} dB")
    return "  ".join(parts)


def summarise(result: job.Result, frames: int) -> None:
    """Print what came out, with the first few frames where they have not been seen yet."""
    report, console = result.report, Console(highlight=False, soft_wrap=True)
    signal, output = report["signal"], report["output"]
    parts = [f"{output['symbols']:,} symbols", f"{output['llrs']:,} soft bits"]
    if signal["esn0_db"] is not None:
        parts.append(f"Es/N0 {signal['esn0_db']:.1f} dB")
    if signal["locked_share"] is not None:
        parts.append(f"locked {signal['locked_share']:.0%} of the time")
    console.print(", ".join(parts), markup=False)
    if "frames" in report:
        for entry in report["frames"]["first"][:frames]:
            console.print(one_line(entry), markup=False)
        more = f", {report['frames']['repaired']} of them repaired" if report["frames"]["repaired"] else ""
        count = report["frames"]["count"]
        console.print(f"{count} AX.25 frame{'s' * (count != 1)} with a valid check sequence{more}", markup=False)
    if "bit_errors" in report and report["bit_errors"]["bits"]:
        errors = report["bit_errors"]
        low, high = errors["interval_95"]
        console.print(
            f"{errors['errors']} wrong bits of {errors['bits']:,}: bit error rate {errors['bit_error_rate']:.1e}"
            f" (95 %: {low:.1e} to {high:.1e})",
            markup=False,
        )
    console.print(f"ended: {report['ended']}; results in {result.folder}/ (look at report.png)", markup=False)
    for warning in report["warnings"]:
        console.print(f"warning: {warning}", markup=False, style="yellow")


@contextmanager
def drivers_silenced(active: bool) -> Iterator[IO[str]]:
    """Drivers print what they like to stdout and stderr: out of the way, but for a stderr of our own."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with os.fdopen(os.dup(2), "w") as stderr:
        try:
            if active:
                with tempfile.TemporaryFile() as sink:
                    os.dup2(sink.fileno(), 1)
                    os.dup2(sink.fileno(), 2)
            yield stderr
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
