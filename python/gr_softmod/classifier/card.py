# SPDX-License-Identifier: GPL-3.0-or-later
"""MODEL_CARD.md: what a trained network is, what it was trained on, how good it is and where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gr_softmod.classifier.trained import load_saved
from gr_softmod.run_dir import RunDir

__all__ = ["write_card"]


def write_card(run: RunDir) -> None:
    """Write ``MODEL_CARD.md`` from ``eval.json``, ``best.pt`` and, where it is there, ``cost.json``."""
    run.write_text("MODEL_CARD.md", "\n".join(_lines(run)) + "\n")


def _lines(run: RunDir) -> Iterator[str]:
    result, saved = run.read_json("eval.json"), load_saved(run)
    graph, told = saved.graph, saved.trained_on
    weighted = list(graph.weighted())
    yield "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->"
    yield f"# {saved.title}"
    yield ""
    yield (
        f"Names the modulation of {graph.frame_length} complex samples: one of {len(graph.class_names)} classes "
        f"({', '.join(graph.class_names)}). {len(weighted)} layers with weights"
        + (f" and {len(graph.feature_names)} expert features." if graph.feature_names else ", no expert features.")
    )
    yield ""
    yield "## Trained on"
    yield from _training(told)
    yield ""
    yield "Made by, in this order:"
    yield ""
    for verb in saved.history:
        yield f"- {verb}"
    yield ""
    yield "## How good it is"
    yield from _results(result)
    yield ""
    yield "## Where it fails"
    yield from _failures(result)
    if (run / "cost.json").exists():
        yield ""
        yield "## Cost"
        yield from _cost(run.read_json("cost.json"))
    where = result["machine"]
    yield ""
    yield f"Judged on {where['cpu']}, {where['date']}."


def _training(told: Mapping[str, Any]) -> Iterator[str]:
    sps, snr = told["samples_per_symbol"], told["snr_db"]
    frames = "never the same twice" if told["different_frames"] is None else f"{told['different_frames']:,} different"
    yield ""
    yield f"- frames of `{told['preset']}`, seed {told['seed']}: {told['frames']:,} shown, {frames}"
    if sps and snr:
        yield f"- made here: {_span(sps)} samples a symbol, SNR {snr[0]:g} to {snr[1]:g} dB as the preset counts it"
    if shares := told.get("shares"):
        often = (f"{name} {share:g}" for name, share in sorted(shares.items(), key=lambda pair: -pair[1]))
        yield f"- classes do not come alike, here and in the tests below: {', '.join(often)}, others 1;"
        yield "  a doubt is settled in favour of the commoner"
    yield f"- on {told['device']}" + f", for {told['seconds'] / 60:.1f} minutes"
    if sps:
        yield "- no recording and no signal of another program was part of it"


def _results(result: Mapping[str, Any]) -> Iterator[str]:
    good = result["accuracy_good"]
    yield ""
    yield "| test frames | accuracy | 95 % interval | frames |"
    yield "|---|---|---|---|"
    yield "| all | " + _share(result["accuracy"])
    yield f"| SNR of {good['from_db']:g} dB and more | " + _share(good)
    yield ""
    yield "| SNR [dB] | accuracy | 95 % interval |"
    yield "|---|---|---|"
    for row in result["by_snr"]:
        low, high = row["interval"]
        yield f"| {row['snr_db']:g} | {100 * row['accuracy']:.1f} % | {100 * low:.1f} to {100 * high:.1f} % |"
    error, half = result["calibration"]["error"], _refusing(result["rejection"], 0.5)
    yield ""
    yield (
        f"Expected calibration error {100 * error:.1f} % (temperature {result['temperature']:.3f}, fitted on "
        f"validation frames). Refusing the less certain half leaves {100 * half:.1f} % right."
    )


def _failures(result: Mapping[str, Any]) -> Iterator[str]:
    names = result["class_names"]
    weak = [row for row in result["by_class"] if row["good"]["frames"] and row["good"]["value"] < 0.5]
    yield ""
    if weak:
        listed = ", ".join(f"{row['class']} ({100 * row['good']['value']:.0f} %)" for row in weak)
        yield f"Classes named right less than half the time at 10 dB and more: {listed}."
    else:
        yield "Every class is named right more often than not at 10 dB and more."
    for bin_name, matrix in result["confusion"].items():
        counts = np.array(matrix, float)
        shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
        np.fill_diagonal(shares, 0)
        worst = np.argsort(-shares, axis=None)[:5]
        pairs = [np.unravel_index(k, shares.shape) for k in worst]
        listed = ", ".join(
            f"{names[i]} as {names[j]} ({100 * shares[i, j]:.0f} %)" for i, j in pairs if shares[i, j] > 0
        )
        yield ""
        yield f"Most frequent mistakes, {bin_name}: {listed or 'none'}."
    yield ""
    yield (
        "It knows no other class than those named above: whatever else it hears it will call one of them. Outside the "
        "ranges it was trained on (samples a symbol, SNR, carrier offset of the preset) nothing is promised."
    )


def _cost(cost: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "| | |"
    yield "|---|---|"
    for key, value in cost.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
            yield f"| {key.replace('_', ' ')} | {shown} |"


def _refusing(curve: list[Mapping[str, float]], share: float) -> float:
    return min(curve, key=lambda row: abs(row["refused"] - share))["accuracy"]


def _share(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "none | | 0 |"
    low, high = share["interval"]
    return f"{100 * share['value']:.2f} % | {100 * low:.2f} to {100 * high:.2f} % | {share['frames']:,} |"


def _span(values: list[float]) -> str:
    return f"{values[0]:g}" if values[0] == values[-1] else f"{values[0]:g} to {values[-1]:g}"
