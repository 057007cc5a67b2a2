# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit error rates in flowgraphs through GNU Radio's impairments: a trained link beside 64-QAM with a max-log demapper.

    PYTHONPATH=build/python python benchmarks/loopback/run.py [--blocks 80] [--frames 1200]

channels.impairments (amplifier of third order, phase noise) and channels.channel_model (noise). 64-QAM gets its level
and noise variance from noise_estimator_cc, as a receiver would; the trained link is told the noise variance. Eb is that
of the amplifier's input, the same for both. Intervals are of 95 %, from the spread of blocks of 5000 symbols (or coded
frames), so that the memory of the phase noise is in them. Frames that the LDPC decoder of GNU Radio 3.10.5 gives up
with half of their bits wrong, whatever the signal (docs/fec.md), are left out of both links and counted apart.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from gnuradio import blocks, channels, digital, fec, gr, softmod
from numpy.typing import NDArray

from gr_softmod.blocks.fec_code import FecCode
from gr_softmod.modem.coded import LdpcConfig
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402
from parity_checks import write_alist  # noqa: E402

MODEL = softmod.shipped_model("link_impaired")
#: A demapper trained for fixed 64-QAM, to see what the points bring: receiver.yaml says how.
RECEIVER = Path(__file__).with_name("receiver.safetensors")
BETA, PHASE_NOISE_DB = -0.08, -8.7
M, TARGET = 6, 1e-3
#: gr-fec's code of rate 1/2, and a regular one of ours, since gr-fec brings none of a higher rate.
HALF = "n_1800_k_0902_gap_28.alist"
BLOCK = 5000  # symbols
#: Eb/N0 in dB of 64-QAM and of links with neural demappers.
GRIDS = {
    "uncoded": ((14.0, 25.1, 1.0), (14.0, 19.1, 1.0)),
    "LDPC 1/2": ((7.75, 9.1, 0.25), (7.5, 8.9, 0.25)),
    "LDPC 3/4": ((10.75, 12.1, 0.25), (10.0, 11.4, 0.25)),
}
#: channel_model begins with its fourth sample; both drop a few at the end.
LEAD, TAIL = 3, 64
#: Blocks that go before those that are counted, in which the noise estimator finds the level.
WARM_UP = 2


@dataclass(frozen=True)
class Contender:
    """``transmit(noise_var)`` and ``receive(noise_var)`` give chains of blocks: bits to symbols, samples to LLRs."""

    name: str
    transmit: Callable[[float], list[Any]]
    receive: Callable[[float], list[Any]]


def mapper(points: Any) -> list[Any]:
    return [blocks.pack_k_bits_bb(M), digital.chunks_to_symbols_bc(points.tolist())]


def contenders() -> list[Contender]:
    qam = softmod.Constellation.from_name("64qam")

    def plain(noise_var: float) -> list[Any]:
        return [softmod.noise_estimator_cc(qam, normalize=True), softmod.soft_demapper_cf(qam, noise_var, "maxlog")]

    def neural(path: str | Path) -> Callable[[float], list[Any]]:
        return lambda noise_var: [softmod.neural_demapper_cf(str(path), noise_var)]

    def fixed(noise_var: float) -> list[Any]:
        return mapper(qam.points)

    def trained(noise_var: float) -> list[Any]:
        return [softmod.modulator_bc(str(MODEL), noise_var)]

    return [
        Contender("64-QAM, max-log", fixed, plain),
        Contender("64-QAM, neural demapper", fixed, neural(RECEIVER)),
        Contender("trained points, neural demapper", trained, neural(MODEL)),
    ]


def channel(noise_var: float, seed: int) -> list[Any]:
    return [
        channels.impairments(phase_noise_mag=PHASE_NOISE_DB, beta=BETA),
        channels.channel_model(noise_voltage=math.sqrt(noise_var), noise_seed=seed),
    ]


def flow(*chain: Any) -> None:
    top = gr.top_block()
    top.connect(*chain)
    top.run()


def errors(
    contender: Contender, ebn0_db: float, count: int, code: FecCode | None, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Bit error rate of each block (frame), and the mean power behind the amplifier over that before it."""
    rng = np.random.default_rng(seed)
    first = WARM_UP * (BLOCK // 300 if code else 1)  # not counted
    count += first
    length = code.information_bits if code else M * BLOCK
    rate = code.rate if code else 1.0
    noise_var = 10 ** (-ebn0_db / 10) / (M * rate)
    sent = rng.integers(0, 2, count * length).astype(np.uint8)
    more = rng.integers(0, 2, length if code else M * TAIL).astype(np.uint8)
    source, sink = blocks.vector_source_b([*sent.tolist(), *more.tolist()]), blocks.vector_sink_b()
    after = blocks.vector_sink_c()
    encode, decode = [], [digital.binary_slicer_fb()]
    if code:
        encode = [fec.extended_encoder(code._encoder, threading=None, puncpat="11")]
        decode = [softmod.llr_decoder(code._decoder)]
    chain = [*contender.transmit(noise_var), blocks.delay(gr.sizeof_gr_complex, LEAD), *channel(noise_var, seed + 1)]
    flow(source, *encode, *chain, *contender.receive(noise_var), *decode, sink)
    got = np.array(sink.data(), np.uint8)[: len(sent)]
    assert len(got) == len(sent), f"{len(got)} bits of {len(sent)} came back"
    flow(blocks.vector_source_b(sent[:60_000].tolist()), *contender.transmit(noise_var), channel(0.0, 1)[0], after)
    return (got != sent).reshape(count, -1)[first:].mean(axis=1), float(np.mean(np.abs(after.data()) ** 2))


def curve(contender: Contender, grid: list[float], count: int, code: FecCode | None) -> list[dict[str, float]]:
    rows: list[dict[str, Any]] = []
    for i, ebn0_db in enumerate(grid):
        rates, power = errors(contender, ebn0_db, count, code, 1000 + i)
        lost = rates > 0.3 if code else np.zeros(len(rates), bool)
        rates = rates[~lost]
        mean, half = float(rates.mean()), float(1.96 * rates.std(ddof=1) / math.sqrt(len(rates)))
        rows.append(
            {
                "ebn0_db": ebn0_db,
                "ber": mean,
                "half_interval": half,
                "lost": int(lost.sum()),
                "power_behind_amplifier": power,
            }
        )
        name = f"{contender.name:34} {f'rate {code.rate:.2f}' if code else 'uncoded'}"
        print(f"{name} {ebn0_db:5.2f} dB  {mean:.3e} +- {half:.1e} lost {lost.sum()}", flush=True)
        if mean < TARGET / 20:
            break
    return rows


def crossing(rows: list[dict[str, float]]) -> tuple[float, float] | None:
    """Eb/N0 at the target and the half-width of its interval, straight lines in the logarithm between neighbours."""
    for low, high in zip(rows, rows[1:], strict=False):
        if low["ber"] >= TARGET > high["ber"] > 0:
            slope = math.log(low["ber"] / high["ber"]) / (high["ebn0_db"] - low["ebn0_db"])
            share = math.log(low["ber"] / TARGET) / math.log(low["ber"] / high["ber"])
            relative = [row["half_interval"] / row["ber"] for row in (low, high)]
            spread = math.hypot((1 - share) * relative[0], share * relative[1]) / slope
            return low["ebn0_db"] + share * (high["ebn0_db"] - low["ebn0_db"]), spread
    return None


def gains(curves: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Of the last contender over each other, at the target."""
    names = list(curves)
    mine = crossing(curves[names[-1]])
    result = []
    for name in names:
        found = crossing(curves[name])
        entry: dict[str, Any] = {"name": name, "ebn0_db": None, "gain_db": None}
        if found:
            entry |= {"ebn0_db": found[0], "ebn0_half_interval": found[1]}
            if mine and name != names[-1]:
                entry |= {"gain_db": found[0] - mine[0], "gain_half_interval": math.hypot(found[1], mine[1])}
        result.append(entry)
    return result


def picture(results: dict[str, Any], path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for (case, found), style in zip(results["cases"].items(), ("-", "--", ":"), strict=True):
        for i, (name, rows) in enumerate(found["curves"].items()):
            rows = [row for row in rows if row["ber"] > 0]
            grid, ber, half = ([row[key] for row in rows] for key in ("ebn0_db", "ber", "half_interval"))
            label = f"{name}, {case}"
            axes.errorbar(
                grid, ber, yerr=np.minimum(half, 0.9 * np.array(ber)), fmt=f"o{style}", color=f"C{i}", ms=3, label=label
            )
    axes.axhline(TARGET, color="0.6", lw=0.8)
    axes.set(yscale="log", ylim=(1e-5, 0.3), xlabel="Eb/N0 [dB]", ylabel="bit error rate")
    axes.set_title("Through channels.impairments and channels.channel_model", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def table(results: dict[str, Any]) -> str:
    rows = []
    for case, found in results["cases"].items():
        for entry in found["gains"]:
            at = (
                "not reached"
                if entry["ebn0_db"] is None
                else f"{entry['ebn0_db']:.2f} ± {entry['ebn0_half_interval']:.2f}"
            )
            gain = f"{entry['gain_db']:.2f} ± {entry['gain_half_interval']:.2f}" if entry["gain_db"] is not None else ""
            rows.append([f"{entry['name']}, {case}", at, gain])
    where = results["machine"]
    return (
        markdown_table(["link", "Eb/N0 at BER 1e-3 [dB]", "gain of the trained link [dB]"], rows)
        + f"\n\n{where['cpu']}, {where['date']}; `benchmarks/results/loopback.json` has every point."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=80, help="of 5000 symbols, a point")
    parser.add_argument("--frames", type=int, default=1200, help="coded frames a point")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "loopback.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"beta": BETA, "phase_noise_db": PHASE_NOISE_DB, "machine": machine(), "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        ours = write_alist(Path(folder) / "n_1800_k_1350.alist", 1800, 450)
        codes = {name: FecCode(LdpcConfig(kind="ldpc", alist=str(alist))) for name, alist in
                 (("LDPC 1/2", HALF), ("LDPC 3/4", ours))}  # fmt: skip
    for case, (plain, trained) in GRIDS.items():
        code, curves = codes.get(case), {}
        count = options.frames if code else options.blocks
        for contender in contenders():
            grid = trained if "neural" in contender.name else plain
            curves[contender.name] = curve(contender, [float(e) for e in np.arange(*grid)], count, code)
        results["cases"][case] = {"curves": curves, "gains": gains(curves), "blocks": count,
                                  "bits_per_block": code.information_bits if code else M * BLOCK}  # fmt: skip
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    picture(results, ROOT / "docs" / "img" / "loopback.png")
    replace_section(ROOT / "docs" / "neural_demapper.md", "loopback table", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
