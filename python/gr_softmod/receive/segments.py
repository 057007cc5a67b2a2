# SPDX-License-Identifier: GPL-3.0-or-later
"""From what each window of a stream holds to segments: stretches of one modulation, symbol rate and carrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gr_softmod.receive.survey import Finding

#: How far two windows' symbol rates may lie apart, relative; carriers, over the symbol rate.
RATE_TOLERANCE, CARRIER_TOLERANCE = 3e-3, 0.05
#: Windows without a finding that a segment may hold.
LONGEST_GAP = 2


@dataclass
class Segment:
    """Windows ``first`` to ``last`` of a stream. Frequencies in hertz."""

    first: int
    last: int
    constellation: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def symbol_rate(self) -> float:
        return float(np.median([finding.symbol_rate for finding in self.findings]))

    @property
    def carrier(self) -> float:
        return float(np.median([finding.carrier for finding in self.findings]))

    @property
    def snr_db(self) -> float:
        return float(np.median([finding.snr_db or 0.0 for finding in self.findings]))

    @property
    def probability(self) -> float:
        return float(np.mean([finding.probability for finding in self.findings]))


def voted(findings: Sequence[Finding]) -> list[str | None]:
    """The constellation of each window, by the majority of it and its neighbours where they are of one signal."""
    names = []
    for at, finding in enumerate(findings):
        near = [f.constellation for f in findings[max(0, at - 1) : at + 2] if f.constellation and _alike(f, finding)]
        own = finding.constellation
        names.append(max(sorted(set(near)), key=lambda name: (near.count(name), name == own)) if own else None)
    return names


def find_segments(findings: Sequence[Finding]) -> list[Segment]:
    """Segments that can be demodulated, in order.

    A single window between two segments is one of a change, and none of its own.
    """
    segments: list[Segment] = []
    for at, (finding, name) in enumerate(zip(findings, voted(findings), strict=True)):
        if name is None:
            continue
        latest = segments[-1] if segments else None
        near = latest is not None and at - latest.last <= LONGEST_GAP + 1
        if latest is not None and near and latest.constellation == name and _alike(latest.findings[-1], finding):
            latest.last = at
            latest.findings.append(finding)
        else:
            segments.append(Segment(at, at, name, [finding]))

    def beside(one: Segment, other: Segment) -> bool:
        gap = max(other.first - one.last, one.first - other.last)
        return gap <= LONGEST_GAP and len(other.findings) > 1

    alone = [
        segment
        for at, segment in enumerate(segments)
        if len(segment.findings) == 1
        and any(beside(segment, other) for other in segments[max(0, at - 1) : at + 2] if other is not segment)
    ]
    kept = [segment for segment in segments if segment not in alone]
    merged: list[Segment] = []
    for segment in kept:
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.constellation == segment.constellation
            and segment.first - before.last <= LONGEST_GAP + 1
            and _alike(before.findings[-1], segment.findings[0])
        ):
            before.last = segment.last
            before.findings += segment.findings
        else:
            merged.append(segment)
    return merged


def _alike(one: Finding, other: Finding) -> bool:
    rate = max(one.symbol_rate, other.symbol_rate)
    if not (one.symbol_rate and other.symbol_rate):
        return False
    near = abs(one.carrier - other.carrier) < CARRIER_TOLERANCE * rate
    return abs(one.symbol_rate - other.symbol_rate) < RATE_TOLERANCE * rate and (
        near or not one.sharp or not other.sharp
    )
