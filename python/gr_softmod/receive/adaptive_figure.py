# SPDX-License-Identifier: GPL-3.0-or-later
"""``report.png`` of a job without given modulation: classes over time, and what became of each segment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from gr_softmod.receive import figure as parts_of
from gr_softmod.receive.report import spectrum
from gr_softmod.receive.watch import WINDOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gr_softmod.receive.adaptive import Adaptive

_SHARE = LinearSegmentedColormap.from_list("share", ["#ffffff", "#c7d7fe", "#2563eb", "#1e2a78"])
#: Constellations and rows of the table that fit.
_SHOWN = 5
#: Classes in the strip: those that were ever likely, the likeliest on average first.
_CLASSES, _EVER = 14, 0.15
_COLUMNS = 1200


def draw(report: dict[str, Any], job: Adaptive, path: Path) -> None:
    """Draw the report into a PNG file."""
    figure = Figure(figsize=(14, 9.4), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3, 10, height_ratios=[1.1, 0.85, 1], left=0.075, right=0.98, top=0.88, bottom=0.06, wspace=1.1, hspace=0.36
    )
    _title(figure, report)
    _strip(figure.add_subplot(grid[0, :]), report, job)
    shown = _longest(report["segments"])
    # Where there is room, soft bits stand beside their constellation.
    cells = [(number, what) for number in shown for what in (_points, _soft_bits) if what is _points or len(shown) <= 2]
    row = grid[1, :].subgridspec(1, max(1, len(cells)), wspace=0.25)
    for place, (number, what) in enumerate(cells):
        what(figure.add_subplot(row[place]), job, number)
    _spectrum(figure.add_subplot(grid[2, :4]), report, job)
    _table(figure.add_subplot(grid[2, 4:]), report, shown)
    figure.savefig(path, metadata={"Software": f"gr-softmod {report['software']['gr_softmod']}"})


def _longest(segments: list[dict[str, Any]]) -> list[int]:
    """The longest segments, in the order they came."""
    order = sorted(range(len(segments)), key=lambda at: segments[at]["begin_s"] - segments[at]["end_s"])
    return sorted(order[:_SHOWN])


def _title(figure: Figure, report: dict[str, Any]) -> None:
    source = report["parameters"]["source"]
    name = Path(source).name if report["input"]["datatype"] else source
    names = [segment["constellation"].upper() for segment in report["segments"]]
    found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing to demodulate"
    figure.suptitle(
        f"{name}     {found}",
        x=0.018,
        y=0.975,
        ha="left",
        va="top",
        fontsize=16,
        fontweight="bold",
        color=parts_of._INK,
    )
    version = report["software"]["gr_softmod"]
    about = f"gr-softmod {version}    {report['started_utc'].replace('T', ' ').rstrip('Z')} UTC"
    figure.text(0.98, 0.971, about, ha="right", va="top", fontsize=9, color=parts_of._FAINT)


def _strip(axes: Axes, report: dict[str, Any], job: Adaptive) -> None:
    """Probability of each class over time; above, what the segments were taken for."""
    parts_of._style(axes, "Classes over time")
    axes.grid(False)
    findings = job.watch.findings
    names = list(job.watch.classifier.class_names)
    share = np.array([[finding.probabilities.get(name, 0.0) for name in names] for finding in findings])
    if not len(findings):
        parts_of._empty(axes, "too short for a look")
        return
    if len(share) > _COLUMNS:  # means over stretches
        edges = np.linspace(0, len(share), _COLUMNS + 1).astype(int)
        share = np.add.reduceat(share, edges[:-1], axis=0) / np.diff(edges)[:, None]
    taken = {segment["constellation"].upper() for segment in report["segments"]}
    likely = [at for at in np.argsort(-share.mean(axis=0)) if share[:, at].max() > _EVER or names[at] in taken]
    chosen = sorted(sorted(likely, key=lambda at: (names[at] not in taken, -share[:, at].mean()))[:_CLASSES])
    seconds = len(findings) * WINDOW / job.watch.sample_rate
    rows = len(chosen)
    axes.imshow(
        share[:, chosen].T, aspect="auto", cmap=_SHARE, vmin=0, vmax=1, interpolation="nearest",
        extent=(0, seconds, rows - 0.5, -0.5),
    )  # fmt: skip
    axes.set_yticks(range(rows), [names[at] for at in chosen], fontsize=8.5 if rows <= 10 else 7.5)
    for row in range(1, rows):
        axes.axhline(row - 0.5, color=parts_of._GRID, linewidth=0.6)
    axes.set_ylim(rows - 0.5, -1.9)
    axes.set_xlim(0, seconds)
    for number, segment in enumerate(report["segments"]):
        begin, end = segment["begin_s"], segment["end_s"]
        colour = (parts_of._TEAL, parts_of._ORANGE)[number % 2]
        axes.fill_between([begin, end], -1.75, -0.75, color=colour, alpha=0.85, linewidth=0)
        if end - begin > 0.035 * seconds:
            axes.text(
                (begin + end) / 2, -1.25, segment["constellation"].upper(), ha="center", va="center", fontsize=9.5,
                fontweight="bold", color="white", clip_on=True,
            )  # fmt: skip
        axes.vlines([begin, end], -0.5, rows - 0.5, color=colour, linewidth=0.9, linestyles=":")
    axes.set_xlabel("seconds", color=parts_of._FAINT, fontsize=9, labelpad=1)
    axes.text(
        1, 1.03, "bar: demodulated as; below: probabilities of the classifier, window by window", ha="right",
        transform=axes.transAxes, fontsize=8.5, color=parts_of._FAINT,
    )  # fmt: skip


def _points(axes: Axes, job: Adaptive, number: int) -> None:
    part = job.parts[number]
    first, last = part.kept
    every = max(1, (last - first) // 16384)
    title = f"{part.scheme.name.upper()}  {part.begin / part.sample_rate:.2f} s"
    parts_of._constellation(axes, title, part.symbols[first:last:every], None, part.scheme.points)
    axes.set_xlabel("")
    axes.set_ylabel("")


def _soft_bits(axes: Axes, job: Adaptive, number: int) -> None:
    part = job.parts[number]
    first, last = (edge * part.scheme.bits_per_symbol for edge in part.kept)
    parts_of._llrs(axes, part.llrs[first:last])


def _spectrum(axes: Axes, report: dict[str, Any], job: Adaptive) -> None:
    parts_of._style(axes, "Spectrum")
    blocks = job.watch.shown.items
    blocks = blocks[np.all(np.isfinite(blocks), axis=1)]
    frequency, power = spectrum(blocks, job.watch.sample_rate)
    if not len(frequency):
        parts_of._empty(axes, "too short for a spectrum")
        return
    for segment in report["segments"]:
        half = segment["symbol_rate_hz"] / 2
        middle = segment["carrier_hz"]
        share = 0.13 / max(1, len(report["segments"])) + 0.02
        axes.axvspan(middle - half, middle + half, color=parts_of._TEAL, alpha=share, linewidth=0)
        axes.axvline(middle, color=parts_of._TEAL, linewidth=0.8, alpha=0.6)
    real = (report["input"]["datatype"] or "c").startswith("r")
    shown = frequency >= 0 if real else np.ones(len(frequency), bool)
    floor = max(float(np.quantile(power[shown], 0.02)) - 6, -110)
    axes.fill_between(frequency[shown], floor, power[shown], color=parts_of._BLUE, alpha=0.10, linewidth=0)
    axes.plot(frequency[shown], power[shown], color=parts_of._BLUE, linewidth=0.9)
    axes.set_xlim(frequency[shown][0], frequency[shown][-1])
    axes.set_ylim(floor, 4)
    axes.xaxis.set_major_formatter(EngFormatter(unit="Hz"))
    axes.set_ylabel("dB below the peak", color=parts_of._FAINT, fontsize=9)


def _table(axes: Axes, report: dict[str, Any], shown: list[int]) -> None:
    axes.set_axis_off()
    columns = (0.06, 0.24, 0.40, 0.57, 0.74, 0.86, 1.0)
    heads = ("begins", "modulation", "symbol rate", "carrier", "Es/N0", "symbols", "expected BER")
    rows = [
        (
            f"{segment['begin_s']:.3f} s",
            segment["constellation"].upper(),
            parts_of._eng(round(segment["symbol_rate_hz"], 1), "Bd"),
            parts_of._eng(round(segment["carrier_hz"], 1), "Hz"),
            parts_of._number(segment["esn0_db"], "{:.1f} dB"),
            f"{segment['symbols']:,}",
            parts_of._number(segment["expected_bit_error_rate"], "{:.1e}"),
        )
        for segment in (report["segments"][at] for at in shown)
    ]
    for place, cells in enumerate((heads, *rows)):
        for x, cell in zip(columns, cells, strict=True):
            axes.text(
                x, 0.96 - 0.105 * place, cell, transform=axes.transAxes, ha="right" if x > 0.06 else "center",
                va="center", fontsize=9 if place == 0 else 10.5, color=parts_of._FAINT if place == 0 else parts_of._INK,
            )  # fmt: skip
    source = report["input"]
    notes = [f"{source['duration_s']:.2f} s at {parts_of._eng(source['sample_rate_hz'], 'Hz')}, {report['ended']}"]
    more = len(report["segments"]) - len(shown)
    notes += [f"and {more} more segments"] if more > 0 else []
    notes += [f"{name}: {value}" for name, value in parts_of._results(report)]
    for place, note in enumerate(notes):
        y = 0.96 - 0.105 * (len(rows) + 1.4) - 0.09 * place
        axes.text(0.0, y, note, transform=axes.transAxes, fontsize=10, color=parts_of._FAINT, va="center")
    for place, warning in enumerate(report["warnings"][:2]):
        y = 0.96 - 0.105 * (len(rows) + 1.4) - 0.09 * (len(notes) + 1.5 * place)
        axes.text(
            0.0, y, parts_of._wrapped(warning), transform=axes.transAxes, fontsize=9, color=parts_of._ORANGE, va="top"
        )
