# SPDX-License-Identifier: GPL-3.0-or-later
"""The adaptive receiver on bursts of which it knows nothing: writes the JSON, the picture and the tables of
docs/adaptive_receiver.md.

PYTHONPATH=build/python python benchmarks/adaptive/run.py            some minutes of one core
PYTHONPATH=build/python python benchmarks/adaptive/run.py --report   picture and tables again, from the JSON
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page import markdown_table, replace_section

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "adaptive.json"
PAGE, PICTURE = ROOT / "docs" / "adaptive_receiver.md", ROOT / "docs" / "img" / "adaptive_receiver.png"
NAMES = ("bpsk", "qpsk", "8psk", "16qam", "64qam")
SHOWN = {"bpsk": "BPSK", "qpsk": "QPSK", "8psk": "8-PSK", "16qam": "16-QAM", "64qam": "64-QAM"}
COUNT, GAP = 24_000, 5000
RATES = (3.3, 5.0, 8.0)
#: Symbols after the lock that are left out, where the loops settle.
SETTLING = 2048


def one_run(samples_per_symbol: float, at_ber: float | None, seed: int) -> list[dict[str, Any]]:
    """A recording of all five in an order of its own, 20 dB or at the Es/N0 of a bit error rate."""
    from bursts import outcomes, receive, recording
    from link import ebn0_grid, ebn0_of

    from gr_softmod import theory
    from gr_softmod.constellation import Constellation

    names = [NAMES[k] for k in np.random.default_rng(seed).permutation(len(NAMES))]
    esn0 = []
    for name in names:
        made = Constellation.from_name(name)
        ebn0 = ebn0_of(at_ber, theory.ber(made, ebn0_grid())) if at_ber else 0.0
        esn0.append(ebn0 + 10 * math.log10(made.bits_per_symbol) if at_ber else 20.0)
    sent = recording(names, COUNT, [samples_per_symbol] * len(names), esn0, GAP, seed)
    received = receive(sent.samples)
    rows = []
    for outcome in outcomes(sent, received, SETTLING):
        row = {key: value for key, value in vars(outcome).items() if key not in ("counted", "constellation")}
        rows.append(row | {"seed": seed, "at_ber": at_ber})
    print(json.dumps(rows), flush=True)
    return rows


def simulate(seeds: int) -> dict[str, Any]:
    """All runs; those of a rate and noise in a process of their own, since GNU Radio never frees such blocks."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    rows: list[dict[str, Any]] = []
    for k, samples_per_symbol in enumerate(RATES):
        for at_ber in (None, 1e-2):
            jobs = [(samples_per_symbol, at_ber, 100 * k + seed) for seed in range(1, seeds + 1)]
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                for result in pool.map(one_run, *zip(*jobs, strict=True)):
                    rows += result
    return {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else "unknown",
        "symbols": COUNT,
        "gap": GAP,
        "bursts": rows,
    }


def summary(bursts: list[dict[str, Any]], at_ber: float | None) -> list[list[str]]:
    """A row for each constellation and rate."""
    from bursts import theory_ber
    from link import ebn0_grid, ebn0_of

    rows = []
    for name in NAMES:
        for sps in RATES:
            mine = [b for b in bursts if (b["name"], b["samples_per_symbol"], b["at_ber"]) == (name, sps, at_ber)]
            if not mine:
                continue
            good = [b for b in mine if b["recognised"] and b["bits"]]
            bits, errors = sum(b["bits"] for b in good), sum(b["errors"] for b in good)
            if not good:
                rows.append([SHOWN[name], f"{sps:g}", f"0 of {len(mine)}", *["-"] * 5])
                continue
            esn0 = good[0]["esn0_db"]
            curve = theory_ber(name)
            m = {"bpsk": 1, "qpsk": 2, "8psk": 3, "16qam": 4, "64qam": 6}[name]
            expected = float(np.interp(esn0 - 10 * math.log10(m), ebn0_grid(), curve))
            mse = 10 * math.log10(float(np.mean([10 ** (b["error_db"] / 10) for b in good])))
            if errors >= 20:
                low, high = errors - 1.96 * math.sqrt(errors), errors + 1.96 * math.sqrt(errors)
                loss = [esn0 - 10 * math.log10(m) - ebn0_of(e / bits, curve) for e in (errors, low, high)]
                shown_loss = f"{loss[0]:.2f} ({loss[1]:.2f} to {loss[2]:.2f})"
            else:
                shown_loss = "too few errors"
            rows.append(
                [
                    SHOWN[name],
                    f"{sps:g}",
                    f"{len(good)} of {len(mine)}",
                    f"{max(b['locked_after'] for b in good)}",
                    f"{max(b['known_after'] for b in good)}",
                    f"{errors / bits:.2e}" if errors else f"0 of {bits / 1e6:.1f}M",
                    f"{expected:.2e}",
                    shown_loss,
                    f"{mse + esn0:+.2f}",
                ]
            )
    return rows


HEADER = (
    "sent", "samples a symbol", "recognised and locked", "first locked symbol", "known after symbols", "bit error rate",
    "theory", "loss [dB] (95 %)", "noise added [dB]",
)  # fmt: skip


def write(results: dict[str, Any]) -> None:
    for name, at_ber in (("twenty", None), ("percent", 1e-2)):
        replace_section(PAGE, name, markdown_table(HEADER, summary(results["bursts"], at_ber)))
    replace_section(
        PAGE,
        "source",
        f"{results['machine']}, {results['date']}, model `{results['model'][:12]}`; no figure depends on timing.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="picture and tables from the JSON")
    parser.add_argument("--seeds", type=int, default=4, help="recordings of each rate and noise")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "benchmarks" / "adaptive"))
    if options.report:
        results = json.loads(RESULTS.read_text())
    else:
        from picture import draw

        results = draw(PICTURE) | simulate(options.seeds)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    write(results)


if __name__ == "__main__":
    main()
