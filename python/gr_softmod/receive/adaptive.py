# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod receive`` of a source of which nothing is told: what it is, window by window, then its soft bits.

The stream is looked at once as it comes (:mod:`watch`): classes, symbol rate, carrier, constellation. What can be
demodulated falls into segments (:mod:`segments`), and each of these goes through the receiver with all that is known of
it by then (:mod:`demodulate`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gr_softmod.receive.demodulate import Part, demodulate
from gr_softmod.receive.frames import FrameReader
from gr_softmod.receive.outputs import Outputs
from gr_softmod.receive.segments import Segment, find_segments
from gr_softmod.receive.settings import check_job, check_positive
from gr_softmod.receive.survey import Finding
from gr_softmod.receive.watch import WINDOW, Watch


@dataclass(frozen=True)
class AdaptiveSettings:
    """What to receive, and with which classifier.

    Args:
        source, sample_rate, datatype, frequency, gain, truncated: as those of ``iq_source``.
        model: path of the classifier's ModelFile.
        out, overwrite, duration, timeout, decode, receiver: as those of ``Settings``.
        differential: bits of PSK signals were coded as turns of the phase.
    """

    source: str
    model: str | Path
    out: str | Path = "received"
    differential: bool = False
    sample_rate: float | None = None
    datatype: str | None = None
    frequency: float | None = None
    gain: float | None = None
    duration: float | None = None
    timeout: float = 10.0
    overwrite: bool = False
    truncated: bool = False
    decode: str | None = None
    receiver: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sample_rate is not None:
            check_positive("sample rate", self.sample_rate, "Hz")
        check_job(self.duration, self.timeout, self.decode)


@dataclass
class Adaptive:
    """A job that is done."""

    settings: AdaptiveSettings
    watch: Watch
    started: datetime
    segments: list[Segment]
    parts: list[Part]
    frames: list[dict[str, Any]]
    warnings: list[str]
    ended: str
    elapsed: float
    digests: dict[str, str]


@dataclass(frozen=True)
class AdaptiveResult:
    """As :class:`gr_softmod.receive.job.Result`."""

    folder: Path
    report: dict[str, Any]
    stuck: bool


def receive_anything(
    settings: AdaptiveSettings,
    on_finding: Callable[[dict[str, Any]], None] = lambda line: None,
    on_segments: Callable[[list[Segment]], None] = lambda segments: None,
) -> AdaptiveResult:
    """Find out what a source holds, and turn what can be demodulated into soft bits.

    Args:
        on_finding: gets a dictionary for each window of 16384 samples, see :func:`line_of`.
        on_segments: is told what will be demodulated, before it is.
    Raises:
        OSError: a file cannot be read or written.
        ValueError: the model, the source or a parameter is refused; nothing is left behind.
    """
    outputs = Outputs(settings.out, settings.overwrite)
    spool = outputs.path("samples.cf32")
    try:
        started, begin = datetime.now(UTC), time.monotonic()
        watch = Watch(settings, spool)
        ended = watch.run(lambda number, finding: on_finding(line_of(number, finding, watch.sample_rate)))
        segments = find_segments(watch.findings)
        on_segments(segments)
        total = watch.source.produced() if watch.live else watch.recorded
        total = total if watch.enough is None else min(total, watch.enough)
        if watch.live:
            total = min(total, spool.stat().st_size // 8)
        where = spool if watch.live else settings.source
        parts, warnings = demodulate(segments, settings, where, total, watch.sample_rate, outputs.path("."))
        spool.unlink(missing_ok=True)
        frames = _decode(parts, outputs) if settings.decode else []
        digests = _write(parts, outputs)
        job = Adaptive(
            settings, watch, started, segments, parts, frames, warnings, ended, time.monotonic() - begin, digests
        )
        from gr_softmod.receive.adaptive_report import write_report

        report = write_report(job, outputs)
        outputs.commit()
    except BaseException:
        outputs.discard()
        raise
    return AdaptiveResult(outputs.folder, report, watch.stuck)


def line_of(number: int, finding: Finding, sample_rate: float) -> dict[str, Any]:
    """A window's finding as JSON: time_s of its first sample, class ("" where nothing stands out), probability,
    confirmed (by the symbols), snr_db, symbol_rate_hz and carrier_hz (None: not found), probabilities."""
    return {
        "time_s": round(number * WINDOW / sample_rate, 6),
        "class": finding.name,
        "probability": round(finding.probability, 4),
        "confirmed": finding.confirmed,
        "snr_db": None if finding.snr_db is None else round(finding.snr_db, 1),
        "symbol_rate_hz": round(finding.symbol_rate, 3) or None,
        "carrier_hz": round(finding.carrier, 3) if finding.bandwidth else None,
        "sample_index": number * WINDOW,
        "probabilities": {name: round(value, 4) for name, value in finding.probabilities.items()},
    }


def _decode(parts: list[Part], outputs: Outputs) -> list[dict[str, Any]]:
    """AX.25 frames of all parts, with the time at which each began."""
    import json

    found: list[dict[str, Any]] = []
    bits_before = 0
    piece, frames = outputs.path("part.llr"), outputs.path("part.jsonl")
    for part in parts:
        first, last = part.kept
        bits = part.scheme.bits_per_symbol
        part.llrs[first * bits : last * bits].tofile(piece)
        rate = part.segment.symbol_rate * bits
        reader = FrameReader(piece, frames, rate)
        for entry in reader.poll((last - first) * bits, True):
            begin = part.sample_of(first) / part.sample_rate
            found.append(entry | {"bit": entry["bit"] + bits_before, "time_s": round(begin + entry["time_s"], 6)})
        reader.close()
        bits_before += (last - first) * bits
    piece.unlink(missing_ok=True)
    frames.unlink(missing_ok=True)
    outputs.path("frames.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in found))
    return found


def _write(parts: list[Part], outputs: Outputs) -> dict[str, str]:
    """The parts one behind the other; SHA-512 by name."""
    digests = {}
    for name in ("llr", "symbols"):
        digest = hashlib.sha512()
        with outputs.path(f"{name}.sigmf-data").open("wb") as file:
            for part in parts:
                first, last = part.kept
                bits = part.scheme.bits_per_symbol if name == "llr" else 1
                items = (part.llrs if name == "llr" else part.symbols)[first * bits : last * bits]
                data = np.ascontiguousarray(items).tobytes()
                digest.update(data)
                file.write(data)
        digests[name] = digest.hexdigest()
    return digests
