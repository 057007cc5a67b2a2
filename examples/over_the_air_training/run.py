#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A constellation that learns through a flowgraph that gives no gradient, beside one that learns by backpropagation.

    python examples/over_the_air_training/run.py [--out DIR] [--steps 3000] [--start 16qam] [--symbols 2000000]

The transmitter perturbs its symbols and learns by a policy gradient what served the receiver; the receiver learns with
supervision; both through GNU Radio's ``channels.impairments`` (amplifier, phase noise) and noise. Beside it the same
points and demapper, trained through the same channel as differentiable modules of torch. Both are then counted in a
flowgraph of blocks: points, the channel of GNU Radio, ``neural_demapper_cf``. Writes ``over_the_air.json`` and
``over_the_air.png``; says how far apart the two are at the bit error rate of 1e-3.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from air import BETA, PHASE_NOISE_DB, Air, TorchAir, count_errors
from learn import Pair, Settings, train

from gr_softmod.conventions import noise_var_of_ebn0_db
from gr_softmod.run_dir import machine

GRID_DB = [8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
TARGET = 1e-3
NAMES = {
    "fixed": "16-QAM's points, neural demapper",
    "policy": "learnt through the flowgraph (policy gradient)",
    "backpropagation": "learnt through the differentiable channel",
}


def curve(pair: Pair, symbols: int) -> list[dict[str, float]]:
    """Bit error rates in a flowgraph, until there are hardly any errors."""
    points, model = pair.points.constellation().points, pair.model().to_bytes()
    rows: list[dict[str, float]] = []
    for i, ebn0_db in enumerate(GRID_DB):
        noise_var = float(noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=pair.points.bits_per_symbol))
        errors = bits = 0
        for part in range(math.ceil(symbols / 200_000)):
            more = count_errors(points, model, noise_var, min(symbols, 200_000), 1000 * i + part)
            errors, bits = errors + more[0], bits + more[1]
            if errors > 10_000:
                break
        rows.append({"ebn0_db": ebn0_db, "errors": errors, "bits": bits, "ber": errors / bits})
        if errors < 100:
            break
    return rows


def crossing(rows: list[dict[str, float]], target: float = TARGET) -> float | None:
    """Eb/N0 in dB at the target: straight lines in the logarithm."""
    for low, high in zip(rows, rows[1:], strict=False):
        if low["ber"] >= target > high["ber"] > 0:
            share = math.log(low["ber"] / target) / math.log(low["ber"] / high["ber"])
            return low["ebn0_db"] + share * (high["ebn0_db"] - low["ebn0_db"])
    return None


def picture(report: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), constrained_layout=True, width_ratios=[1.3, 1])
    colours = dict(zip(NAMES, ("0.5", "C3", "C0"), strict=True))
    for name, rows in report["curves"].items():
        style = {"fixed": "o:", "policy": "s-", "backpropagation": "o--"}[name]
        found = [row for row in rows if row["errors"]]
        left.semilogy([r["ebn0_db"] for r in found], [r["ber"] for r in found], style, color=colours[name],
                      label=NAMES[name], markersize=4)  # fmt: skip
    left.axhline(TARGET, color="0.8", lw=0.8)
    left.set(xlabel="Eb/N0 [dB]", ylabel="bit error rate, counted in a flowgraph")
    left.grid(True, which="both", alpha=0.2)
    left.legend(fontsize=8)
    for name, points in report["points"].items():
        pairs = np.array(points)
        face = {"fixed": "none", "policy": colours[name], "backpropagation": "none"}[name]
        size = 26 if name == "policy" else 60
        right.scatter(pairs[:, 0], pairs[:, 1], s=size, facecolors=face, edgecolors=colours[name], label=name)
    right.set(aspect="equal", xlabel="in phase", ylabel="quadrature")
    right.grid(alpha=0.2)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/over_the_air"))
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--start", default=Settings.start, help="points to begin with")
    parser.add_argument("--symbols", type=int, default=2_000_000, help="most of them that a point of a curve counts")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(start=options.start, steps=options.steps, seed=options.seed)

    def tell(step: int, loss: float) -> None:
        if step % max(1, options.steps // 20) == 0:
            print(f"  step {step:5d}  {loss:.4f} nat a bit", flush=True)

    air, pairs, seconds = Air(options.seed), {}, {}
    still = Settings(**{**vars(settings), "lr_points": 0.0})
    for name, arguments in {
        "policy": (air, settings, False),
        "backpropagation": (TorchAir(), settings, True),
        "fixed": (TorchAir(), still, True),
    }.items():
        print(NAMES[name])
        begin = time.monotonic()
        pairs[name] = train(arguments[0], arguments[1], differentiable=arguments[2], tell=tell)
        seconds[name] = round(time.monotonic() - begin, 1)
    curves = {name: curve(pairs[name], options.symbols) for name in NAMES}
    at = {name: crossing(rows) for name, rows in curves.items()}
    gap = at["policy"] - at["backpropagation"] if at["policy"] and at["backpropagation"] else None  # type: ignore[operator]
    report = {
        "channel": {"beta": BETA, "phase_noise_mag": PHASE_NOISE_DB}, "settings": vars(settings),
        "symbols_through_the_flowgraph": air.symbols, "seconds": seconds, "machine": machine(), "curves": curves,
        "ebn0_db_at_1e-3": at, "gap_db": gap,
        "points": {name: np.stack([p.real, p.imag], -1).round(4).tolist() for name in NAMES
                   for p in [pairs[name].points.constellation().points]},
    }  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "over_the_air.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report, options.out / "over_the_air.png")
    for name, value in at.items():
        print(f"{NAMES[name]:48s} {'not reached' if value is None else f'{value:.2f} dB'}")
    print(f"gap: {'unknown' if gap is None else f'{gap:.2f} dB'}")


if __name__ == "__main__":
    main()
