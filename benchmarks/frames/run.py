# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast synthetic frames are made: frames of 1024 samples a second, one thread.

    python benchmarks/frames/run.py [--rounds 15] [--device cuda] [--out benchmarks/results/frames.json]

Presets and batch sizes take turns; figures are medians over the rounds. Time of the thread (what a training on the same
core loses to its data) and elapsed time are both given: they differ where others use the machine. On a GPU the elapsed
time counts, after synchronisation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from gr_softmod.classifier.data import SyntheticFrames
from gr_softmod.run_dir import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page import markdown_table, replace_section

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ("radioml2018", "field")
SIZES = (64, 256, 1024)


def measure(rounds: int, device: str) -> list[dict]:
    """Milliseconds a batch, and frames a second, of each preset and size."""
    sources = {preset: SyntheticFrames(preset, device=device) for preset in PRESETS}
    times: dict[tuple[str, int], list[tuple[float, float]]] = {(p, s): [] for p in PRESETS for s in SIZES}
    for round_ in range(rounds + 1):
        for preset, size in times:
            thread, elapsed = time.thread_time(), time.perf_counter()
            sources[preset].batch(round_, size)
            if device != "cpu":
                torch.cuda.synchronize()
            if round_:  # the first makes the tables
                times[preset, size].append((time.thread_time() - thread, time.perf_counter() - elapsed))
    result = []
    for (preset, size), both in times.items():
        thread, elapsed = (statistics.median(column) for column in zip(*both, strict=True))
        seconds = thread if device == "cpu" else elapsed
        result.append(
            {
                "preset": preset,
                "batch": size,
                "thread_ms": round(1e3 * thread, 2),
                "elapsed_ms": round(1e3 * elapsed, 2),
                "frames_per_second": round(size / seconds),
            }
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "frames.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "classifier_data.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = {"machine": machine(), "device": options.device, "threads": 1, "rounds": options.rounds}
    report["results"] = measure(options.rounds, options.device)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    rows = [
        [r["preset"], str(r["batch"]), f"{r['thread_ms']:.1f}", f"{r['elapsed_ms']:.1f}", f"{r['frames_per_second']:,}"]
        for r in report["results"]
    ]
    table = markdown_table(["preset", "batch", "thread, ms", "elapsed, ms", "frames/s"], rows)
    where = "{cpu}, {cores} cores, torch {torch}, {date}".format(**report["machine"])
    replace_section(options.page, "figures", f"{where}; one thread, device {options.device}:\n\n{table}")
    print(table)


if __name__ == "__main__":
    main()
