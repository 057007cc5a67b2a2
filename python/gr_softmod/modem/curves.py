# SPDX-License-Identifier: GPL-3.0-or-later
"""Error-rate curves: what a simulation found, with theory beside it, as CSV, JSON and a figure."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from gr_softmod.config import Config, Grid
from gr_softmod.modem.simulate import NOT_RUN, Link, Point
from gr_softmod.run_dir import replacing

#: Columns of a CSV file: the curve, then each point's counts, rates and intervals.
COLUMNS = (
    "curve", "ebn0_db", "ber", "ber_low", "ber_high", "theory", "bler", "bler_low", "bler_high",
    "bit_errors", "bits", "block_errors", "blocks", "dispersion", "batches", "seconds", "status",
)  # fmt: skip


#: Bit error rates of a grid of Eb/N0 in dB.
Theory = Callable[[Sequence[float]], Sequence[float]]


class BerConfig(Config):
    """How far and how finely error rates are counted."""

    ebn0_db: Grid = [float(db) for db in range(11)]
    target_bit_errors: int | None = Field(default=1000, ge=1)
    target_block_errors: int | None = Field(default=None, ge=1)
    max_batches: int = Field(default=1000, ge=1)
    early_stop: bool = True
    batch_size: int = Field(default=64, ge=1, description="blocks a batch")
    seed: int = Field(default=0, ge=0)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    device: str = "cpu"
    threads: int = Field(
        default=1, ge=1, description="torch threads of a process; more processes scale better than threads"
    )


@dataclass(frozen=True)
class Contender:
    """A link to simulate: its name, what identifies it in a checkpoint, and its bit error rate in closed form."""

    name: str
    link: Link
    identity: dict[str, Any]
    theory: Theory | None = None


@dataclass(frozen=True)
class Curve:
    """One link over its grid.

    Attributes:
        name: for the legend.
        points: in the order of the grid.
        theory: bit error rates in closed form of a grid of Eb/N0, None where there is none.
        confidence: of the intervals.
    """

    name: str
    points: list[Point]
    theory: Theory | None = None
    confidence: float = 0.95

    def rows(self) -> list[dict[str, Any]]:
        """A dictionary of :data:`COLUMNS` for each point."""
        grid = [point.ebn0_db for point in self.points]
        expected = self.theory(grid) if self.theory else [math.nan] * len(grid)
        return [self._row(point, value) for point, value in zip(self.points, expected, strict=True)]

    def _row(self, point: Point, expected: float) -> dict[str, Any]:
        c = point.counts
        (ber_low, ber_high), (bler_low, bler_high) = c.ber_interval(self.confidence), c.bler_interval(self.confidence)
        values = (
            self.name, point.ebn0_db, c.ber, ber_low, ber_high, expected, c.bler, bler_low, bler_high,
            c.bit_errors, c.bits, c.block_errors, c.blocks, c.dispersion, point.batches, round(point.seconds, 3),
            point.status,
        )  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


def write_csv(path: Path, curves: Sequence[Curve]) -> None:
    """A line for each point of each curve; rates that do not exist are empty."""
    with replacing(path) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for curve in curves:
            for row in curve.rows():
                writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()})


def plot(path: Path, curves: Sequence[Curve], *, title: str, rate: str = "ber") -> None:
    """Write a figure of bit ("ber") or block ("bler") error rates with their intervals to ``path``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lowest, highest = 1.0, 1e-30
    for number, curve in enumerate(curves):
        colour = f"C{number}"
        rows = sorted((r for r in curve.rows() if r["status"] != NOT_RUN), key=lambda r: float(r["ebn0_db"]))
        seen = [r for r in rows if r[rate] > 0]
        if curve.theory is not None and rate == "ber":
            values = [point.ebn0_db for point in curve.points]
            grid = [float(value) for value in np.linspace(min(values), max(values), 100)]
            axes.plot(grid, curve.theory(grid), color=colour, linewidth=1, alpha=0.7, label=f"{curve.name}, theory")
        x = [r["ebn0_db"] for r in seen]
        y = np.array([r[rate] for r in seen])
        spread = np.abs(np.array([[r[f"{rate}_{end}"] for r in seen] for end in ("low", "high")]) - y)
        line = "none" if curve.theory is not None and rate == "ber" else "-"
        axes.errorbar(x, y, spread, color=colour, marker="o", markersize=4, capsize=3, linestyle=line, label=curve.name)
        # Where no error was seen, the upper end of the interval is all that is known.
        unseen = [r for r in rows if not r[rate] > 0]
        axes.plot([r["ebn0_db"] for r in unseen], [r[f"{rate}_high"] for r in unseen], "v", color=colour, mfc="none")
        highest = max([highest, *y])
        lowest = min([lowest, *y, *(r[f"{rate}_high"] for r in unseen)])
    axes.set_yscale("log")
    axes.set_ylim(10 ** math.floor(math.log10(lowest)), min(1.5, 3 * highest))
    axes.set_xlabel("$E_b/N_0$ [dB]")
    axes.set_ylabel({"ber": "bit error rate", "bler": "block error rate"}[rate])
    axes.set_title(title)
    axes.grid(which="major", alpha=0.5)
    axes.grid(which="minor", alpha=0.15)
    axes.legend()
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)
