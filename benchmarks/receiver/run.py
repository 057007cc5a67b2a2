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
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import report
from link import SETTLING, SYMBOL_RATE, Channel, ebn0_grid, link

from gr_softmod import theory
from gr_softmod.constellation import Constellation

RESULTS = Path(__file__).resolve().parents[1] / "results" / "receiver.json"
CONSTELLATIONS = ("bpsk", "qpsk", "8psk", "16qam", "64qam")
#: Symbols of a run; errors wanted in all runs of a case together, and the least and the most runs for them.
COUNT, ERRORS, FEWEST, MOST = 28_000, 1000, 3, 8
FAR = {"max_offset": SYMBOL_RATE}
#: Table -> constellations, what is varied, its values, what else is not as usual.
TABLES: dict[str, tuple[tuple[str, ...], str, tuple[float, ...], dict[str, Any]]] = {
    "rates": (CONSTELLATIONS, "samples_per_symbol", (2, 4, 8, 50), {}),
    "bit_error_rates": (CONSTELLATIONS, "at_ber", (1e-1, 5e-2, 1e-2, 1e-3), {}),
    "offsets": (CONSTELLATIONS, "carrier", (0.0, 0.05, 0.1, 0.12, 0.15), {}),
    "far_offsets": (CONSTELLATIONS, "carrier", (0.0, 0.25, 0.5, 1.0), FAR),
    "clocks": (("qpsk", "64qam"), "clock", (0.0, 50e-6, 500e-6, 4.5e-3), {}),
    "roll_offs": (("qpsk", "64qam"), "roll_off", (0.1, 0.2, 0.35, 0.5, 1.0), {}),
}


def measure(name: str, at_ber: float, **options: Any) -> dict[str, Any]:
    """Runs until there are bit errors enough; a run without lock, with a wrong one or with slips counts as lost."""
    losses: list[float] = []
    errors, bits, lost, run = 0, 0, 0, 0
    while run < FEWEST or (errors < ERRORS and run < MOST and lost < FEWEST):
        run += 1
        got = link(name, COUNT, at_ber, seed=run, **options)
        off = got.block.frequency() - options.get("carrier", Channel().carrier) * SYMBOL_RATE
        if not got.block.locked() or abs(off) > 0.005 * SYMBOL_RATE or got.ber > min(3 * at_ber, at_ber + 0.05):
            lost += 1
            continue
        errors += round(got.ber * got.bits.size)
        bits += got.bits.size
        losses.append(got.loss_db)
    row = {"constellation": name, "at_ber": at_ber, **options, "runs": run, "lost": lost, "bit_errors": errors}
    if losses:
        row["loss_db"] = round(float(np.mean(losses)), 3)
        row["standard_error_db"] = round(standard_error_db(name, at_ber, errors), 3)
    print(json.dumps(row), flush=True)
    return row


def standard_error_db(name: str, at_ber: float, errors: int) -> float:
    """Of a loss that is read from so many bit errors, were they independent."""
    curve = np.log(np.maximum(theory.ber(Constellation.from_name(name), ebn0_grid()), 1e-300))
    at = np.argmin(np.abs(curve - np.log(at_ber)))
    steepness = np.gradient(curve, ebn0_grid())[at]  # of the logarithm, a decibel
    return float(1 / np.sqrt(errors) / abs(steepness))


def table(name: str) -> list[dict[str, Any]]:
    """Every case of a table."""
    constellations, key, values, options = TABLES[name]
    return [measure(c, **{"at_ber": 1e-2, key: value, **options}) for value in values for c in constellations]


def simulate(names: list[str]) -> dict[str, Any]:
    """These tables, each in a process of its own.

    GNU Radio 3.10 never frees a hierarchical block with a message output, nor its buffers (gnuradio/gnuradio#7706).
    """
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else os.uname().machine,
        "symbols_a_run": COUNT,
        "symbols_left_out": SETTLING,
    }
    for name in names:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            results[name] = pool.submit(table, name).result()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="only write the tables from the JSON")
    parser.add_argument("--only", nargs="+", choices=TABLES, help="measure these tables again, keep the others")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if options.report or options.only else {}
    if not options.report:
        results |= simulate(options.only or list(TABLES))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write(results)


if __name__ == "__main__":
    main()
