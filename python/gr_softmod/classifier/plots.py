# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of the classifier's run directories, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gr_softmod.run_dir import RunDir, replacing

__all__ = ["plot_accuracy", "plot_calibration", "plot_confusion", "plot_pruning", "plot_rejection", "plot_training"]


def plot_training(run: RunDir) -> None:
    """``training.png``: loss, validation loss and accuracy over steps, from ``log.jsonl``."""
    log = run.read_log()
    steps = [(record["step"], record["loss"]) for record in log if "loss" in record]
    checks = [(record["step"], record["validation"]) for record in log if "validation" in record]
    figure = Figure((9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    if steps:
        left.plot(*zip(*steps, strict=True), lw=0.6, color="0.6", label="training (with helpers)")
    left.plot([step for step, _ in checks], [check["loss"] for _, check in checks], label="validation")
    left.set(xlabel="step", ylabel="loss [nat]")
    left.legend(frameon=False)
    for key, label in (("accuracy", "all SNRs"), ("accuracy_good", "SNR of 10 dB and more")):
        right.plot([step for step, _ in checks], [check[key] for _, check in checks], label=label)
    right.set(xlabel="step", ylabel="validation accuracy", ylim=(0, 1))
    right.legend(frameon=False)
    _save(figure, run, "training.png")


def plot_pruning(run: RunDir, before: float, steps: Sequence[Mapping[str, Any]]) -> None:
    """``pruning.png``: validation accuracy over the share of weights gone; crosses are steps taken back."""
    figure = Figure((5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(before, color="0.7", lw=1, label="whole network")
    for kept, marker, label in ((True, "o", "kept"), (False, "x", "taken back")):
        chosen = [step for step in steps if step["kept"] == kept]
        axes.plot([s["sparsity"] for s in chosen], [s["accuracy"] for s in chosen], marker, ls="", label=label)
    axes.set(xlabel="share of weights gone", ylabel="validation accuracy")
    axes.legend(frameon=False)
    _save(figure, run, "pruning.png")


def plot_accuracy(run: RunDir, by_snr: Sequence[Mapping[str, Any]]) -> None:
    """``accuracy.png``: accuracy with its interval at each SNR."""
    figure = Figure((6, 3.6), layout="constrained")
    axes = figure.subplots()
    snr = [row["snr_db"] for row in by_snr]
    value = np.array([row["accuracy"] for row in by_snr])
    low, high = (np.array([row["interval"][i] for row in by_snr]) for i in (0, 1))
    axes.errorbar(snr, value, [value - low, high - value], marker=".", capsize=2)
    axes.set(xlabel="SNR [dB]", ylabel="accuracy (95 % interval)", ylim=(0, 1))
    axes.grid(alpha=0.3)
    _save(figure, run, "accuracy.png")


def plot_confusion(run: RunDir, matrices: Sequence[tuple[str, NDArray[np.int64]]], names: Sequence[str]) -> None:
    """``confusion.png``: one matrix a bin of SNR, rows (what was sent) in shares."""
    figure = Figure((6.5 * len(matrices), 6.2), layout="constrained")
    for axes, (title, matrix) in zip(np.atleast_1d(figure.subplots(1, len(matrices))), matrices, strict=True):
        shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
        axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set(title=title, xlabel="named", ylabel="sent")
    _save(figure, run, "confusion.png")


def plot_calibration(run: RunDir, bins: Sequence[Mapping[str, float]], error: float) -> None:
    """``calibration.png``: accuracy over confidence; a calibrated network lies on the diagonal."""
    figure = Figure((4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", lw=1)
    axes.plot([row["confidence"] for row in bins], [row["accuracy"] for row in bins], marker="o")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title=f"calibration error {error:.3f}")
    _save(figure, run, "calibration.png")


def plot_rejection(run: RunDir, curve: Sequence[Mapping[str, float]]) -> None:
    """``rejection.png``: accuracy of what is left when the least certain frames are refused."""
    figure = Figure((4.5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["refused"] for row in curve], [row["accuracy"] for row in curve])
    axes.set(xlabel="share of frames refused", ylabel="accuracy of the rest", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    _save(figure, run, "rejection.png")


def _save(figure: Figure, run: RunDir, name: str) -> None:
    with replacing(run / name, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
