# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the neural demapper's kernel by instruction set, and what int8 costs in bit error rate.

    PYTHONPATH=build/python python benchmarks/neural_demapper/run.py [--run runs/link_impaired] [--build build]

Speeds are the best of repetitions taken in turn, in processor time of one thread (the machine may have other work).
Bit error rates are over the same symbols for both, through the channel of the configuration of the run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from gr_softmod.bindings import _kernels
from gr_softmod.modem.export_link import export_link
from gr_softmod.modem.link import build_channel
from gr_softmod.modem.trained_link import load_link
from gr_softmod.run_dir import RunDir, machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

NAMES = ("float32_64_64_6", "int8_64_64_6", "float32_128_128_128_6", "int8_128_128_128_6")


def speeds(build: Path, repetitions: int) -> dict[str, dict[str, float]]:
    """Multiply-adds or symbols a second, the best of each, by instruction set."""
    targets = ["avx512", "avx2", "sse4"] if _kernels.simd_target() == "avx512" else [_kernels.simd_target()]
    best: dict[str, dict[str, float]] = {target: {} for target in targets}
    for _ in range(repetitions):
        for target in targets:
            done = subprocess.run(
                [build / "lib/kernels/bench_neural_demap", "--benchmark_format=json", "--benchmark_min_time=0.2"],
                env=os.environ | {"SOFTMOD_SIMD": target}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            for entry in json.loads(done.stdout)["benchmarks"]:
                name = entry["name"].removeprefix("run/")
                value = entry.get("items_per_second", entry.get("multiply_adds", 0.0))
                best[target][name] = max(best[target].get(name, 0.0), value)
    return best


def torch_speed(run: RunDir) -> float:
    """Symbols a second of the module in torch, one thread, in processor time."""
    torch.set_num_threads(1)
    demapper, y = load_link(run)[1].demapper, torch.randn(16384, dtype=torch.complex64)
    best = 0.0
    with torch.inference_mode():
        for _ in range(20):
            begin = time.process_time()
            demapper(y, 0.05)
            best = max(best, len(y) / (time.process_time() - begin))
    return best


def error_rates(run: RunDir, grid: list[float], bits: int) -> list[dict[str, float]]:
    config, link = load_link(run)
    channel = build_channel(config.channel)
    kernels = {p: _kernels.NeuralDemapper(export_link(run, p).to_bytes()) for p in ("float32", "int8")}
    rows = []
    for ebn0_db in grid:
        noise_var = 10 ** (-ebn0_db / 10) / link.bits_per_symbol
        generator, counts, differ, total = torch.Generator().manual_seed(1), dict.fromkeys(kernels, 0), 0, 0
        while total < bits:
            sent = torch.randint(0, 2, (600_000 // link.bits_per_symbol * link.bits_per_symbol,), generator=generator)
            with torch.no_grad():
                y = channel(link.modulator(sent, noise_var), noise_var=noise_var, generator=generator).numpy()
            wrong = {p: (k.demap(y, noise_var) > 0) != sent.numpy().astype(bool) for p, k in kernels.items()}
            for precision in kernels:
                counts[precision] += int(wrong[precision].sum())
            differ += int((wrong["float32"] != wrong["int8"]).sum())
            total += len(sent)
        rows.append({"ebn0_db": ebn0_db, "bits": total, "differ": differ, **{p: c / total for p, c in counts.items()}})
    for i, row in enumerate(rows):
        near = rows[i - 1] if i else rows[1]
        slope = math.log(near["float32"] / row["float32"]) / (row["ebn0_db"] - near["ebn0_db"])
        row["loss_db"] = math.log(row["int8"] / row["float32"]) / slope
        # The two see the same noise: only the bits on which they differ move their ratio.
        row["loss_half_interval_db"] = 1.96 * math.sqrt(row["differ"]) / (row["float32"] * row["bits"]) / slope
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default="runs/link_impaired")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--bits", type=int, default=12_000_000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "neural_demapper.json")
    options = parser.parse_args()
    run = RunDir(options.run)
    found = speeds(options.build, options.repetitions)
    in_torch = torch_speed(run)
    rates = error_rates(run, [8.0, 12.0, 14.0, 16.0, 17.0], options.bits)
    results: dict[str, Any] = {
        "machine": machine(), "best_per_second": found, "torch_symbols_per_second": in_torch, "int8": rates,
    }  # fmt: skip
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    peak = max(target.get("peak", 0.0) for target in found.values())
    rows = [
        [target, *(f"{values[name] / 1e6:.1f}" for name in NAMES),
         f"{100 * values['float32_64_64_6'] * (3 * 64 + 64 * 64 + 64 * 6) / peak:.0f} %" if target == "avx512" else ""]
        for target, values in found.items()
    ]  # fmt: skip
    rows.append(["torch, one thread", f"{in_torch / 1e6:.1f}", "", "", "", ""])
    header = [
        "Msymbol/s",
        "64-64-6 float32",
        "int8",
        "128-128-128-6 float32",
        "int8",
        "of the core's FMA peak, 64-64-6",
    ]
    where = results["machine"]
    text = markdown_table(header, rows) + f"\n\nPeak: {peak / 1e9:.0f} G multiply-adds/s. Int8 beside float32:\n\n"
    text += markdown_table(
        ["Eb/N0 [dB]", "float32", "int8", "loss [dB]"],
        [[f"{r['ebn0_db']:g}", f"{r['float32']:.3e}", f"{r['int8']:.3e}",
          f"{r['loss_db']:.3f} ± {r['loss_half_interval_db']:.3f}"] for r in rates],
    )  # fmt: skip
    text += f"\n\n{where['cpu']}, {where['date']}; made by `benchmarks/neural_demapper/run.py`."
    replace_section(ROOT / "docs" / "neural_demapper.md", "kernel table", text)
    print(text)


if __name__ == "__main__":
    main()
