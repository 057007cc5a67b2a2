# SPDX-License-Identifier: GPL-3.0-or-later
"""What soft bits are worth to gr-fec's decoders: simulates, writes the JSON, the plot and the tables of docs/fec.md.

PYTHONPATH=build/python python benchmarks/fec/run.py            about ten minutes of one core
PYTHONPATH=build/python python benchmarks/fec/run.py --report   the plot and the tables again, from the JSON
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import report
from codes import Code, convolutional, ldpc, polar
from curves import Point, crossing, curve, gain, interval
from demappers import METHODS
from gnuradio import gr
from limits import ldpc_weights, uchar_scales

from gr_softmod.bindings import _kernels
from gr_softmod.constellation import Constellation

RESULTS = Path(__file__).resolve().parents[1] / "results" / "fec.json"
#: Frame error rate at which the gains are read.
TARGET = 1e-2
STEP_DB = 0.5
#: Eb/N0 in dB where the curves of a constellation begin; hard decisions begin later, 10 dB on all end.
FIRST_DB = {"qpsk": 1.0, "16qam": 3.0, "64qam": 6.0}
LATER_DB = {"hard": 1.5}


def measure(code: Code, name: str, frames: int) -> dict[str, Any]:
    """All methods for one code and constellation."""
    constellation = Constellation.from_name(name)
    # The LLRs of QPSK are linear in the symbol: max-log is exact.
    methods = [m for m in METHODS if not (m == "max-log" and name == "qpsk")]
    curves = {}
    for method in methods:
        first = FIRST_DB[name] + LATER_DB.get(method, 0.0)
        last = FIRST_DB[name] + 10.0
        curves[method] = curve(
            code, constellation, method, first=first, step=STEP_DB, last=last, frames=frames, target=TARGET
        )
        print(f"{code.name}, {name}, {method}: {crossing(curves[method], TARGET):.2f} dB", flush=True)
    return {
        "code": code.name,
        "rate": code.rate,
        "constellation": name,
        "curves": {method: [written(point) for point in points] for method, points in curves.items()},
        "crossing_db": {method: finite(crossing(points, TARGET)) for method, points in curves.items()},
        "gain_db": {
            method: [finite(v) for v in gain(points, curves["exact"], TARGET)]
            for method, points in curves.items()
            if method != "exact"
        },
    }


def written(point: Point) -> dict[str, Any]:
    low, high = interval(point)
    return {
        "ebn0_db": point.ebn0_db,
        "frames": int(point.errors.size),
        "bit_errors": int(point.errors.sum()),
        "ber": point.bit_error_rate,
        "ber_95": [low, high],
        "fer": point.frame_error_rate,
    }


def finite(value: float) -> float | None:
    """JSON has no infinity; None says that a curve does not reach the target."""
    return round(value, 3) if abs(value) < 1e6 else None


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="only write the plot and the tables again")
    if not parser.parse_args().report:
        os.nice(10)
        budgets = [(convolutional(), 2400), (polar(), 2400), (ldpc(), 900)]
        results = {
            "date": datetime.date.today().isoformat(),
            "machine": processor(),
            "gnuradio": gr.version(),
            "simd": _kernels.simd_target(),
            "target_fer": TARGET,
            "cases": [measure(code, name, frames) for code, frames in budgets for name in FIRST_DB],
            "ldpc_weights": ldpc_weights(),
            "uchar_scales": uchar_scales(),
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write(json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
