# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run directory of a trained link tells people: its rates, figures and model card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gr_softmod import theory
from gr_softmod.config import load_config
from gr_softmod.constellation import Constellation
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.link import build_channel
from gr_softmod.modem.losses import bmd_rate
from gr_softmod.modem.mapper import Modulator
from gr_softmod.modem.seeding import seeded_generator
from gr_softmod.modem.trained_link import TrainedLink, TrainLinkConfig
from gr_softmod.run_dir import RunDir, machine, replacing

_RATES = 2  # index of seeds; training and validation have 0 and 1


def write_report(run: RunDir, config: TrainLinkConfig, link: TrainedLink, history: Tensor) -> None:
    """``eval.json`` with the rates, ``constellation.png``, ``training.png`` and ``MODEL_CARD.md``."""
    rates = measure_rates(config, link)
    run.write_json("eval.json", {"title": config.title, "machine": machine(), "rates": rates})
    plot_constellation(run / "constellation.png", config, history.numpy())
    plot_training(run / "training.png", config, run.read_log())
    write_card(run)


def measure_rates(config: TrainLinkConfig, link: TrainedLink) -> list[dict[str, Any]]:
    """Bit-metric decoding rates in bits per symbol at ``rates_ebn0_db``, with 95 % intervals, through the channel.

    For the plain constellation and for the trained points with the exact demapper of white noise, and for the network.
    ``capacity`` is that of white noise at the same Es/N0. In white noise alone the rates of exact demappers are given
    by quadrature as well.
    """
    m, rows = link.bits_per_symbol, []
    channel = build_channel(config.channel)
    plain = Constellation.from_name(config.constellation.start)
    contenders: list[tuple[str, nn.Module, nn.Module]] = [
        ("plain", Modulator(plain), Demodulator(plain)),
        ("trained", link.modulator, Demodulator(link.points)),
        ("neural", link.modulator, link.demapper),
    ]
    for number, ebn0_db in enumerate(config.rates_ebn0_db):
        noise_var = 10 ** (-ebn0_db / 10) / m
        esn0_db = ebn0_db + 10 * math.log10(m)
        row: dict[str, Any] = {"ebn0_db": ebn0_db, "esn0_db": esn0_db, "capacity": float(theory.capacity(esn0_db))}
        for name, modulator, demapper in contenders:
            blocks = max(1, config.rates_symbols // config.train.symbols)
            llrs, sent = [], []
            with torch.inference_mode():
                for batch, first in enumerate(range(0, blocks, 256)):
                    generator = seeded_generator(config.seed, _RATES, number, batch)
                    shape = (min(256, blocks - first), config.train.symbols * m)
                    bits = torch.randint(0, 2, shape, generator=generator, dtype=torch.uint8)
                    received = channel(modulator(bits, noise_var), noise_var=noise_var, generator=generator)
                    llrs.append(demapper(received, noise_var))
                    sent.append(bits)
                rate = bmd_rate(torch.cat(llrs).flatten(), torch.cat(sent).flatten(), m)
            row[name] = float(rate.value)
            row[f"{name}_interval"] = list(rate.interval)
        if config.channel == {"awgn": {}}:
            row["plain_by_quadrature"] = theory.bmd_rate(plain, esn0_db)
            row["trained_by_quadrature"] = theory.bmd_rate(link.constellation(noise_var), esn0_db)
        rows.append(row)
    return rows


# ---- figures


def plot_constellation(path: Path, config: TrainLinkConfig, history: np.ndarray) -> None:
    """Where the points began, their way, and where they are, at some Eb/N0."""
    from gr_softmod.modem.train_link import SNAPSHOTS_DB

    conditioned = config.constellation.kind == "conditioned"
    shown = SNAPSHOTS_DB if conditioned else SNAPSHOTS_DB[:1]
    figure, axes = _figure(1, len(shown), size=(3.6 * len(shown), 3.9))
    limit = 1.08 * float(np.max(np.abs([history.real, history.imag])))
    for column, (ax, ebn0_db) in enumerate(zip(axes, shown, strict=True)):
        way = history[:, column]
        ax.plot(way.real, way.imag, color="0.7", linewidth=0.8, zorder=1)
        ax.scatter(way[0].real, way[0].imag, s=10, facecolors="none", edgecolors="0.5", linewidths=0.8, zorder=2)
        ax.scatter(way[-1].real, way[-1].imag, s=14, color="C0", zorder=3)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
        ax.set_title(f"$E_b/N_0$ = {ebn0_db:g} dB" if conditioned else config.title, fontsize=10)
        ax.grid(alpha=0.3)
        ax.set_xlabel("in-phase")
    axes[0].set_ylabel("quadrature")
    _save(figure, path)


def plot_training(path: Path, config: TrainLinkConfig, log: list[dict[str, Any]]) -> None:
    """Mean over the Eb/N0 of the logarithm of the loss, as trained and as validated."""
    figure, (ax,) = _figure(1, 1, size=(7, 4))
    trained = [(r["step"], r["log_loss"]) for r in log if "log_loss" in r]
    validated = [(r["step"], r["validation"]) for r in log if "validation" in r]
    for points, style, label in ((trained, {"color": "0.6"}, "training"), (validated, {"marker": "o"}, "validation")):
        if points:
            ax.plot(*zip(*points, strict=True), label=label, linewidth=1, markersize=3, **style)
    ax.set(xlabel="step", ylabel="mean of ln(cross-entropy) over $E_b/N_0$", title=config.title)
    ax.grid(alpha=0.3)
    ax.legend()
    _save(figure, path)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _save(figure: Any, path: Path) -> None:
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=120)


# ---- the card


def write_card(run: RunDir) -> None:
    """``MODEL_CARD.md`` from the run's configuration and ``eval.json``."""
    config = load_config(TrainLinkConfig, run / "config.yaml")
    result = run.read_json("eval.json")
    low, high = config.train.ebn0_db
    kinds = {
        "fixed": f"{config.constellation.start}, not trained",
        "trainable": f"trained from {config.constellation.start}, one set of points for every Eb/N0",
        "conditioned": f"trained from {config.constellation.start}, points that follow noise_var",
    }
    channel = ", ".join(f"{name} {arguments or ''}".strip() for name, arguments in config.channel.items())
    layers = " x ".join(str(width) for width in [3, *config.demapper.hidden])
    frames = config.train.steps * config.train.rows
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        f"# {config.title}",
        "",
        f"- Constellation: {kinds[config.constellation.kind]}.",
        f"- Demapper: a perceptron of {layers} x m, {config.demapper.activation}; in: Re(y), Im(y), "
        "-log10(noise_var); out: LLRs ln P(1)/P(0), first bit of a symbol first.",
        f"- Channel: {channel}.",
        f"- Trained for Eb/N0 from {low:g} to {high:g} dB, {config.train.steps} steps of {config.train.rows} blocks "
        f"of {config.train.symbols} symbols ({frames:,} different blocks), seed {config.seed}.",
        f"- Trained on {_device(config, result)}, for {training_seconds(run.read_log()) / 60:.1f} minutes; no "
        "recording was part of it.",
        "- Symbols have unit mean energy; noise_var is E|n|^2 of the complex noise. Transmitter and receiver must be "
        "told the same noise_var where the points follow it. Outside the trained range nothing is promised.",
        "- Weights: `model.safetensors`, rebuilt with `gr_softmod.modem.trained_link.load_link(RunDir(...))`.",
        "",
        "Bit-metric decoding rates in bits per symbol, 95 % intervals:",
        "",
        "| Eb/N0 [dB] | AWGN capacity | plain | trained points, exact demapper | trained, neural demapper |",
        "|---|---|---|---|---|",
    ]
    for row in result.get("rates", []):
        cells = [f"{row['ebn0_db']:g}", f"{row['capacity']:.4f}"]
        for name in ("plain", "trained", "neural"):
            half = 0.5 * (row[f"{name}_interval"][1] - row[f"{name}_interval"][0])
            cells.append(f"{row[name]:.4f} ± {half:.4f}")
        lines.append(f"| {' | '.join(cells)} |")
    if "curves" in result:
        names = list(result["curves"])
        lines += ["", "Bit error rates, 95 % intervals:", "", f"| Eb/N0 [dB] | {' | '.join(names)} |"]
        lines.append("|---" * (1 + len(names)) + "|")
        for rows in zip(*result["curves"].values(), strict=True):
            cells = [_rate_cell(row) for row in rows]
            lines.append(f"| {rows[0]['ebn0_db']:g} | {' | '.join(cells)} |")
    run.write_text("MODEL_CARD.md", "\n".join(lines) + "\n")


def training_seconds(log: list[dict[str, Any]]) -> float:
    """From the times of the records; a pause of more than ten of the usual gaps was an interruption and is left out."""
    times = np.array([record["time"] for record in log if "loss" in record])
    gaps = np.diff(times)
    usual = gaps[gaps <= 10 * np.median(gaps)] if len(gaps) else gaps
    return float(usual.sum() * len(times) / max(1, len(gaps)))


def _device(config: TrainLinkConfig, result: dict[str, Any]) -> str:
    threads = f", {config.threads} thread" + ("s" if config.threads > 1 else "") if config.device == "cpu" else ""
    return f"{config.device} ({result['machine']['cpu']}{threads})"


def _rate_cell(row: dict[str, Any]) -> str:
    if not row["bits"]:
        return "not run"
    return f"{row['ber']:.3e} ({row['ber_low']:.2e} to {row['ber_high']:.2e})"
