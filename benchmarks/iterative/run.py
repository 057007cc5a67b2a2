# SPDX-License-Identifier: GPL-3.0-or-later
"""What iterations between demapper and decoder gain: 16-QAM with labels far apart beside Gray labels.

    PYTHONPATH=build/python python benchmarks/iterative/run.py [--frames 100] [--iterations 6]

Frames of 1998 information bits through examples/iterative_receiver.py in a flowgraph. Eb/N0 at a bit error rate of
1e-3, with 95 % intervals from resampling frames. All iterations see the same noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from gnuradio import softmod
from numpy.typing import NDArray

from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples")]
from iterative_receiver import STEPS, bit_errors, constellation  # noqa: E402
from page import markdown_table, replace_section  # noqa: E402

TARGET = 1e-3
#: Eb/N0 in dB.
GRIDS = {"far apart": (4.5, 8.6, 0.25), "Gray": (5.0, 7.1, 0.25)}
RESAMPLED = 1000


def crossing(grid: NDArray[np.float64], rates: NDArray[np.float64]) -> float:
    """Eb/N0 at the target: straight lines in the logarithm between neighbours; NaN where it is not crossed."""
    for i in range(len(grid) - 1):
        if rates[i] >= TARGET > rates[i + 1]:
            high, low = np.log(rates[i]), np.log(max(rates[i + 1], TARGET / 100))
            return float(grid[i] + (high - np.log(TARGET)) / (high - low) * (grid[i + 1] - grid[i]))
    return float("nan")


def interval(grid: NDArray[np.float64], wrong: NDArray[np.int64]) -> dict[str, float | None]:
    """Of ``wrong`` bits [points, frames] of one iteration."""
    rng, frames = np.random.default_rng(1), wrong.shape[1]
    drawn = [
        crossing(grid, wrong[:, rng.integers(0, frames, frames)].mean(axis=1) / (STEPS - 2)) for _ in range(RESAMPLED)
    ]
    found = crossing(grid, wrong.mean(axis=1) / (STEPS - 2))
    if np.isnan(found) or np.isnan(drawn).mean() > 0.02:
        return {"ebn0_db": None, "low": None, "high": None}
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"ebn0_db": found, "low": float(low), "high": float(high)}


def measure(name: str, frames: int, iterations: int) -> dict[str, Any]:
    points = constellation() if name == "far apart" else softmod.Constellation.from_name("16qam")
    grid = np.arange(*GRIDS[name])
    wrong = []
    for i, ebn0_db in enumerate(grid):
        wrong.append(bit_errors(points, float(ebn0_db), frames, iterations, 100 + i))
        rates = wrong[-1].mean(axis=1) / (STEPS - 2)
        print(f"{name:10} {ebn0_db:5.2f} dB", *(f"{rate:8.1e}" for rate in rates), flush=True)
        if rates[0] < TARGET / 5:
            break
    grid, counted = grid[: len(wrong)], np.array(wrong)  # [points, iterations, frames]
    rates = counted.mean(axis=2) / (STEPS - 2)
    return {
        "ebn0_db": grid.tolist(),
        "ber": rates.T.tolist(),
        "at_target": [interval(grid, counted[:, i]) for i in range(iterations)],
    }


def table(results: dict[str, Any]) -> str:
    far, gray = (results["labels"][name]["at_target"] for name in ("far apart", "Gray"))

    def told(entry: dict[str, Any]) -> str:
        return (
            "-" if entry["ebn0_db"] is None else f"{entry['ebn0_db']:.2f} ({entry['low']:.2f} to {entry['high']:.2f})"
        )

    rows = []
    for i, (mine, theirs) in enumerate(zip(far, gray, strict=True)):
        before = far[i - 1]["ebn0_db"] if i else None
        step = "" if before is None or mine["ebn0_db"] is None else f"{before - mine['ebn0_db']:.2f}"
        both = mine["ebn0_db"] is not None and theirs["ebn0_db"] is not None
        over = f"{theirs['ebn0_db'] - mine['ebn0_db']:+.2f}" if both else ""
        rows.append([str(i + 1), told(mine), step, told(theirs), over])
    head = ["iteration", "labels far apart [dB]", "gain of this iteration [dB]", "Gray labels [dB]", "over Gray [dB]"]
    where = results["machine"]
    return markdown_table(head, rows) + (
        f"\n\nEb/N0 at a bit error rate of 1e-3, in brackets the 95 % interval; {results['frames']} frames a point. "
        f"{where['cpu']}, {where['date']}."
    )


def picture(results: dict[str, Any], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    far, gray = (results["labels"][name] for name in ("far apart", "Gray"))
    colours = pyplot.get_cmap("viridis")(np.linspace(0, 0.85, len(far["ber"])))
    for i, (rates, colour) in enumerate(zip(far["ber"], colours, strict=True)):
        label = f"far apart, {i + 1} iteration{'s' if i else ''}"
        axes.plot(far["ebn0_db"], [rate or np.nan for rate in rates], "o-", ms=3, color=colour, label=label)
    for i, style in ((0, "--"), (len(gray["ber"]) - 1, ":")):
        label = f"Gray, {i + 1} iteration{'s' if i else ''}"
        axes.plot(gray["ebn0_db"], [rate or np.nan for rate in gray["ber"][i]], style, color="C3", label=label)
    axes.axhline(TARGET, color="0.6", lw=0.8)
    axes.set(yscale="log", ylim=(1e-6, 0.4), xlabel="Eb/N0 [dB]", ylabel="bit error rate")
    axes.set_title("16-QAM, convolutional code (5, 7), frames of 1998 bits", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="a point")
    parser.add_argument("--iterations", type=int, default=6)
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "frames": options.frames, "bits": STEPS - 2}
    results["labels"] = {name: measure(name, options.frames, options.iterations) for name in GRIDS}
    out = ROOT / "benchmarks" / "results" / "iterative.json"
    out.write_text(json.dumps(results, indent=1) + "\n")
    picture(results, ROOT / "docs" / "img" / "iterative_receiver.png")
    replace_section(ROOT / "docs" / "iterative_receiver.md", "iterative table", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
