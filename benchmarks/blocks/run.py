# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of every block beside blocks.copy, in a flowgraph of source, block and sink.

    PYTHONPATH=build/python python benchmarks/blocks/run.py [--rounds 9] [--out benchmarks/results/blocks.json]

Two figures a block, both in million input items a second, medians over rounds in which all blocks take turns:
"flowgraph", by the clock on the wall, with the scheduler, the source and the sink; and "work", by the processor time of
the block's own calls (GNU Radio's performance counters on the thread clock), which other load hardly moves.
Hierarchical blocks are several, each with a thread: they have the first figure alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ |= {"GR_CONF_PERFCOUNTERS_ON": "True", "GR_CONF_PERFCOUNTERS_CLOCK": "thread"}

import numpy as np
from gnuradio import blocks, filter, gr, softmod
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

from gr_softmod.run_dir import machine  # noqa: E402

RNG = np.random.default_rng(1)


def symbols(constellation: str, esn0_db: float) -> NDArray[np.complex64]:
    points = softmod.Constellation.from_name(constellation).points
    noise = RNG.normal(size=(65536, 2)) @ [1, 1j] * np.sqrt(0.5 * 10 ** (-esn0_db / 10))
    return (RNG.choice(points, 65536) + noise).astype(np.complex64)


def pulses(constellation: str, esn0_db: float, samples_per_symbol: int = 4) -> NDArray[np.complex64]:
    """Root raised cosine pulses of roll-off 0.35 at an Es/N0."""
    taps = filter.firdes.root_raised_cosine(1.0, samples_per_symbol, 1.0, 0.35, 16 * samples_per_symbol + 1)
    sparse = np.zeros(65536 * samples_per_symbol, np.complex64)
    sparse[::samples_per_symbol] = RNG.choice(softmod.Constellation.from_name(constellation).points, 65536)
    noise = RNG.normal(size=(sparse.size, 2)) @ [1, 1j] * np.sqrt(0.5 * 10 ** (-esn0_db / 10))
    return (np.convolve(sparse, taps / np.linalg.norm(taps), "same") + noise).astype(np.complex64)


def llrs(bits: NDArray) -> NDArray[np.float32]:
    return ((2.0 * bits - 1) * RNG.exponential(4, bits.size)).astype(np.float32)


@dataclass
class Case:
    name: str
    make: Callable[[], gr.basic_block]
    data: NDArray
    items: int = 1 << 24


QPSK, QAM64 = symbols("qpsk", 10), symbols("64qam", 20)
BITS = softmod.prbs("prbs15", 32767)
MODEL = softmod.shipped_model("link_impaired")
CHANNEL_TAPS = filter.firdes.low_pass(1.0, 16.0, 0.4, 0.2)
SYNC_WORD = BITS[:64].tolist()
FIELD = softmod.shipped_model("field")
SAMPLES = pulses("qpsk", 15)
CASES = [
    Case("blocks.copy (complex)", lambda: blocks.copy(8), QPSK),
    Case("blocks.copy (float)", lambda: blocks.copy(4), llrs(BITS)),
    *(
        Case(f"soft_demapper_cf {name} {method}", lambda n=name, m=method: softmod.soft_demapper_cf(n, 0.1, m), QAM64)
        for name in ("qpsk", "16qam", "64qam", "256qam", "32apsk")
        for method in ("maxlog", "exact")
    ),
    Case("soft_demapper_cb 64qam maxlog", lambda: softmod.soft_demapper_cb("64qam", 0.1, 8.0, "maxlog"), QAM64),
    Case("soft_mapper_fc qpsk", lambda: softmod.soft_mapper_fc("qpsk"), llrs(BITS)),
    Case("soft_mapper_fc 64qam", lambda: softmod.soft_mapper_fc("64qam"), llrs(BITS)),
    Case("noise_estimator_cc qpsk 10 dB", lambda: softmod.noise_estimator_cc("qpsk"), QPSK),
    Case("noise_estimator_cc qpsk 0 dB", lambda: softmod.noise_estimator_cc("qpsk"), symbols("qpsk", 0)),
    Case("noise_estimator_cc 64qam 20 dB", lambda: softmod.noise_estimator_cc("64qam"), QAM64),
    Case("noise_estimator_cc 64qam 12 dB", lambda: softmod.noise_estimator_cc("64qam"), symbols("64qam", 12)),
    Case("noise_estimator_cc 32apsk 20 dB", lambda: softmod.noise_estimator_cc("32apsk"), symbols("32apsk", 20)),
    Case(
        "noise_estimator_cc 64qam 20 dB, period 2^20",
        lambda: softmod.noise_estimator_cc("64qam", 1 << 20),
        QAM64,
        1 << 26,
    ),
    Case("ber_meter prbs15", lambda: softmod.ber_meter("prbs15"), llrs(BITS)),
    Case("ber_meter, given bits", lambda: softmod.ber_meter(BITS), llrs(BITS)),
    Case("finite_cc", lambda: softmod.finite_cc(), QPSK),
    Case("agc_cc", lambda: softmod.agc_cc(), QPSK),
    Case("coarse_frequency_cc", lambda: softmod.coarse_frequency_cc(4, 1.0, 0.5), QPSK, 1 << 22),
    Case("timing_recovery_cc", lambda: softmod.timing_recovery_cc(), QPSK, 1 << 22),
    Case("window_tap, 1024 of 16384", lambda: softmod.window_tap(1024, 16384), QPSK),
    Case("modulation_classifier_c, field", lambda: softmod.modulation_classifier_c(FIELD), QPSK, 1 << 22),
    Case("symbol_recovery_cc qpsk", lambda: softmod.symbol_recovery_cc("qpsk"), QPSK, 1 << 22),
    Case("differential_demapper_cf qpsk", lambda: softmod.differential_demapper_cf("qpsk", 0.1), QPSK, 1 << 22),
    Case("neural_demapper_cf 64-64-6", lambda: softmod.neural_demapper_cf(MODEL, 0.05), QAM64, 1 << 22),
    Case("demodulator_cf 64-64-6 (torch)", lambda: softmod.demodulator_cf(MODEL, 0.05), QAM64, 1 << 22),
    Case("modulator_bc 64 points (torch)", lambda: softmod.modulator_bc(MODEL, 0.05), BITS, 1 << 23),
    Case("equalizer_cc qpsk, 11 taps", lambda: softmod.equalizer_cc("qpsk"), QPSK, 1 << 21),
    Case("equalizer_cc 16qam, 11 taps", lambda: softmod.equalizer_cc("16qam"), symbols("16qam", 20), 1 << 21),
    Case("channelizer_cc, 16 channels", lambda: softmod.channelizer_cc(16, CHANNEL_TAPS), QPSK, 1 << 22),
    Case("blind_estimator_c", lambda: softmod.blind_estimator_c(1.0), SAMPLES, 1 << 21),
    Case("phase_resolver_cc", lambda: softmod.phase_resolver_cc("qpsk", SYNC_WORD), QPSK, 1 << 22),
    Case("receiver qpsk, 4 samples a symbol", lambda: softmod.receiver("qpsk", 4.0, 1.0), SAMPLES, 1 << 21),
    Case("adaptive_receiver, 4 samples a symbol", lambda: softmod.adaptive_receiver(4.0), SAMPLES, 1 << 20),
]


def measure(case: Case, items: int) -> tuple[float, float | None]:
    """Million input items a second: of the flowgraph, and of the block's own work (None of a hierarchical one)."""
    suffix = {np.dtype(np.complex64): "c", np.dtype(np.float32): "f"}.get(case.data.dtype, "b")
    top, block = gr.top_block(), case.make()
    source = getattr(blocks, f"vector_source_{suffix}")(case.data.tolist(), True)
    head = blocks.head(case.data.itemsize, items)
    top.connect(source, head, block)
    signature = block.output_signature()
    for port in range(max(signature.min_streams(), min(signature.max_streams(), 1))):
        top.connect((block, port), blocks.null_sink(signature.sizeof_stream_item(port)))
    start = time.perf_counter()
    top.run()
    wall = time.perf_counter() - start
    work = items / block.pc_work_time_total() * 1e3 if hasattr(block, "pc_work_time_total") else None
    return items / wall / 1e6, work


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "blocks.json")
    parser.add_argument("--share", type=float, default=1.0, help="of the items of each run")
    parser.add_argument(
        "--only", default="", help="blocks with this in their name; the file keeps its figures of the rest"
    )
    arguments = parser.parse_args()
    gr.logging().set_default_level(gr.log_levels.err)
    cases = [case for case in CASES if arguments.only in case.name]
    got: dict[str, list[tuple[float, float | None]]] = {case.name: [] for case in cases}
    for _ in range(arguments.rounds):
        for case in cases:
            got[case.name].append(measure(case, int(case.items * arguments.share)))
    results = [
        {
            "block": name,
            "flowgraph": round(statistics.median(wall for wall, _ in pairs), 2),
            "work": None if pairs[0][1] is None else round(statistics.median(work or 0.0 for _, work in pairs), 2),
        }
        for name, pairs in got.items()
    ]
    if arguments.only:
        kept = json.loads(arguments.out.read_text())["blocks"]
        fresh = {entry["block"]: entry for entry in results}
        results = [fresh.pop(entry["block"], entry) for entry in kept] + list(fresh.values())
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": "{cpu}, {cores} cores".format(**machine()),
        "gnuradio": gr.version(),
        "rounds": arguments.rounds,
        "unit": "million input items a second",
        "blocks": results,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    table = Table(title=f"Million input items a second, {report['machine']}")
    for column in ("block", "flowgraph", "work"):
        table.add_column(column, justify="left" if column == "block" else "right")
    for entry in results:
        table.add_row(entry["block"], figure(entry["flowgraph"]), figure(entry["work"]))
    Console(width=100).print(table)
    rows = [[entry["block"], figure(entry["flowgraph"]), figure(entry["work"])] for entry in results]
    replace_section(ROOT / "docs" / "blocks.md", "speed table", markdown_table(["block", "flowgraph", "work"], rows))


if __name__ == "__main__":
    main()
