# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording of five bursts over time: what was sent, what the network says, what the receiver does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bursts import SAMPLE_RATE, Received, Recording, outcomes, receive, recording

NAMES = ("bpsk", "qpsk", "8psk", "16qam", "64qam")
ROWS = ("noise", "other", *NAMES)
COLOURS = {"searching": "0.85", "recognised": "tab:orange", "locked": "tab:green", "lost": "tab:red"}
#: Symbols a point of the lowest panel stands for.
_BLOCK = 500


def draw(path: Path) -> dict[str, Any]:
    """Make the recording, receive it, draw it; returns the hash of the classifier."""
    sent = recording(NAMES, 25_000, (5.0, 3.3, 8.0, 5.0, 4.2), (20.0,) * 5, 30_000, 7)
    received = receive(sent.samples)
    _draw(sent, received, path)
    return {"model": received.messages["classification"][0]["model_hash"]}


def _draw(sent: Recording, received: Received, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ms = 1e3 / SAMPLE_RATE
    figure, (classes, states, errors) = pyplot.subplots(
        3, 1, figsize=(9, 6), sharex=True, height_ratios=[4, 0.7, 3], layout="constrained"
    )
    results = outcomes(sent, received)
    for burst, outcome in zip(sent.bursts, results, strict=True):
        begin, length = burst.first * ms, len(burst.symbols) * burst.samples_per_symbol * ms
        row = ROWS.index(burst.name)
        classes.add_patch(pyplot.Rectangle((begin, row - 0.42), length, 0.84, fc="0.9", ec="0.5"))
        rate = f"{outcome.errors / outcome.bits:.1e}" if outcome.errors else f"0 of {outcome.bits}"
        errors.text(begin + length / 2, -17.3, f"bit errors\n{rate}", ha="center", fontsize=8)
    reports = received.messages["classification"]
    named = [report["class"].lower() if report["class"].lower() in ROWS else "other" for report in reports]
    places = [(report["sample_index"] + 512) * ms for report in reports]
    classes.plot(places, [ROWS.index(name) for name in named], "k.", ms=4, label="network, mean of 8 frames")
    _receiver(received, classes, states, ms, len(sent.samples) * ms)
    classes.set_yticks(range(len(ROWS)), ROWS)
    classes.legend(loc="upper left", fontsize=8)
    classes.set_title("Five bursts of which nothing is known, 20 dB", fontsize=10)
    states.set_yticks([])
    states.set_ylabel("state", rotation=0, ha="right", va="center")
    for state, colour in COLOURS.items():
        states.bar(0, 0, color=colour, label=state)
    states.legend(ncols=4, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.05), frameon=False)
    for burst in sent.bursts:
        _errors(burst, received, errors, ms)
    errors.axhline(-20, color="0.4", ls="--", lw=1)
    errors.set_ylim(-22, -15)
    errors.set_ylabel("symbols' error [dB]")
    errors.set_xlabel("time [ms]")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _receiver(received: Received, classes: Any, states: Any, ms: float, end: float) -> None:
    changes = [*received.messages["state"], {"sample_index": end / ms, "state": "end"}]
    shown = False
    for now, later in zip(changes, changes[1:], strict=False):
        begin, until = now["sample_index"] * ms, max(now["sample_index"], later["sample_index"]) * ms
        states.axvspan(begin, until, color=COLOURS[now["state"]], lw=0)
        if now["state"] == "locked" and now["class"] in ROWS:
            row = ROWS.index(now["class"])
            label = None if shown else "receiver, with lock"
            classes.plot([begin, until], [row, row], color="tab:green", lw=4, alpha=0.7, label=label)
            shown = True


def _errors(burst: Any, received: Received, axes: Any, ms: float) -> None:
    """Mean square distance from the nearest point, which is the error where decisions are right."""
    from gr_softmod.constellation import Constellation

    locks = [m for m in received.messages["status"] if m.get("reason") == "locked"]
    for lock in locks:
        if lock["constellation"] != burst.name or abs(lock["sample_index"] - burst.first) > 1e4:
            continue
        count = len(burst.symbols) // _BLOCK
        symbols = received.symbols[lock["symbol"] :][: count * _BLOCK]
        symbols = symbols[: len(symbols) // _BLOCK * _BLOCK]
        points = Constellation.from_name(burst.name).points
        distance = np.min(np.abs(symbols[:, None] - points) ** 2, axis=1).reshape(-1, _BLOCK).mean(axis=1)
        at = lock["sample_index"] + (np.arange(len(distance)) + 0.5) * _BLOCK * burst.samples_per_symbol
        axes.plot(at * ms, 10 * np.log10(distance), "-", lw=1, color="tab:green")
