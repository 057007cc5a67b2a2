#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vector quantisation over a noisy link: hard indices, soft look-up, and a code book trained through the channel.

    python examples/vq_link.py [--out DIR] [--steps 4000] [--seed 1]

A correlated Gaussian source is quantised by a VectorQuantize of vector-quantize-pytorch (extra ``vq``). Its indices
travel as QPSK over white noise. The receiver looks them up hard (decide the bits, take the code word) or soft (mean
code word under the LLRs). Then the same code book is trained through the channel, from much noise to little: noise
orders it, so that indices that differ in one bit come to stand for vectors that are near each other.
Writes ``vq_link.json`` and ``vq_link.png``: reconstruction error against Es/N0.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor

from gr_softmod.conventions import noise_var_of_esn0_db
from gr_softmod.modem import seeded_generator
from gr_softmod.modem.quantized_link import QuantizedLink

DIMENSION, CODE_WORDS, CORRELATION = 4, 256, 0.9
GRID_DB = [float(value) for value in range(-4, 15, 2)]


def covariance() -> Tensor:
    distance = (torch.arange(DIMENSION)[:, None] - torch.arange(DIMENSION)).abs()
    return CORRELATION**distance


def source(count: int, seed: int, batch: int) -> Tensor:
    """[1, count, DIMENSION] pieces of a first-order Gauss-Markov process with unit variance."""
    noise = torch.randn(1, count, DIMENSION, generator=seeded_generator(seed, 0, batch))
    return noise @ torch.linalg.cholesky(covariance()).T


def noise_var(esn0_db: float) -> float:
    return float(noise_var_of_esn0_db(esn0_db))


def quantizer_codebook(seed: int, batches: int) -> Tensor:
    """Code book [CODE_WORDS, DIMENSION] that VectorQuantize learns for the source alone."""
    try:
        from vector_quantize_pytorch import VectorQuantize
    except ImportError as error:
        raise SystemExit("this example needs vector-quantize-pytorch: pip install 'gr-softmod[train,vq]'") from error
    torch.manual_seed(seed)
    vq = VectorQuantize(dim=DIMENSION, codebook_size=CODE_WORDS, kmeans_init=True, kmeans_iters=20, decay=0.95)
    for batch in range(batches):
        vq(source(8192, seed, batch))
    return vq.codebook.detach().clone()


def training_esn0_db(progress: float, uniform: float) -> float:
    """A window of 4 dB that climbs over the grid for 70 % of the training; then anywhere on it."""
    low, high = GRID_DB[0], GRID_DB[-1]
    if progress >= 0.7:
        return low + (high - low) * uniform
    return low + (high - low) * progress / 0.7 - 4 * uniform


def train_through_channel(codebook: Tensor, link: QuantizedLink, steps: int, seed: int) -> Tensor:
    """The code book after training for the error of the soft look-up, in decibels so that no Es/N0 outweighs others."""
    book = codebook.clone().requires_grad_()
    optimizer = torch.optim.Adam([book], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        vectors, generator = source(2048, seed + 1, step), seeded_generator(seed, 1, step)
        esn0_db = training_esn0_db(step / steps, torch.rand((), generator=generator).item())
        out = link(vectors, book, noise_var(esn0_db), generator=generator)
        loss = (out.soft - vectors).square().mean().log10() * 10
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            print(f"step {step:5d}  Es/N0 {esn0_db:5.1f} dB  error {loss.item():6.2f} dB", flush=True)
    return book.detach()


@torch.no_grad()
def evaluate(codebook: Tensor, link: QuantizedLink, seed: int, count: int) -> dict[str, list[float]]:
    """Mean squared error per component of both receivers over the grid."""
    vectors = source(count, seed + 2, 0)
    errors: dict[str, list[float]] = {"hard": [], "soft": []}
    for index, esn0_db in enumerate(GRID_DB):
        out = link(vectors, codebook, noise_var(esn0_db), generator=seeded_generator(seed, 2, index))
        errors["hard"].append((out.hard - vectors).square().mean().item())
        errors["soft"].append((out.soft - vectors).square().mean().item())
    return errors


@torch.no_grad()
def quantization_error(codebook: Tensor, seed: int, count: int) -> float:
    vectors = source(count, seed + 2, 0)[0]
    return torch.cdist(vectors, codebook).amin(-1).square().mean().item() / DIMENSION


def least_error(esn0_db: float) -> float:
    """What no scheme can beat: the vectors' rate-distortion function at the capacity of DIMENSION channel uses."""
    spectrum = torch.linalg.eigvalsh(covariance().double())
    bits = DIMENSION * math.log2(1 + 10 ** (esn0_db / 10))
    low, high = 1e-12, spectrum.max().item()
    for _ in range(100):  # reverse water-filling: the level at which the rate equals the capacity
        level = (low + high) / 2
        rate = 0.5 * torch.log2((spectrum / level).clamp_min(1)).sum().item()
        low, high = (level, high) if rate > bits else (low, level)
    return spectrum.clamp_max(high).mean().item()


def plot(report: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), constrained_layout=True)
    lines = [
        ("quantizer", "hard", "hard index", "C3o--"),
        ("quantizer", "soft", "soft look-up, same code book", "C0o-"),
        ("trained", "hard", "trained through the channel, hard index", "C1s--"),
        ("trained", "soft", "trained through the channel, soft look-up", "C2s-"),
    ]
    for book, receiver, label, style in lines:
        axes.semilogy(report["esn0_db"], report["error"][book][receiver], style, label=label, markersize=4)
    axes.axhline(report["quantization_error"]["quantizer"], color="grey", lw=0.8, ls=":", label="quantiser, no noise")
    axes.semilogy(report["esn0_db"], report["least_error"], color="black", lw=0.8, label="rate-distortion bound")
    axes.set_xticks(report["esn0_db"])
    axes.set(xlabel="Es/N0 [dB]", ylabel="mean squared error (source variance 1)", ylim=(1e-2, 3))
    axes.set_title(f"{DIMENSION}-vectors, {CODE_WORDS} code words, 4 QPSK symbols each", fontsize=10)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--vectors", type=int, default=50_000, help="for the evaluation")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    link = QuantizedLink("qpsk")
    books = {"quantizer": quantizer_codebook(options.seed, max(1, options.steps // 40))}
    books["trained"] = train_through_channel(books["quantizer"], link, options.steps, options.seed)
    report = {
        "esn0_db": GRID_DB,
        "error": {name: evaluate(book, link, options.seed, options.vectors) for name, book in books.items()},
        "quantization_error": {n: quantization_error(b, options.seed, options.vectors) for n, b in books.items()},
        "least_error": [least_error(value) for value in GRID_DB],
        "steps": options.steps,
        "vectors": options.vectors,
        "seed": options.seed,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "vq_link.json").write_text(json.dumps(report, indent=1) + "\n")
    plot(report, options.out / "vq_link.png")
    print(f"{'Es/N0 dB':>9s} {'hard':>9s} {'soft':>9s} {'trained hard':>13s} {'trained soft':>13s}")
    for index, esn0_db in enumerate(GRID_DB):
        row = [report["error"][book][receiver][index] for book in books for receiver in ("hard", "soft")]
        print(f"{esn0_db:9.1f} {row[0]:9.4f} {row[1]:9.4f} {row[2]:13.4f} {row[3]:13.4f}")


if __name__ == "__main__":
    main()
