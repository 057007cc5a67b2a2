# SPDX-License-Identifier: GPL-3.0-or-later
"""Monte-Carlo error rates of a link over a grid of Eb/N0.

Batch i of a point depends on (seed, Eb/N0 of the point, i) and on nothing else, and a point ends at the first batch at
which its target is reached, counted in the order of i. So the result is the same whatever the number of processes,
whatever other points are on the grid, and whether or not the simulation was interrupted and taken up again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from gr_softmod.modem import distributed
from gr_softmod.modem.metrics import ErrorCounts, count_errors
from gr_softmod.modem.seeding import seeded_generator
from gr_softmod.run_dir import RunError, first_line, replacing

#: Statuses of a point. "running" and "not run" are those of an unfinished simulation.
RUNNING, NOT_RUN = "running", "not run"
#: The target that ended a point; for NO_ERRORS and STOPPED it ended the simulation as well.
BIT_TARGET, BLOCK_TARGET, MAX_BATCHES, NO_ERRORS = "bit errors", "block errors", "max batches", "no errors"
NEXT, STOPPED = "by callback", "stopped"


class Link(Protocol):
    """Anything that sends bits and returns them with what was received."""

    def __call__(self, batch_size: int, ebn0_db: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Send ``batch_size`` blocks, all randomness from ``generator``.

        Returns:
            bits {0, 1} [batch_size, n] and LLRs (floating dtype) or hard bits (integer or bool dtype) of that shape.
        """
        ...


@dataclass(frozen=True)
class Point:
    """Counts and state of one Eb/N0."""

    ebn0_db: float
    counts: ErrorCounts = ErrorCounts()
    batches: int = 0
    seconds: float = 0.0
    status: str = NOT_RUN

    @property
    def done(self) -> bool:
        return self.status not in (RUNNING, NOT_RUN)

    def to_dict(self, confidence: float = 0.95) -> dict[str, Any]:
        """Counts, rates and intervals, for a table or a file."""
        counts = self.counts
        return {
            "ebn0_db": self.ebn0_db,
            "ber": counts.ber,
            "ber_interval": list(counts.ber_interval(confidence)),
            "bler": counts.bler,
            "bler_interval": list(counts.bler_interval(confidence)),
            **asdict(counts),
            "batches": self.batches,
            "seconds": round(self.seconds, 3),
            "status": self.status,
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Point:
        counts = ErrorCounts(**{name: int(row[name]) for name in asdict(ErrorCounts())})
        return cls(float(row["ebn0_db"]), counts, int(row["batches"]), float(row["seconds"]), str(row["status"]))


#: Called after every batch of a point, in every process with the same counts. Returns None to go on, "next" to end the
#: point or "stop" to end the simulation; where processes differ, what rank 0 returns counts.
Callback = Callable[[Point], str | None]
#: Called like a callback, only to look: it may be given to one process alone.
Progress = Callable[[Point], object]


@dataclass(frozen=True)
class Stop:
    """When a point, and the simulation, end.

    Args:
        bit_errors, block_errors: a point ends when it has as many of either (None: no such target).
        max_batches: a point ends after as many batches in any case.
        early: when a point ends at ``max_batches`` without a block error, those at higher Eb/N0 are not simulated.
        below_ber, below_bler: points above one whose finished rate is lower are not simulated (None: all are).
    Raises:
        ValueError: a value is not positive.
    """

    bit_errors: int | None = None
    block_errors: int | None = None
    max_batches: int = 1000
    early: bool = True
    below_ber: float | None = None
    below_bler: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "early" and value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it must be positive")

    def status(self, point: Point) -> str:
        """Status of a point after its latest batch."""
        if self.bit_errors is not None and point.counts.bit_errors >= self.bit_errors:
            return BIT_TARGET
        if self.block_errors is not None and point.counts.block_errors >= self.block_errors:
            return BLOCK_TARGET
        return MAX_BATCHES if point.batches >= self.max_batches else RUNNING

    def ends_simulation(self, point: Point) -> bool:
        """Whether points above a finished one are left out."""
        counts = point.counts
        return (
            (self.early and point.status == MAX_BATCHES and counts.block_errors == 0)
            or (self.below_ber is not None and counts.ber < self.below_ber)
            or (self.below_bler is not None and counts.bler < self.below_bler)
        )


def batch_generator(seed: int, ebn0_db: float, batch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of one batch of the point at ``ebn0_db`` (told apart to a micro-dB)."""
    return seeded_generator(seed, round(ebn0_db * 1e6) + (1 << 40), batch, device=device)


def simulate(
    link: Link,
    ebn0_db: Sequence[float],
    *,
    batch_size: int,
    stop: Stop | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    callback: Callback | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 10.0,
    identity: dict[str, Any] | None = None,
) -> list[Point]:
    """Simulate ``link`` at every Eb/N0, from the lowest, and return the points in the order given.

    Under ``torchrun`` (see :func:`gr_softmod.modem.distributed.process_group`) every process simulates every
    world_size-th batch and returns the same points. Identical counts need like machines: another processor may round
    an LLR of nearly 0 the other way.

    Args:
        link: see :class:`Link`; it is called under ``torch.inference_mode``.
        ebn0_db: in dB, in any order, all different.
        batch_size: blocks a batch.
        seed: not negative.
        device: of the generator the link is given.
        callback, progress: see :data:`Callback` and :data:`Progress`.
        checkpoint: a JSON file, rewritten by rank 0 every ``checkpoint_seconds`` and at the end of each point, and read
            at the start. After an interruption (of any kind) the same call goes on from there.
        identity: what the link is, in plain values; a checkpoint of another identity, seed or batch size is refused.
    Raises:
        ValueError: an argument is wrong, or the link's answer is not bits and estimates of one shape.
        RunError: the checkpoint is damaged or belongs to another simulation.
    """
    grid = [float(value) for value in ebn0_db]
    if len(set(grid)) != len(grid) or not grid or not np.all(np.isfinite(grid)):
        raise ValueError(f"ebn0_db is {grid}; it must be finite values, at least one, all different")
    if batch_size < 1 or seed < 0:
        raise ValueError(f"batch_size is {batch_size} and seed {seed}; they must be at least 1 and 0")
    stop = stop or Stop()
    saver = _Checkpoint(checkpoint, {"seed": seed, "batch_size": batch_size, **(identity or {})}, checkpoint_seconds)
    points = saver.load(grid)

    def watch(point: Point) -> Point:
        points[point.ebn0_db] = point
        if progress:
            progress(point)
        return _ask(callback, point) if callback else point

    try:
        with torch.inference_mode():
            for value in sorted(grid):
                for point in _rounds(link, points[value], batch_size, stop, seed, device, watch):
                    points[value] = point
                    saver.save_now_and_then(points)
                saver.save(points)
                if points[value].status == STOPPED:
                    break
                if stop.ends_simulation(points[value]):
                    if points[value].counts.block_errors == 0:
                        points[value] = replace(points[value], status=NO_ERRORS)
                    break
    finally:
        saver.save(points)
    return [points[value] for value in grid]


def _rounds(
    link: Link,
    point: Point,
    batch_size: int,
    stop: Stop,
    seed: int,
    device: torch.device | str,
    watch: Callable[[Point], Point],
) -> Iterator[Point]:
    """Go on with a point until its status says it is done; in a round every process simulates one batch."""
    # A point from a checkpoint may be complete, or complete only for the fewer errors that were asked for then.
    point = replace(point, status=stop.status(point) if point.batches else RUNNING)
    yield point
    ranks, rank = distributed.world_size(), distributed.rank()
    while not point.done:
        start = time.perf_counter()
        generator = batch_generator(seed, point.ebn0_db, point.batches + rank, device)
        bits, estimate = link(batch_size, point.ebn0_db, generator)
        rows = distributed.gather_rows(list(astuple(count_errors(bits, estimate))))
        seconds = (time.perf_counter() - start) / ranks
        for row in rows:
            counts, batches = point.counts + ErrorCounts(*row), point.batches + 1
            point = replace(point, counts=counts, batches=batches, seconds=point.seconds + seconds)
            point = watch(replace(point, status=stop.status(point)))
            if point.done:  # the rest of the round is dropped: how much it is depends on the number of processes
                break
        yield point


def _ask(callback: Callback, point: Point) -> Point:
    answer = callback(point)
    if answer not in (None, "next", "stop"):
        raise ValueError(f"the callback returned {answer!r}; it must be None, 'next' or 'stop'")
    answer = distributed.share(answer)
    if answer == "stop":
        return replace(point, status=STOPPED)
    return replace(point, status=NEXT) if answer == "next" and not point.done else point


class _Checkpoint:
    """The points so far in a file that rank 0 writes and every rank reads."""

    def __init__(self, path: Path | None, identity: dict[str, Any], every: float) -> None:
        self.path, self.identity, self.every = path, json.loads(json.dumps(identity)), every
        self.saved_at = time.monotonic()

    def load(self, grid: Sequence[float]) -> dict[float, Point]:
        """One point for each value of the grid, from the file where it has it. Rank 0 reads, for everyone."""
        rows, problem = distributed.share(self._read() if distributed.rank() == 0 else None)
        if problem:
            raise RunError(problem)
        known = {row["ebn0_db"]: Point.from_dict(row) for row in rows}
        return {value: known.get(value, Point(value)) for value in grid}

    def _read(self) -> tuple[list[dict[str, Any]], str]:
        """Rows of the file, and what is wrong with it."""
        if self.path is None or not self.path.exists():
            return [], ""
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            identity, rows = dict(data["identity"]), list(data["points"])
            for row in rows:
                Point.from_dict(row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            return [], f"{self.path}: damaged checkpoint ({first_line(error)}); delete it to start over"
        differing = sorted(k for k in {*identity, *self.identity} if identity.get(k) != self.identity.get(k))
        if differing:
            return (
                [],
                f"{self.path}: is of another simulation (other {', '.join(differing)}); move it away",
            )
        return rows, ""

    def save(self, points: dict[float, Point]) -> None:
        if self.path is None or distributed.rank() != 0:
            return
        self.saved_at = time.monotonic()
        # JSON has no NaN: rates are left out, they follow from the counts.
        rows = [
            {**asdict(p.counts), "ebn0_db": p.ebn0_db, "batches": p.batches, "seconds": p.seconds, "status": p.status}
            for p in points.values()
        ]
        with replacing(self.path) as file:
            json.dump({"identity": self.identity, "points": rows}, file, indent=1)

    def save_now_and_then(self, points: dict[float, Point]) -> None:
        if time.monotonic() - self.saved_at >= self.every:
            self.save(points)
