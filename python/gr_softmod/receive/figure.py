# SPDX-License-Identifier: GPL-3.0-or-later
"""``report.png``: one page that shows whether the reception was good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gr_softmod.receive.report import Curves

_INK, _FAINT, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_BLUE, _TEAL, _ORANGE = "#2563eb", "#0f9d8a", "#e8590c"
_DENSITY = LinearSegmentedColormap.from_list("density", ["#c7d7fe", "#6d8ff7", "#2563eb", "#1e2a78", "#0b1035"])


def draw(report: dict[str, Any], curves: Curves, path: Path) -> None:
    """Draw the report into a PNG file."""
    # Not through pyplot: no global state, and no display is looked for.
    figure = Figure(figsize=(14, 8.6), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    # Fixed places: matplotlib's automatic layouts would take as long as all the drawing.
    grid = figure.add_gridspec(
        2, 3, height_ratios=[1.12, 1], left=0.05, right=0.98, top=0.885, bottom=0.065, wspace=0.24, hspace=0.27
    )
    _title(figure, report)
    _constellation(figure.add_subplot(grid[0, 0]), "Before synchronisation", curves.before)
    _constellation(
        figure.add_subplot(grid[0, 1]), "After synchronisation", curves.symbols, curves.unlocked_symbols, curves.points
    )
    _summary(figure.add_subplot(grid[0, 2]), report)
    _spectrum(figure.add_subplot(grid[1, 0]), report, curves)
    _noise(figure.add_subplot(grid[1, 1]), curves)
    _llrs(figure.add_subplot(grid[1, 2]), curves.llrs)
    figure.savefig(path, metadata={"Software": f"gr-softmod {report['software']['gr_softmod']}"})


def _title(figure: Figure, report: dict[str, Any]) -> None:
    parameters = report["parameters"]
    name = Path(parameters["source"]).name if report["input"]["datatype"] else parameters["source"]
    rate = EngFormatter(unit="Bd", places=None)(parameters["symbol_rate_hz"])
    kind = "differential " if parameters["differential"] else ""
    figure.suptitle(
        f"{name}     {kind}{parameters['constellation']}, {rate}",
        x=0.018, y=0.972, ha="left", va="top", fontsize=16, fontweight="bold", color=_INK,
    )  # fmt: skip
    about = (
        f"gr-softmod {report['software']['gr_softmod']}    {report['started_utc'].replace('T', ' ').rstrip('Z')} UTC"
    )
    figure.text(0.98, 0.968, about, ha="right", va="top", fontsize=9, color=_FAINT)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=_INK, pad=8)
    axes.tick_params(colors=_FAINT, labelsize=9, length=0)
    axes.grid(True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color(_GRID)


def _empty(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=_FAINT, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def _constellation(
    axes: Axes,
    title: str,
    samples: NDArray[np.complex64],
    unlocked: NDArray[np.complex64] | None = None,
    points: NDArray[np.complex128] | None = None,
) -> None:
    _style(axes, title)
    axes.set_aspect("equal")
    unlocked = np.zeros(0, np.complex64) if unlocked is None else unlocked
    shown = samples if len(samples) else unlocked
    if not len(shown):
        _empty(axes, "no samples")
        return
    limit = 1.15 * max(float(np.quantile(np.abs(shown), 0.995)), np.max(np.abs(points)) if points is not None else 0)
    limit = limit or 1.0
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.scatter(unlocked.real, unlocked.imag, s=3, color="#cbd2d9", linewidths=0, label="no lock")
    if len(samples):
        density = _density(samples, limit)
        order = np.argsort(density)
        axes.scatter(samples.real[order], samples.imag[order], c=density[order], cmap=_DENSITY, s=3, linewidths=0)
    if points is not None:
        axes.scatter(points.real, points.imag, marker="+", s=60 if len(points) <= 64 else 12, c=_ORANGE, linewidths=1.4)
    if len(unlocked):
        axes.legend(loc="upper right", fontsize=8.5, frameon=False, labelcolor=_FAINT, markerscale=3)
    axes.set_xlabel("in phase", color=_FAINT, fontsize=9)
    axes.set_ylabel("quadrature", color=_FAINT, fontsize=9)


def _density(samples: NDArray[np.complex64], limit: float, cells: int = 96) -> NDArray[np.float64]:
    """How crowded it is around each sample, in (0, 1]."""
    column, row = (
        np.clip(((part + limit) / (2 * limit) * cells).astype(int), 0, cells - 1)
        for part in (samples.real, samples.imag)
    )
    counts = np.bincount(column * cells + row, minlength=cells * cells).reshape(cells, cells).astype(np.float64)
    kernel = np.array([0.25, 0.5, 0.25])
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    density = np.sqrt(counts[column, row])
    return density / density.max()


def _summary(axes: Axes, report: dict[str, Any]) -> None:
    axes.set_axis_off()
    signal, source, output = report["signal"], report["input"], report["output"]
    erased = f"  ({output['erased_llrs']:,} erased)" if output["erased_llrs"] else ""
    lines = [
        ("Duration", f"{source['duration_s']:.2f} s at {_eng(source['sample_rate_hz'], 'Hz')}"),
        ("Samples", f"{source['samples']:,}"),
        ("Invalid samples", f"{source['invalid_samples']:,}"),
        ("Symbols", f"{output['symbols']:,}"),
        ("Soft bits", f"{output['llrs']:,}{erased}"),
        ("Es/N0", _number(signal["esn0_db"], "{:.1f} dB")),
        ("Frequency offset", _number(signal["frequency_offset_hz"], "{:+.1f} Hz")),
        ("Locked", _number(signal["locked_share"], "{:.1%} of the time")),
        ("Expected bit error rate", _number(signal["expected_bit_error_rate"], "{:.1e}")),
        *_results(report),
        ("Ended", report["ended"]),
    ]
    step = min(0.085, 0.9 / len(lines))
    for number, (name, value) in enumerate(lines):
        y = 0.95 - number * step
        axes.text(0.02, y, name, transform=axes.transAxes, fontsize=10.5, color=_FAINT, va="center")
        axes.text(0.50, y, value, transform=axes.transAxes, fontsize=10.5, color=_INK, va="center")
    for number, warning in enumerate(report["warnings"][:2]):
        axes.text(
            0.02, 0.95 - (len(lines) + 0.4 + number * 1.1) * step, _wrapped(warning), transform=axes.transAxes,
            fontsize=9, color=_ORANGE, va="top",
        )  # fmt: skip


def _results(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines about what was made of the soft bits, where something was."""
    lines = []
    if "bit_errors" in report:
        errors = report["bit_errors"]
        lines.append(("Bit errors", f"{errors['errors']:,} of {errors['bits']:,}"))
        lines.append(("Bit error rate", _number(errors["bit_error_rate"], "{:.1e}")))
    if "frames" in report:
        repaired = f"  ({report['frames']['repaired']:,} repaired)" if report["frames"]["repaired"] else ""
        lines.append(("AX.25 frames", f"{report['frames']['count']:,}{repaired}"))
    return lines


def _spectrum(axes: Axes, report: dict[str, Any], curves: Curves) -> None:
    _style(axes, "Spectrum")
    if not len(curves.frequency_hz):
        _empty(axes, "too short for a spectrum")
        return
    parameters = report["parameters"]
    middle = parameters["center_hz"] + (report["signal"]["frequency_offset_hz"] or 0.0)
    half = parameters["symbol_rate_hz"] / 2
    floor = max(float(np.quantile(curves.power_db, 0.02)) - 6, -110)
    axes.axvspan(middle - half, middle + half, color=_TEAL, alpha=0.13, linewidth=0, label="channel")
    axes.axvline(middle, color=_TEAL, linewidth=1, alpha=0.7)
    axes.fill_between(curves.frequency_hz, floor, curves.power_db, color=_BLUE, alpha=0.10, linewidth=0)
    axes.plot(curves.frequency_hz, curves.power_db, color=_BLUE, linewidth=0.9)
    real = (report["input"]["datatype"] or "c").startswith("r")
    axes.set_xlim(0 if real and middle >= 0 else curves.frequency_hz[0], curves.frequency_hz[-1])
    axes.set_ylim(floor, 4)
    axes.xaxis.set_major_formatter(EngFormatter(unit="Hz"))
    axes.set_ylabel("dB below the peak", color=_FAINT, fontsize=9)
    axes.legend(loc="upper right", fontsize=8.5, frameon=False, labelcolor=_FAINT)


def _noise(axes: Axes, curves: Curves) -> None:
    _style(axes, "Noise variance over time")
    if not len(curves.time_s):
        _empty(axes, "too short for an estimate")
        return
    axes.plot(curves.time_s, curves.noise_var, color=_FAINT, alpha=0.35, linewidth=1, zorder=1)
    for chosen, colour, name in ((~curves.locked, _FAINT, "no lock"), (curves.locked, _TEAL, "locked")):
        axes.scatter(
            curves.time_s[chosen], curves.noise_var[chosen], s=9, color=colour, linewidths=0, label=name, zorder=2
        )
    axes.set_yscale("log")
    shown = curves.noise_var[curves.locked] if curves.locked.any() else curves.noise_var
    highest = max(float(np.max(shown)), min(float(np.max(curves.noise_var)), 5.0))
    axes.set_ylim(float(np.min(shown)) / 1.6, highest * 1.6)
    if not curves.locked.all():
        axes.legend(loc="upper right", fontsize=8.5, frameon=False, labelcolor=_FAINT)
    axes.set_xlabel("seconds", color=_FAINT, fontsize=9)
    axes.set_ylabel("noise variance (symbol energy 1)", color=_FAINT, fontsize=9)
    axes.grid(True, which="minor", color=_GRID, linewidth=0.4)
    other = axes.twinx()
    other.set_ylim(*(-10 * np.log10(axes.get_ylim())))
    other.set_ylabel("Es/N0 in dB", color=_FAINT, fontsize=9)
    other.tick_params(colors=_FAINT, labelsize=9, length=0)
    for side in other.spines.values():
        side.set_visible(False)


def _llrs(axes: Axes, llrs: NDArray[np.float32]) -> None:
    _style(axes, "Soft bits")
    llrs = llrs[np.isfinite(llrs)]
    if not len(llrs):
        _empty(axes, "no soft bits")
        return
    limit = max(1.0, float(np.quantile(np.abs(llrs), 0.999)))
    edges = np.linspace(-limit, limit, 121)
    counts, _ = np.histogram(llrs, edges)
    centres = (edges[1:] + edges[:-1]) / 2
    share = counts / max(1, counts.sum())
    for side, colour, name in ((centres < 0, _BLUE, "0 is likelier"), (centres > 0, _ORANGE, "1 is likelier")):
        axes.bar(centres[side], share[side], width=edges[1] - edges[0], color=colour, alpha=0.85, label=name)
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlim(-limit, limit)
    axes.set_ylim(0, 1.18 * share.max())
    axes.set_xlabel("LLR = ln P(1) / P(0)", color=_FAINT, fontsize=9)
    axes.set_yticks([])
    axes.legend(loc="upper center", fontsize=8.5, frameon=False, labelcolor=_FAINT, ncols=2)


def _eng(value: float, unit: str) -> str:
    return str(EngFormatter(unit=unit)(value))


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)


def _wrapped(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 62))
