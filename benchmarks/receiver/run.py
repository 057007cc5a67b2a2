# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``softmod.receiver`` loses to theory: simulates, writes the JSON and the tables of docs/receiver.md.

PYTHONPATH=build/python python benchmarks/receiver/run.py            some minutes of one core
PYTHONPATH=build/python python benchmarks/receiver/run.py --report   the tables again, from the JSON
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import report
from link import SETTLING, SYMBOL_RATE, link

RESULTS = Path(__file__).resolve().parents[1] / "results" / "receiver.json"
CONSTELLATIONS = ("bpsk", "qpsk", "8psk", "16qam", "64qam")
SAMPLES_PER_SYMBOL = (2, 2.37, 4, 8, 50)
BIT_ERROR_RATES = (1e-1, 1e-2, 1e-3)
OFFSETS = (0.0, 0.02, 0.05, 0.1, 0.12, 0.15, 0.2)
FAR_OFFSETS = (0.0, 0.25, 0.5, 0.75, 1.0)
CLOCKS = (0.0, 50e-6, 500e-6, 2e-3, 4.5e-3)
ROLL_OFFS = (0.1, 0.2, 0.35, 0.5, 1.0)
#: Symbols of a run, and errors wanted in all runs of a case together.
COUNT, ERRORS, FEWEST, MOST = 28_000, 3000, 4, 24


def measure(name: str, at_ber: float = 1e-2, **options: Any) -> dict[str, Any]:
    """Runs until there are bit errors enough; a run without lock, or with a wrong one, counts as lost."""
    losses: list[float] = []
    errors, lost, run = 0.0, 0, 0
    while run < FEWEST or (errors < ERRORS and run < MOST and lost < FEWEST):
        run += 1
        got = link(name, COUNT, at_ber, seed=run, **options)
        wanted = options.get("carrier", 0.02) * SYMBOL_RATE
        if not got.block.locked() or abs(got.block.frequency() - wanted) > 0.005 * SYMBOL_RATE or got.ber > 3 * at_ber:
            lost += 1
            continue
        errors += got.ber * got.bits.size
        losses.append(got.loss_db)
    row = {
        "constellation": name,
        "at_ber": at_ber,
        **options,
        "runs": run,
        "lost": lost,
        "bit_errors": round(errors),
        "loss_db": round(float(np.mean(losses)), 3) if losses else None,
        "standard_error_db": round(float(np.std(losses, ddof=1) / np.sqrt(len(losses))), 3)
        if len(losses) > 1
        else None,
    }
    print(json.dumps(row), flush=True)
    return row


def simulate() -> dict[str, Any]:
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    far = {"max_offset": SYMBOL_RATE}
    return {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else os.uname().machine,
        "python": platform.python_version(),
        "symbols_a_run": COUNT,
        "symbols_left_out": SETTLING,
        "rates": [measure(name, samples_per_symbol=n) for n in SAMPLES_PER_SYMBOL for name in CONSTELLATIONS],
        "bit_error_rates": [measure(name, ber) for ber in BIT_ERROR_RATES for name in CONSTELLATIONS],
        "offsets": [measure(name, carrier=c) for c in OFFSETS for name in CONSTELLATIONS],
        "far_offsets": [measure(name, carrier=c, **far) for c in FAR_OFFSETS for name in CONSTELLATIONS],
        "clocks": [measure(name, clock=c) for c in CLOCKS for name in ("qpsk", "64qam")],
        "roll_offs": [measure(name, roll_off=r) for r in ROLL_OFFS for name in ("qpsk", "64qam")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="only write the tables from the JSON")
    if not parser.parse_args().report:
        RESULTS.write_text(json.dumps(simulate(), indent=1) + "\n")
    report.write(json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
