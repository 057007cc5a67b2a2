# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has shown: how much the drift cost, how much adaptation won back, what was lost; and the figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import link
import numpy as np
from score import ADAPTED, FIXED
from settings import Settings

from gr_softmod import theory
from gr_softmod.run_dir import machine


def equivalent_ebn0_db(ber: float) -> float:
    """Eb/N0 in dB at which 16-QAM in white noise, ideally received, has that bit error rate (theory)."""
    grid = np.linspace(-4, 16, 2001)
    curve = theory.ber(link.constellation(link.MAIN), grid)
    assert curve is not None
    return float(np.interp(-math.log(ber), -np.log(curve), grid))


def rate(seconds: list[dict[str, int]], over: str, under: str, first: float, last: float) -> float:
    """A share of what was counted between two seconds of the signal; NaN of nothing."""
    inside = [second for second in seconds if first <= second["second"] < last]
    total = sum(second.get(under, 0) for second in inside)
    return sum(second.get(over, 0) for second in inside) / total if total else math.nan


def make_report(settings: Settings, score: dict[str, Any], sent: int) -> dict[str, Any]:
    """The figures. Loss is in dB: how much less Eb/N0 ideal reception of 16-QAM would need for the same errors.

    Before: until the drift begins. After: the last quarter of the signal, at the same noise. Won back is the share of
    what the drift cost the receiver that does not adapt.
    """
    seconds, end = score["seconds"], settings.seconds
    spans = {"before": (1.0, settings.drift_seconds[0]), "after": (0.75 * end, end)}
    ber = {
        f"{side}_{when}": rate(seconds, f"errors_{side}", "bits", *span)
        for side in (FIXED, ADAPTED)
        for when, span in spans.items()
    }
    at = {name: equivalent_ebn0_db(value) if value > 0 else math.inf for name, value in ber.items()}
    cost = at[f"{FIXED}_before"] - at[f"{FIXED}_after"]
    left = at[f"{FIXED}_before"] - at[f"{ADAPTED}_after"]
    report: dict[str, Any] = {
        "ber": ber,
        "equivalent_ebn0_db": {name: round(value, 3) for name, value in at.items()},
        "drift_costs_db": round(cost, 3),
        "adapted_lacks_db": round(left, 3),
        "won_back": round(1 - left / cost, 4),
        "lost": score["lost"] | {"samples": sent - score.get("samples", 0)},
        "samples": score.get("samples", 0),
        "frames": score["frames"],
        "swaps": {
            name: sum(event["what"] == f"{name} swapped" for event in score["events"])
            for name in ("demapper", "classifier")
        },
        "refused": [event["reason"] for event in score["events"] if event["what"] == "refused"],
        "settings": {key: value for key, value in vars(settings).items() if key not in ("out", "keys")},
        "machine": machine(),
        "events": score["events"],
        "seconds": seconds,
    }
    if settings.classifier:
        report["accuracy"] = {
            f"{side}_{when}": round(rate(seconds, f"right_{side}", f"named_{side}", *span), 4)
            for side in (FIXED, ADAPTED)
            for when, span in spans.items()
        }
    return report


def picture(report: dict[str, Any], path: Path) -> None:
    """Bit error rate and accuracy over time, of both receivers, with the swaps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    settings, seconds = report["settings"], report["seconds"]
    end, rows = settings["seconds"], 2 if "accuracy" in report else 1
    figure, axes = plt.subplots(rows, 1, figsize=(8, 2.9 * rows + 0.5), sharex=True, squeeze=False)
    step = max(2.0, end / 90)
    at = np.arange(0, end, step)
    curves = [("errors", "bits", "bit error rate"), ("right", "named", "classifier's accuracy")]
    for axis, (over, under, title) in zip(axes[:, 0], curves, strict=False):
        for side, colour in ((FIXED, "C3"), (ADAPTED, "C0")):
            below = under if under == "bits" else f"{under}_{side}"
            values = [rate(seconds, f"{over}_{side}", below, t, t + step) for t in at]
            axis.plot(
                at + step / 2, values, color=colour, lw=1.5, label={FIXED: "model kept", ADAPTED: "adapted"}[side]
            )
        begins, ends = settings["drift_seconds"]
        axis.axvspan(begins, ends, color="0.9", label="amplifier and phase noise grow")
        axis.axvline(settings["tone_second"], color="0.4", ls=":", label="interferer comes")
        target = "demapper" if under == "bits" else "classifier"
        swaps = [event["second"] for event in report["events"] if event["what"] == f"{target} swapped"]
        axis.plot(swaps, np.full(len(swaps), 0.03), "^", color="0.2", ms=4, transform=axis.get_xaxis_transform(),
                  label=f"{target} swapped")  # fmt: skip
        axis.set_ylabel(title)
        axis.grid(alpha=0.2)
        axis.legend(fontsize=7.5, loc="upper left" if under == "bits" else "lower left")
    axes[0, 0].set_yscale("log")
    lost = sum(value for value in report["lost"].values())
    axes[0, 0].set_title(
        f"16-QAM, Es/N0 {settings['esn0_db']:g} dB: the drift costs {report['drift_costs_db']:.1f} dB, "
        f"adaptation wins back {100 * report['won_back']:.0f} %; samples lost: {lost}",
        fontsize=9,
    )
    axes[-1, 0].set(xlabel="seconds of signal", xlim=(0, end))
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
