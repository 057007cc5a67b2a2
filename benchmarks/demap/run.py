# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the soft demapper beside GNU Radio's soft decisions and liquid-dsp's, and of its block in a flowgraph.

    PYTHONPATH=build/python python benchmarks/demap/run.py [--rounds 15] [--out benchmarks/results/demap.json]

The kernels run in one process, ``build/benchmarks/demap/demap_peers``, in turn; the flowgraphs in this one, in turn:
null_source, head, the block, null_sink. Rates are medians over the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gnuradio import blocks, digital, gr, softmod
from rich.console import Console
from rich.table import Table

from gr_softmod.constellation import Constellation
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

PEERS = ["GNU Radio", "GNU Radio, table", "liquid-dsp"]


def kernels(rounds: int) -> dict[str, Any]:
    """Msym/s of every constellation and implementation."""
    program = ROOT / "build" / "benchmarks" / "demap" / "demap_peers"
    if not program.exists():
        raise SystemExit(f"{program} is missing: build with ENABLE_BENCHMARKS=ON where liquid-dsp is installed")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernels.json"
        subprocess.run([program, out, str(rounds)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())


def in_tree_decoder(table: bool) -> gr.basic_block:
    qam = Constellation.qam(64).to_gnuradio()
    if table:
        qam.gen_soft_dec_lut(8, 0.05)
    return digital.constellation_soft_decoder_cf(qam.base())


CONTESTANTS: dict[str, Callable[[], gr.basic_block]] = {
    "blocks.copy": lambda: blocks.copy(gr.sizeof_gr_complex),
    "soft_demapper_cf, max-log": lambda: softmod.soft_demapper_cf("64qam", 0.05, "maxlog"),
    "soft_demapper_cf, exact": lambda: softmod.soft_demapper_cf("64qam", 0.05, "exact"),
    "soft_demapper_cb, max-log": lambda: softmod.soft_demapper_cb("64qam", 0.05, 4.0, "maxlog"),
    "constellation_soft_decoder_cf, table": lambda: in_tree_decoder(True),
}


def run_flowgraph(make: Callable[[], gr.basic_block], n: int) -> float:
    """Symbols per second of wall time."""
    top = gr.top_block()
    source, head = blocks.null_source(gr.sizeof_gr_complex), blocks.head(gr.sizeof_gr_complex, n)
    block = make()
    sink = blocks.null_sink(block.output_signature().sizeof_stream_item(0))
    top.connect(source, head, block, sink)
    start = time.perf_counter()
    top.run()
    return n / (time.perf_counter() - start)


def flowgraphs(rounds: int) -> list[dict[str, Any]]:
    """Msym/s of 64-QAM blocks; each round runs all of them in turn."""
    symbols = {name: 1 << 20 if "table" in name else 1 << 24 for name in CONTESTANTS}
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, make in CONTESTANTS.items():
            rates[name].append(run_flowgraph(make, symbols[name]) / 1e6)
    of_copy = rates["blocks.copy"]
    return [
        {
            "block": name,
            "msym_per_s": statistics.median(got),
            "of_copy": statistics.median(a / b for a, b in zip(got, of_copy, strict=True)),
        }
        for name, got in rates.items()
    ]


OURS = ["ours, max-log", "ours, max-log, int8", "ours, exact"]
KERNEL_HEADER = ["", *OURS, *PEERS, "max-log / best peer"]


def kernel_rows(results: dict[str, Any]) -> list[list[str]]:
    rate = {(r["constellation"], r["implementation"], r["target"]): r["median"] for r in results["msym_per_s"]}
    best = results["msym_per_s"][0]["target"]
    rows = []
    for constellation in dict.fromkeys(r["constellation"] for r in results["msym_per_s"]):
        row = [rate[constellation, name, best] for name in OURS + PEERS]
        rows.append([constellation, *(f"{value:.3g}" for value in row), f"{row[0] / max(row[len(OURS) :]):.0f}"])
    return [[cell if "e+" not in cell else f"{float(cell):.0f}" for cell in row] for row in rows]


def write_page(results: dict[str, Any]) -> None:
    kernels, flowgraphs = results["kernels"], results["flowgraph_64qam"]
    rows = [[e["block"], f"{e['msym_per_s']:.0f}", f"{e['of_copy']:.2f}"] for e in flowgraphs]
    target = kernels["msym_per_s"][0]["target"]
    text = f"""
{results["date"]}, {results["machine"]}, one thread, {target}, medians of {kernels["rounds"]} rounds in which all take
turns over {kernels["symbols"]} symbols; million symbols a second:

{markdown_table(KERNEL_HEADER, kernel_rows(kernels))}

The blocks in a flowgraph of source, block and sink, 64-QAM:

{markdown_table(["block", "Msym/s", "of blocks.copy"], rows)}
"""
    replace_section(ROOT / "docs" / "kernels.md", "demapper speed", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "demap.json")
    arguments = parser.parse_args()
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": machine()["cpu"],
        "kernels": kernels(arguments.rounds),
        "flowgraph_64qam": flowgraphs(arguments.rounds),
    }
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    console = Console(width=140)
    table = Table(title="Msym/s, one thread")
    for column in KERNEL_HEADER:
        table.add_column(column, justify="right")
    for row in kernel_rows(results["kernels"]):
        table.add_row(*row)
    console.print(table)
    write_page(results)
    for entry in results["flowgraph_64qam"]:
        console.print(f"{entry['block']:40s} {entry['msym_per_s']:8.1f} Msym/s, {entry['of_copy']:.2f} of blocks.copy")


if __name__ == "__main__":
    main()
