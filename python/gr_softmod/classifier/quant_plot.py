# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of a quantisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from gr_softmod.run_dir import RunDir, replacing


def plot_quantising(run: RunDir, before: float, rounds: Sequence[Mapping[str, Any]]) -> None:
    """``quantize.png``: validation accuracy over cost; crosses are rounds taken back."""
    figure = Figure((5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(before, color="0.7", lw=1, label="float network")
    for kept, marker, label in ((True, "o", "kept"), (False, "x", "taken back")):
        chosen = [r for r in rounds if r["kept"] == kept]
        if chosen:
            axes.plot([r["score"] for r in chosen], [r["accuracy"] for r in chosen], marker, ls="", label=label)
    for record in rounds:
        if record["kept"]:
            place = (record["score"], record["accuracy"])
            axes.annotate(record["bits"], place, fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set(xlabel="inference cost (challenge's baseline = 1)", ylabel="validation accuracy", xscale="log")
    axes.legend(frameon=False)
    with replacing(run / "quantize.png", "wb") as file:
        figure.savefig(file, format="png", dpi=110)
