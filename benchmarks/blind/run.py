# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy of blind estimates of symbol rate, carrier and signal-to-noise ratio, and how often noise has a rate.

    PYTHONPATH=build/python python benchmarks/blind/run.py [--trials 25] [--out benchmarks/results/blind.json]

A trial is one block of 65536 samples: root raised cosine pulses, a random carrier anywhere in the band, a random phase
of carrier and clock, white noise. Carriers beyond the edge of the band wrap around, as they do in complex samples.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gr_softmod.bindings._kernels import BlindEstimator

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
sys.path.insert(0, str(ROOT / "tests"))
from page import markdown_table, replace_section  # noqa: E402

from shaped_signal import shaped_signal  # noqa: E402

LENGTH = 65_536
SIGNALS = {"bpsk": 5.0, "qpsk": 5.0, "8psk": 5.0, "16qam": 10.0, "64qam": 10.0}  # at this Es/N0 in dB
CLEAN_DB = 20.0
RATES, ROLLOFFS = (2.5, 4.3, 8.0, 32.0), (0.15, 0.35, 0.5)
CLOSE = 100e-6
PAGE = ROOT / "docs" / "blind.md"


def case(name: str, esn0_db: float, rate: float, rolloff: float, trials: int) -> dict[str, Any]:
    estimator, rng = BlindEstimator(LENGTH), np.random.default_rng(1)
    errors, carriers, ratios, centers = [], [], [], []
    for trial in range(trials):
        frequency = float(rng.uniform(-0.5, 0.5))
        found = estimator.estimate(shaped_signal(name, LENGTH, rate, esn0_db, frequency, rolloff, 1 + trial))
        errors.append(abs(found["symbol_rate"] * rate - 1) if found["symbol_rate"] else np.inf)
        ratios.append(found["snr_db"] - esn0_db)
        centers.append(((found["center"] - frequency + 0.5) % 1 - 0.5) * rate)
        if found["carrier_order"]:
            carriers.append(abs((found["carrier"] - frequency + 0.5) % 1 - 0.5) * rate)
    right = np.isfinite(errors)
    return {
        "constellation": name,
        "esn0_db": esn0_db,
        "samples_per_symbol": rate,
        "rolloff": rolloff,
        "trials": trials,
        "share_within_100_ppm": float(np.mean(np.array(errors) < CLOSE)),
        "share_with_a_rate": float(np.mean(right)),
        "median_error_ppm": float(1e6 * np.median(np.array(errors)[right])) if right.any() else None,
        "share_with_a_carrier": len(carriers) / trials,
        "share_of_carriers_within_0.001_symbol_rates": float(np.mean(np.array(carriers) < 1e-3)) if carriers else None,
        "rms_center_error_symbol_rates": float(np.sqrt(np.mean(np.square(centers)))),
        "mean_snr_error_db": float(np.mean(ratios)),
    }


def false_alarms(trials: int) -> dict[str, Any]:
    """Blocks of white noise that were given a rate."""
    result: dict[str, Any] = {}
    for length in (4096, 16_384, 65_536):
        rng, estimator = np.random.default_rng(length), BlindEstimator(length)
        count = sum(
            estimator.estimate((rng.normal(size=(length, 2)) @ [1, 1j]).astype(np.complex64))["symbol_rate"] > 0
            for _ in range(trials)
        )
        result[str(length)] = {"blocks": trials, "with_a_rate": int(count)}
    return result


def write_page(report: dict[str, Any]) -> None:
    def cell(row: dict[str, Any]) -> str:
        ppm = "-" if row["median_error_ppm"] is None else f"{row['median_error_ppm']:.1f}"
        return f"{row['share_within_100_ppm']:.0%}, {ppm}, {row['share_with_a_carrier']:.0%}"

    def kind(row: dict[str, Any]) -> tuple[str, float, float]:
        return row["constellation"], row["esn0_db"], row["rolloff"]

    rows = []
    for name, esn0_db, rolloff in dict.fromkeys(map(kind, report["rows"])):
        chosen = [row for row in report["rows"] if kind(row) == (name, esn0_db, rolloff)]
        rows.append([f"{name.upper()}, {esn0_db:g} dB, roll-off {rolloff:g}", *map(cell, chosen)])
    table = markdown_table(["", *(f"{rate:g} samples a symbol" for rate in RATES)], rows)
    alarms = ", ".join(
        f"{value['with_a_rate']} of {value['blocks']} blocks of {length}" for length, value in report["noise"].items()
    )
    wrong = [r for r in report["rows"] if (r["share_of_carriers_within_0.001_symbol_rates"] or 1.0) < 1]
    ratios = [r["mean_snr_error_db"] for r in report["rows"]]
    text = (
        f"{report['machine']}, {report['date']}; the figures depend on no timing. {report['rows'][0]['trials']} blocks"
        f" of {LENGTH} samples a cell: those whose symbol rate is within 100 ppm, median error in ppm of those with a"
        f" rate, those with a carrier.\n\n{table}\n\nWhite noise was given a rate in {alarms}. Cells in which a carrier"
        f" was off by more than a thousandth of the symbol rate: {len(wrong)} of {len(report['rows'])}. The"
        f" signal-to-noise ratio is off by {min(ratios):+.1f} to {max(ratios):+.1f} dB on average over a cell."
    )
    replace_section(PAGE, "accuracy", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "blind.json")
    arguments = parser.parse_args()
    rows = []
    for name, lowest in SIGNALS.items():
        for esn0_db in (lowest, CLEAN_DB):
            for rolloff in ROLLOFFS if esn0_db == lowest else (0.35,):
                for rate in RATES:
                    rows.append(case(name, esn0_db, rate, rolloff, arguments.trials))
                    print(json.dumps(rows[-1]), flush=True)
    report = {
        "machine": "AMD EPYC",
        "date": datetime.date.today().isoformat(),
        "block_samples": LENGTH,
        "rows": rows,
        "noise": false_alarms(16 * arguments.trials),
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    write_page(report)


if __name__ == "__main__":
    main()
