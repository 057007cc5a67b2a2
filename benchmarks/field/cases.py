# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that are judged: every case through GNU Radio once, then from a file of the build folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import channel as on
import numpy as np
from transmitters import MAKERS, Samples

#: Samples of a frame, and frames of one transmission: the block's mean over eight frames then is one decision of each.
LENGTH, FRAMES = 1024, 8
KINDS = ("plain", "offset", "multipath", "impairments")
#: Samples per symbol that the requirement names, and beside it.
ASKED, BESIDE = (4, 6, 8), (2, 16)
SNR_DB = 20.0
NOISE = "noise"
_HERE = Path(__file__).resolve().parent


class Case(NamedTuple):
    """One transmission.

    ``snr_db`` is Es/N0, or of "band" the signal's power by that of the noise in the whole sampled band.
    """

    name: str
    samples_per_symbol: int
    snr_db: float
    measure: str
    number: int


def cases(transmissions: int = 24, fewer: int = 8) -> Iterator[Case]:
    """All of them: many where the requirement is, fewer over other SNRs and rates."""
    for name in MAKERS:
        for sps in (*ASKED, *BESIDE):
            many = transmissions if sps in ASKED else fewer
            for measure in ("Es/N0", "band"):
                yield from (Case(name, sps, SNR_DB, measure, k) for k in range(many))
            if sps in ASKED:
                for snr_db in (0.0, 5.0, 10.0, 15.0, 25.0, 30.0):
                    yield from (Case(name, sps, snr_db, "Es/N0", k) for k in range(fewer))


def transmission(case: Case) -> tuple[Samples, dict[str, Any]]:
    """Frames [FRAMES, LENGTH] of a case, and what there is to know about them. Depends on the case alone, to rounding.

    One number of a class and rate is the same signal in the same channel at every SNR.
    """
    rng = np.random.default_rng([list(MAKERS).index(case.name), case.samples_per_symbol, case.number])
    kind = KINDS[case.number % len(KINDS)]
    count = FRAMES * LENGTH
    signal = MAKERS[case.name](case.samples_per_symbol, count + 2 * on.MARGIN, rng)
    signal = (signal / np.sqrt(np.mean(np.abs(signal) ** 2))).astype(np.complex64)
    channel = on.draw(kind, case.samples_per_symbol, rng)
    noise_var = 10 ** (-case.snr_db / 10) * (case.samples_per_symbol if case.measure == "Es/N0" else 1)
    received = on.through(signal, channel, noise_var, count)
    told = {**case._asdict(), "kind": kind, "offset": channel.offset, "level_db": channel.level_db}
    return received.reshape(FRAMES, LENGTH), told


def noise_cases() -> Iterator[dict[str, Any]]:
    """Noise alone: white and band-limited, in the middle and beside it, over 80 dB of level."""
    for level_db in (-80.0, -40.0, -20.0, 0.0):
        for width in (1.0, 0.8, 0.5, 0.3, 0.15):
            for center in (0.0,) if width == 1 else (0.0, 0.45 * (1 - width)):
                yield {"name": NOISE, "width": width, "center": center, "level_db": level_db}


def everything(transmissions: int = 24, fewer: int = 8) -> tuple[Samples, list[dict[str, Any]]]:
    """Frames [T, FRAMES, LENGTH] of all cases, and what each is."""
    made = [transmission(case) for case in cases(transmissions, fewer)]
    for number, told in enumerate(noise_cases()):
        samples = on.noise(told["width"], told["center"], told["level_db"], 4 * FRAMES * LENGTH, number + 1)
        made += [(part, told) for part in samples.reshape(4, FRAMES, LENGTH)]
    return np.stack([frames for frames, _ in made]), [told for _, told in made]


def kept(folder: Path, transmissions: int = 24, fewer: int = 8) -> tuple[Samples, list[dict[str, Any]]]:
    """:func:`everything`, made when it is asked for first; another version of the files here makes it again."""
    text = f"{transmissions} {fewer} ".encode()
    text += b"".join((_HERE / f"{name}.py").read_bytes() for name in ("transmitters", "channel", "cases"))
    stem = folder / hashlib.sha256(text).hexdigest()[:16]
    data, index = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        frames, told = everything(transmissions, fewer)
        np.save(data, frames)
        index.write_text(json.dumps(told))
    return np.load(data, mmap_mode="r"), json.loads(index.read_text())
