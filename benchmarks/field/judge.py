# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model names the frames, counted: by class, rate, SNR, channel, and of means over eight frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import off_air
from cases import ASKED, FRAMES, NOISE, SNR_DB
from numpy.typing import NDArray
from transmitters import MAKERS, Samples

from gr_softmod.classifier.metrics import wilson

Probabilities = NDArray[np.float32]
Run = Callable[[Samples], Probabilities]
#: Which classes are of one kind; orders within a kind are the harder question.
FAMILIES = {
    "ASK": ("OOK", "4ASK", "8ASK"),
    "PSK": ("BPSK", "QPSK", "8PSK", "16PSK", "32PSK", "OQPSK"),
    "QAM": ("16QAM", "32QAM", "64QAM", "128QAM", "256QAM", "16APSK", "32APSK", "64APSK", "128APSK"),
    "AM": ("AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC", "AM-DSB-SC"),
    "FM": ("FM",),
    "GMSK": ("GMSK",),
    NOISE: (NOISE,),
}
FAMILY = {name: family for family, members in FAMILIES.items() for name in members}


class Named:
    """Names of frames [T, F] and of their means [T] over the F frames of a transmission."""

    def __init__(self, p: Probabilities, class_names: Sequence[str]) -> None:
        names = np.array(class_names)
        self.frames, self.means = names[p.argmax(-1)], names[p.mean(1).argmax(-1)]

    def count(self, name: str, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """Of the transmissions chosen, all of class ``name``."""
        frames, means = self.frames[chosen].ravel(), self.means[chosen]
        kind = np.array([FAMILY[n] == FAMILY[name] for n in frames], bool)
        others = Counter(frames[frames != name].tolist()).most_common(3)
        return {
            **share(frames == name),
            "mean": share(means == name),
            "kind": share(kind)["share"],
            "taken_for": {other: round(n / len(frames), 4) for other, n in others},
        }


def share(right: NDArray[np.bool_]) -> dict[str, Any]:
    """Share with its interval of 95 %, which takes what was counted for independent."""
    hits, total = int(right.sum()), len(right)
    low, high = wilson(hits, total)
    value = round(hits / total, 4) if total else None
    return {"share": value, "interval": [round(low, 4), round(high, 4)], "count": total}


def signals(told: list[dict[str, Any]], named: Named) -> dict[str, Any]:
    """Counts of the nine classes: where the requirement is, by rate, by SNR and by channel."""

    def of(name: str, test: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return named.count(name, np.array([t["name"] == name and test(t) for t in told]))

    def asked(t: dict[str, Any], measure: str = "Es/N0") -> bool:
        return t["snr_db"] == SNR_DB and t["samples_per_symbol"] in ASKED and t["measure"] == measure

    def at_20(t: dict[str, Any]) -> bool:
        return t["snr_db"] == SNR_DB and t["measure"] == "Es/N0"

    rates = sorted({t["samples_per_symbol"] for t in told if "samples_per_symbol" in t})
    levels = sorted({t["snr_db"] for t in told if "snr_db" in t})
    kinds = sorted({t["kind"] for t in told if "kind" in t})
    return {
        name: {
            "asked": of(name, asked),
            "asked, SNR of the whole band": of(name, lambda t: asked(t, "band")),
            "samples per symbol": {
                str(n): of(name, lambda t, n=n: at_20(t) and t["samples_per_symbol"] == n) for n in rates
            },
            "SNR": {
                f"{snr:g}": of(
                    name,
                    lambda t, s=snr: t["snr_db"] == s and t["measure"] == "Es/N0" and t["samples_per_symbol"] in ASKED,
                )
                for snr in levels
            },
            "channel": {kind: of(name, lambda t, k=kind: asked(t) and t["kind"] == k) for kind in kinds},
            "carrier offset": {
                text: of(name, lambda t, a=a, b=b: asked(t) and a <= abs(t["offset"]) < b)
                for text, a, b in (("0 to 0.005", 0, 0.005), ("0.005 to 0.02", 0.005, 0.02), ("0.02 to 0.05", 0.02, 1))
            },
        }
        for name in MAKERS
    }


def noise(told: list[dict[str, Any]], named: Named) -> dict[str, Any]:
    """Counts of noise alone, together, by width and by level."""

    def of(**what: Any) -> dict[str, Any]:
        return named.count(
            NOISE, np.array([t["name"] == NOISE and all(t.get(k) == v for k, v in what.items()) for t in told])
        )

    mine = [t for t in told if t["name"] == NOISE]
    return {
        "all": of(),
        "width": {f"{w:g}": of(width=w) for w in sorted({t["width"] for t in mine})},
        "level": {f"{v:g} dB": of(level_db=v) for v in sorted({t["level_db"] for t in mine})},
    }


def recordings(folder: Path, run: Run, class_names: Sequence[str]) -> dict[str, Any]:
    """Shares of the frames of each recording, at each rate and filter: named PSK or BPSK, and noise where none is."""
    names, result = np.array(class_names), {}
    for recording in off_air.RECORDINGS:
        rows = []
        for sps in off_air.RATES:
            for width, cutoff in off_air.FILTERS.items():
                frames, states = off_air.frames(folder, recording, sps, cutoff)
                named = names[run(frames).argmax(1)]
                signal, idle = named[states == "signal"], named[states == "noise"]
                rows.append({
                    "samples_per_symbol": sps,
                    "filter": width,
                    "psk": share(np.array([FAMILY[n] == "PSK" for n in signal], bool)),
                    "bpsk": share(signal == "BPSK"),
                    "taken_for": dict(Counter(signal[signal != "BPSK"].tolist()).most_common(3)),
                    "noise": share(idle == NOISE),
                    "noise_taken_for": dict(Counter(idle[idle != NOISE].tolist()).most_common(3)),
                    "edges": int((states == "edge").sum()),
                })  # fmt: skip
        result[recording.file.removesuffix(".wav")] = rows
    return result


def confusion(told: list[dict[str, Any]], named: Named, class_names: Sequence[str]) -> list[list[int]]:
    """Counts where the requirement is: rows are the nine classes and noise, columns all that the model names."""
    rows = []
    for name in (*MAKERS, NOISE):
        chosen = [
            t["name"] == name
            and (
                name == NOISE
                or (t["snr_db"] == SNR_DB and t["samples_per_symbol"] in ASKED and t["measure"] == "Es/N0")
            )
            for t in told
        ]
        found = Counter(named.frames[np.array(chosen)].ravel().tolist())
        rows.append([found[n] for n in class_names])
    return rows


def probabilities(run: Run, frames: Samples, piece: int = 64) -> Probabilities:
    """[T, FRAMES, C] of frames [T, FRAMES, N], a few transmissions at a time."""
    parts = []
    for start in range(0, len(frames), piece):
        some = np.array(frames[start : start + piece])
        parts.append(run(some.reshape(-1, some.shape[-1])).reshape(len(some), FRAMES, -1))
    return np.concatenate(parts)
