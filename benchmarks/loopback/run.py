# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit error rates in flowgraphs through GNU Radio's impairments: a trained link beside 64-QAM with a max-log demapper.

    PYTHONPATH=build/python python benchmarks/loopback/run.py [--blocks 80] [--frames 400] [--receiver FILE]

channels.impairments (amplifier of third order, phase noise) and channels.channel_model (noise). 64-QAM gets its level
and noise variance from noise_estimator_cc, as a receiver would; the trained link is told the noise variance. Eb is that
of the amplifier's input, the same for both. Intervals are of 95 %, from the spread of blocks of 5000 symbols (or coded
frames), so that the memory of the phase noise is in them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
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

MODEL = ROOT / "examples" / "link_impaired.safetensors"
BETA, PHASE_NOISE_DB = -0.08, -8.7
M, TARGET = 6, 1e-3
LDPC = "n_1800_k_0902_gap_28.alist"
BLOCK = 5000  # symbols
#: channel_model begins with its fourth sample; both drop a few at the end.
LEAD, TAIL = 3, 64


@dataclass(frozen=True)
class Contender:
    """``transmit(noise_var)`` and ``receive(noise_var)`` give chains of blocks: bits to symbols, samples to LLRs."""

    name: str
    transmit: Callable[[float], list[Any]]
    receive: Callable[[float], list[Any]]


def mapper(points: Any) -> list[Any]:
    return [blocks.pack_k_bits_bb(M), digital.chunks_to_symbols_bc(points.tolist())]


def contenders(receiver: str | None) -> list[Contender]:
    qam = softmod.Constellation.from_name("64qam")

    def plain(method: str) -> Callable[[float], list[Any]]:
        return lambda noise_var: [
            softmod.noise_estimator_cc(qam, normalize=True),
            softmod.soft_demapper_cf(qam, noise_var, method),
        ]

    def neural(path: str | Path) -> Callable[[float], list[Any]]:
        return lambda noise_var: [softmod.neural_demapper_cf(str(path), noise_var)]

    found = [
        Contender("64-QAM, max-log", lambda noise_var: mapper(qam.points), plain("maxlog")),
        Contender("64-QAM, exact", lambda noise_var: mapper(qam.points), plain("exact")),
    ]
    if receiver:
        found.append(Contender("64-QAM, neural demapper", lambda noise_var: mapper(qam.points), neural(receiver)))
    found.append(
        Contender(
            "trained points, neural demapper",
            lambda noise_var: [softmod.modulator_bc(str(MODEL), noise_var)],
            neural(MODEL),
        )
    )
    return found


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
    contender: Contender, ebn0_db: float, count: int, coded: Any, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Bit error rate of each block (frame), and the mean power behind the amplifier over that before it."""
    rng = np.random.default_rng(seed)
    rate = 902 / 1800 if coded else 1.0
    noise_var = 10 ** (-ebn0_db / 10) / (M * rate)
    sent = rng.integers(0, 2, count * (902 if coded else M * BLOCK)).astype(np.uint8)
    more = rng.integers(0, 2, 902 if coded else M * TAIL).astype(np.uint8)
    source, sink = blocks.vector_source_b([*sent.tolist(), *more.tolist()]), blocks.vector_sink_b()
    after = blocks.vector_sink_c()
    encode, decode = ([], [digital.binary_slicer_fb()])
    if coded:
        encode = [fec.extended_encoder(coded[0], threading=None, puncpat="11")]
        decode = [softmod.llr_decoder(coded[1])]
    impairments, noise = channel(noise_var, seed + 1)
    top = gr.top_block()
    transmit, receive = contender.transmit(noise_var), contender.receive(noise_var)
    lead = blocks.delay(gr.sizeof_gr_complex, LEAD)
    top.connect(source, *encode, *transmit, lead, impairments, noise, *receive, *decode, sink)
    top.connect(impairments, blocks.head(gr.sizeof_gr_complex, 50_000), after)
    top.run()
    got = np.array(sink.data(), np.uint8)[: len(sent)]
    assert len(got) == len(sent), f"{len(got)} bits of {len(sent)} came back"
    return (got != sent).reshape(count, -1).mean(axis=1), float(np.mean(np.abs(after.data()) ** 2))


def curve(contender: Contender, grid: list[float], count: int, coded: Any) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for i, ebn0_db in enumerate(grid):
        rates, power = errors(contender, ebn0_db, count, coded, 1000 + i)
        mean, half = float(rates.mean()), float(1.96 * rates.std(ddof=1) / math.sqrt(len(rates)))
        rows.append({"ebn0_db": ebn0_db, "ber": mean, "half_interval": half, "power_behind_amplifier": power})
        print(
            f"{contender.name:34} {'coded' if coded else 'uncoded'} {ebn0_db:5.1f} dB  {mean:.3e} +- {half:.1e}",
            flush=True,
        )
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
    for coded, style in (("uncoded", "-"), ("coded", "--")):
        for i, (name, rows) in enumerate(results[coded]["curves"].items()):
            rows = [row for row in rows if row["ber"] > 0]
            grid, ber, half = ([row[key] for row in rows] for key in ("ebn0_db", "ber", "half_interval"))
            label = name + (", LDPC 1/2" if coded == "coded" else "")
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
    for coded in ("uncoded", "coded"):
        for entry in results[coded]["gains"]:
            at = (
                "not reached"
                if entry["ebn0_db"] is None
                else f"{entry['ebn0_db']:.2f} ± {entry['ebn0_half_interval']:.2f}"
            )
            gain = f"{entry['gain_db']:.2f} ± {entry['gain_half_interval']:.2f}" if entry["gain_db"] is not None else ""
            rows.append([f"{entry['name']}, {coded}", at, gain])
    where = results["machine"]
    return (
        markdown_table(["link", "Eb/N0 at BER 1e-3 [dB]", "gain of the trained link [dB]"], rows)
        + f"\n\n{where['cpu']}, {where['date']}; `benchmarks/results/loopback.json` has every point."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=80, help="of 5000 symbols, a point")
    parser.add_argument("--frames", type=int, default=400, help="coded frames a point")
    parser.add_argument("--receiver", help="demapper trained for fixed 64-QAM, to see what the points bring")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "loopback.json")
    options = parser.parse_args()
    code = FecCode(LdpcConfig(kind="ldpc", alist=LDPC))
    results: dict[str, Any] = {"beta": BETA, "phase_noise_db": PHASE_NOISE_DB, "machine": machine()}
    for name, coded, count in (
        ("uncoded", None, options.blocks),
        ("coded", (code._encoder, code._decoder), options.frames),
    ):
        curves = {}
        for contender in contenders(options.receiver):
            trained = "neural" in contender.name
            if coded:
                grid = list(np.arange(6.0, 9.1, 0.25) if trained else np.arange(7.0, 11.1, 0.5))
            else:
                grid = list(np.arange(14.0, 19.1, 1.0) if trained else np.arange(14.0, 25.1, 1.0))
            curves[contender.name] = curve(contender, [float(e) for e in grid], count, coded)
        results[name] = {
            "curves": curves,
            "gains": gains(curves),
            "symbols_per_block": 300 if coded else BLOCK,
            "blocks": count,
        }
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    picture(results, ROOT / "docs" / "img" / "loopback.png")
    replace_section(ROOT / "docs" / "neural_demapper.md", "loopback table", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
