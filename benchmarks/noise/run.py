# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy of blind Es/N0 estimates: ours, the error of decisions, moments, and GNU Radio's in-tree estimators.

    PYTHONPATH=build/python python benchmarks/noise/run.py [--trials 40] [--out benchmarks/results/noise.json]

All see the same 32768 symbols a trial, at a level of 0.8 that none is told. Figures are errors in dB: mean and standard
deviation over the trials, and the largest.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, digital, gr
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gr_softmod.bindings._kernels import NoiseEstimator
from gr_softmod.constellation import Constellation

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

SYMBOLS, LEVEL = 32768, 0.8
CASES = {
    "bpsk": (-3, 0, 3, 6, 10, 20, 30),
    "qpsk": (0, 3, 6, 10, 15, 20, 30),
    "8psk": (0, 3, 6, 10, 15, 20, 30),
    "16qam": (3, 6, 10, 15, 20, 30),
    "64qam": (6, 9, 12, 15, 20, 30),
    "256qam": (18, 21, 24, 30, 40),
    "1024qam": (24, 27, 30, 40),
    "32apsk": (9, 12, 15, 20, 30),
}
Estimate = Callable[[Constellation, NDArray[np.complex64]], float]


def ours(constellation: Constellation, y: NDArray[np.complex64]) -> float:
    estimator = NoiseEstimator(constellation.points.tolist())
    estimator.push(y)
    return float(estimator.estimate()["esn0_db"])


def decisions(constellation: Constellation, y: NDArray[np.complex64]) -> float:
    """Mean square distance to the nearest point, after setting the power to 1 as an AGC does."""
    scaled = y / np.sqrt(np.mean(np.abs(y) ** 2))
    error = scaled - constellation.points[constellation.nearest(scaled)]
    return float(-10 * np.log10(np.mean(np.abs(error) ** 2)))


def moments(constellation: Constellation, y: NDArray[np.complex64]) -> float:
    """M2M4 (Pauluzzi, Beaulieu, 2000), with the kurtosis of the constellation; NaN where it has no solution."""
    kurtosis = float(np.mean(np.abs(constellation.points) ** 4))
    m2, m4 = np.mean(np.abs(y) ** 2), np.mean(np.abs(y) ** 4)
    signal = np.sqrt(max((m4 - 2 * m2**2) / (kurtosis - 2), 0.0))
    return float(10 * np.log10(signal / (m2 - signal))) if 0 < signal < m2 else math.nan


def in_tree(kind: int) -> Estimate:
    def estimate(constellation: Constellation, y: NDArray[np.complex64]) -> float:
        if constellation.name not in ("bpsk", "qpsk", "8psk"):
            return math.nan
        top, probe = gr.top_block(), digital.probe_mpsk_snr_est_c(kind, SYMBOLS, 1e-3)
        top.connect(blocks.vector_source_c(y.tolist()), probe)
        top.run()
        return float(probe.snr())

    return estimate


METHODS: dict[str, Estimate] = {
    "ours": ours,
    "decisions": decisions,
    "M2M4": moments,
    "in-tree simple": in_tree(digital.SNR_EST_SIMPLE),
    "in-tree skew": in_tree(digital.SNR_EST_SKEW),
    "in-tree M2M4": in_tree(digital.SNR_EST_M2M4),
    "in-tree SVR": in_tree(digital.SNR_EST_SVR),
}


def received(constellation: Constellation, esn0_db: float, seed: int) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(SYMBOLS, 2)) @ [1, 1j] * np.sqrt(0.5 * 10 ** (-esn0_db / 10))
    return (LEVEL * (rng.choice(constellation.points, SYMBOLS) + noise)).astype(np.complex64)


def write_page(results: list[dict[str, Any]]) -> None:
    def cell(figures: dict[str, float] | None) -> str:
        return f"{figures['mean']:.2f} ± {figures['std']:.2f}" if figures else "-"

    rows = [[f"{r['constellation']} at {r['esn0_db']} dB", *(cell(r[method]) for method in METHODS)] for r in results]
    replace_section(ROOT / "docs" / "blocks.md", "noise table", markdown_table(["Es/N0", *METHODS], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "noise.json")
    arguments = parser.parse_args()
    table = Table(title="Error of Es/N0 in dB: mean +- standard deviation")
    for column in ("", "Es/N0", *METHODS):
        table.add_column(column, justify="right")
    results = []
    for name, range_db in CASES.items():
        constellation = Constellation.from_name(name)
        for esn0_db in range_db:
            trials = [received(constellation, esn0_db, seed) for seed in range(arguments.trials)]
            row, entry = [name, str(esn0_db)], {"constellation": name, "esn0_db": esn0_db}
            for method, estimate in METHODS.items():
                errors = np.array([estimate(constellation, y) for y in trials]) - esn0_db
                known = np.isfinite(errors)
                if not known.all():  # a method that fails at times does not count as one
                    row.append("-")
                    entry[method] = None
                    continue
                figures = {"mean": errors.mean(), "std": errors.std(), "largest": np.abs(errors).max()}
                entry[method] = {key: round(float(value), 3) for key, value in figures.items()}
                row.append(f"{errors.mean():.2f} ± {errors.std():.2f}")
            table.add_row(*row)
            results.append(entry)
    report = {
        "date": datetime.date.today().isoformat(),
        "gnuradio": gr.version(),
        "symbols": SYMBOLS,
        "trials": arguments.trials,
        "errors_db": results,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    Console(width=150).print(table)
    write_page(results)


if __name__ == "__main__":
    main()
