# SPDX-License-Identifier: GPL-3.0-or-later
"""equalizer_cc beside GNU Radio's own equalisers over a three-path channel: convergence and bit error rate.

    PYTHONPATH=build/python python benchmarks/equalizer/run.py [--symbols 30000] [--runs 4]

All have 15 taps and run in flowgraphs (digital.linear_equalizer with adaptive_algorithm_cma or adaptive_algorithm_lms).
All are blind but GNU Radio's LMS: its taps begin at zero, from where no decision leads away, so it is told the first
1000 symbols. Each gets the step, of a list, with the least mean square error over the last quarter, for each
constellation and Es/N0. The bound is that of the best 15 taps (Wiener), which know the channel.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pmt
from gnuradio import blocks, digital, gr, softmod
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

PATHS = np.array([1.0, 0.35 * np.exp(0.9j), 0.2 * np.exp(-2.1j)])
TAPS = 15
CASES = {"qpsk": (2.0, 4.0, 6.0, 8.0, 10.0, 12.0), "16qam": (10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0)}
STEPS = (0.001, 0.003, 0.01, 0.03, 0.1)
#: Steps of GNU Radio's are not normalised by the power in the filter.
STEPS_IN_TREE = (0.00003, 0.0001, 0.0003, 0.001, 0.003)
SHOWN = ("16qam", 22.0)
#: Symbols that GNU Radio's LMS is told.
TRAINING = 1000

Symbols = NDArray[np.complex128]


def ours(method: str) -> Callable[[str, float, Symbols], Any]:
    return lambda name, step, sent: softmod.equalizer_cc(name, taps=TAPS, step=step, method=method)


def in_tree(algorithm: str) -> Callable[[str, float, Symbols], Any]:
    def make(name: str, step: float, sent: Symbols) -> Any:
        cons = Constellation.from_name(name).to_gnuradio().base()
        if algorithm == "cma":
            points = np.array(cons.points())
            modulus = float(np.mean(np.abs(points) ** 4) / np.mean(np.abs(points) ** 2))
            made = digital.adaptive_algorithm_cma(cons, step, modulus)
        else:
            made = digital.adaptive_algorithm_lms(cons, step)
        told = sent[:TRAINING].tolist() if algorithm == "lms" else []
        return digital.linear_equalizer(TAPS, 1, made.base(), True, told, "start" if told else "")

    return make


CONTENDERS: dict[str, tuple[Callable[[str, float, Symbols], Any], tuple[float, ...]]] = {
    "equalizer_cc, likelihood": (ours("likelihood"), STEPS),
    "equalizer_cc, nearest point": (ours("decision"), STEPS),
    "equalizer_cc, constant modulus": (ours("modulus"), STEPS),
    "in-tree LMS, trained": (in_tree("lms"), STEPS_IN_TREE),
    "in-tree CMA": (in_tree("cma"), STEPS_IN_TREE),
}


def received(
    name: str, esn0_db: float, count: int, seed: int
) -> tuple[NDArray[np.int64], Symbols, NDArray[np.complex64]]:
    """Labels, symbols and samples; the mean power of the samples is 1 and more for the noise."""
    rng = np.random.default_rng(seed)
    constellation = Constellation.from_name(name)
    labels = rng.integers(0, constellation.order, count)
    sent = constellation.points[labels]
    paths = PATHS / np.linalg.norm(PATHS)
    noise = rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(10 ** (-esn0_db / 10) / 2)
    return labels, sent, (np.convolve(sent, paths)[:count] + noise).astype(np.complex64)


def equalised(block: Any, samples: NDArray[np.complex64]) -> Symbols:
    top, sink = gr.top_block(), blocks.vector_sink_c()
    tag = gr.tag_t()
    tag.offset, tag.key, tag.value = 0, pmt.intern("start"), pmt.PMT_T
    top.connect(blocks.vector_source_c(samples.tolist(), False, 1, [tag]), block, sink)
    top.run()
    return np.array(sink.data(), np.complex128)


def aligned(symbols: Symbols, sent: Symbols, last: int) -> tuple[Symbols, int]:
    """Turned and scaled as the last symbols say (what no blind equaliser can know), and the delay."""
    end = min(len(symbols), len(sent))
    delay = max(range(TAPS + 3), key=lambda d: abs(np.vdot(sent[end - last - d : end - d], symbols[end - last : end])))
    reference, seen = sent[end - last - delay : end - delay], symbols[end - last : end]
    return symbols * (np.vdot(seen, reference) / np.vdot(seen, seen)), delay


def judged(name: str, symbols: Symbols, labels: NDArray[np.int64], sent: Symbols) -> tuple[NDArray[np.float64], float]:
    """Square error of each symbol, and the bit error rate of the last quarter."""
    constellation, last = Constellation.from_name(name), len(sent) // 4
    if not np.all(np.isfinite(symbols)):
        return np.full(len(sent) - TAPS, 10.0), 0.5
    turned, delay = aligned(symbols, sent, last)
    end = min(len(turned), len(sent))
    error = np.abs(turned[delay:end] - sent[: end - delay]) ** 2
    decided = constellation.nearest(turned[end - last : end])
    wrong = constellation.bits[decided] != constellation.bits[labels[end - last - delay : end - delay]]
    return np.minimum(error, 10.0), float(wrong.mean())


def wiener(esn0_db: float) -> float:
    """Least mean square error of a filter of TAPS taps that knows the channel, at the best delay."""
    paths = PATHS / np.linalg.norm(PATHS)
    matrix = np.array([np.convolve(np.eye(TAPS)[i], paths) for i in range(TAPS)])
    covariance = matrix @ matrix.conj().T + 10 ** (-esn0_db / 10) * np.eye(TAPS)
    return float(min(1 - np.real(h.conj() @ np.linalg.solve(covariance, h)) for h in matrix.T))


def run_case(name: str, esn0_db: float, count: int, runs: int) -> dict[str, Any]:
    found: dict[str, Any] = {"wiener_mse": wiener(esn0_db)}
    for contender, (make, steps) in CONTENDERS.items():
        best: dict[str, Any] | None = None
        for step in steps:
            curves, rates = [], []
            for seed in range(2):
                labels, sent, samples = received(name, esn0_db, count, seed)
                error, rate = judged(name, equalised(make(name, step, sent), samples), labels, sent)
                curves.append(error)
                rates.append(rate)
            mse = float(np.mean([curve[-count // 4 :].mean() for curve in curves]))
            if best is None or mse < best["mse"]:
                best = {"step": step, "mse": mse}
        assert best is not None
        curves, rates = [], []
        for seed in range(10, 10 + runs):
            labels, sent, samples = received(name, esn0_db, count, seed)
            error, rate = judged(name, equalised(make(name, best["step"], sent), samples), labels, sent)
            curves.append(error[: count - TAPS - 3])
            rates.append(rate)
        mean = np.mean(curves, axis=0)
        width = 500
        smooth = mean[: len(mean) // width * width].reshape(-1, width).mean(axis=1)
        half = 1.96 * np.std(rates, ddof=1) / np.sqrt(runs)
        found[contender] = {
            "step": best["step"], "mse": float(mean[-count // 4 :].mean()), "ber": float(np.mean(rates)),
            "ber_half_interval": float(half), "curve": [float(v) for v in smooth],
        }  # fmt: skip
        print(f"{name:6} {esn0_db:4.0f} dB  {contender:32} step {best['step']:<7g} mse {found[contender]['mse']:.5f} "
              f"ber {np.mean(rates):.2e} +- {half:.0e}  (Wiener {found['wiener_mse']:.5f})", flush=True)  # fmt: skip
    return found


def picture(results: dict[str, Any], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5))
    shown = results["cases"][SHOWN[0]][str(SHOWN[1])]
    for i, contender in enumerate(CONTENDERS):
        curve = shown[contender]["curve"]
        left.plot(np.arange(len(curve)) * 0.5 + 0.25, curve, color=f"C{i}", label=contender)
        for name, style in (("qpsk", "o--"), ("16qam", "s-")):
            case = results["cases"][name]
            grid = [float(e) for e in case]
            rates = [case[e][contender]["ber"] for e in case]
            label = contender if name == "16qam" else None
            right.plot(grid, [max(r, 1e-7) for r in rates], style, color=f"C{i}", ms=4, label=label)
    left.axhline(shown["wiener_mse"], color="0.4", ls=":", label="best 15 taps")
    left.set(
        yscale="log", xlabel="symbols [1000]", ylabel="mean square error", title=f"{SHOWN[0]}, Es/N0 {SHOWN[1]:g} dB"
    )
    right.set(yscale="log", ylim=(1e-5, 0.5), xlabel="Es/N0 [dB]", ylabel="bit error rate")
    right.set_title("QPSK (dashed) and 16-QAM, last quarter")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def table(results: dict[str, Any]) -> str:
    rows = []
    for name, cases in results["cases"].items():
        for esn0_db, case in cases.items():
            cells = [f"{case[c]['mse']:.4f} / {case[c]['ber']:.1e}" for c in CONTENDERS]
            rows.append([f"{name}, {esn0_db} dB", f"{case['wiener_mse']:.4f}", *cells])
    where = results["machine"]
    return markdown_table(["", "best 15 taps", *CONTENDERS], rows) + f"\n\n{where['cpu']}, {where['date']}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=30_000)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "equalizer.json")
    options = parser.parse_args()
    cases = {
        name: {str(esn0_db): run_case(name, esn0_db, options.symbols, options.runs) for esn0_db in grid}
        for name, grid in CASES.items()
    }
    results = {"paths": [[p.real, p.imag] for p in PATHS], "taps": TAPS, "symbols": options.symbols,
               "runs": options.runs, "machine": machine(), "cases": cases}  # fmt: skip
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    picture(results, ROOT / "docs" / "img" / "equalizer.png")
    replace_section(ROOT / "docs" / "equalizer.md", "equalizer table", table(results))


if __name__ == "__main__":
    main()
