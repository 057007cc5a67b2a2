# SPDX-License-Identifier: GPL-3.0-or-later
"""The second look at a stream of which nothing was known: each of its segments to symbols and soft bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, gr
from numpy.typing import NDArray

from gr_softmod.blocks.iq_source import iq_source
from gr_softmod.blocks.receiver import receiver
from gr_softmod.constellation import Constellation
from gr_softmod.receive.job import ERASURE_HOLD_SYMBOLS, FILE_ESTIMATES
from gr_softmod.receive.segments import LONGEST_GAP, Segment
from gr_softmod.receive.sinks import LlrSink, StatusSink, SymbolSink
from gr_softmod.receive.survey import log_likelihood
from gr_softmod.receive.watch import WINDOW

#: Least log-likelihood a symbol can have, over Gaussian ones: what is wrong by more says no more.
_WORST = -6.0
#: How far from its carrier's line, or the middle of its band, a signal may be, over the symbol rate.
_FAR_BAND = 0.15


@dataclass
class Part:
    """What came out of a segment. ``begin`` and ``end`` are samples of the stream, and what is kept of it."""

    segment: Segment
    scheme: Constellation
    differential: bool
    origin: int
    llrs: NDArray[np.float32]
    symbols: NDArray[np.complex64]
    locked: tuple[int, int]  # first and last symbol with lock
    locked_share: float
    noise_var: float
    frequency: float
    sample_rate: float
    begin: float = 0.0
    end: float = 0.0

    @property
    def samples_per_symbol(self) -> float:
        return self.sample_rate / self.segment.symbol_rate

    def symbol_at(self, sample: float) -> int:
        """The first symbol at a sample of the stream or behind it."""
        return int(np.clip(np.ceil((sample - self.origin) / self.samples_per_symbol), 0, len(self.symbols)))

    def sample_of(self, symbol: int) -> float:
        return self.origin + symbol * self.samples_per_symbol

    @property
    def kept(self) -> tuple[int, int]:
        """First symbol of what is kept, and the first behind it."""
        return self.symbol_at(self.begin), self.symbol_at(self.end)

    def advantage(self, first: int, last: int) -> NDArray[np.float64]:
        """Of each symbol [first, last): how much likelier under the constellation than Gaussian, in nats."""
        symbols = self.symbols[first:last].astype(np.complex128)
        gaussian = -(np.abs(symbols) ** 2) - np.log(np.pi)
        return np.clip(log_likelihood(symbols, self.scheme.points, 1.0, self.noise_var) - gaussian, _WORST, None)


def demodulate(
    segments: list[Segment], settings: Any, samples: Path | str, total: int, sample_rate: float, folder: Path
) -> tuple[list[Part], list[str]]:
    """Demodulate each segment, and part those that follow each other where the likelihood is highest.

    Args:
        samples: the recording, or where a device's samples lie.
        total: samples of it that count.
        folder: for files that go again.
    Returns:
        Parts with soft bits, and sentences about segments that gave none.
    """
    parts, complaints = [], []
    for segment in segments:
        part = _receive(segment, settings, samples, total, sample_rate, folder)
        if part is None:
            when = segment.first * WINDOW / sample_rate
            complaints.append(f"the carrier of {segment.constellation} at {when:.3f} s was never found again")
        else:
            parts.append(part)
    for one, other in zip(parts, parts[1:], strict=False):
        if other.segment.first - one.segment.last <= LONGEST_GAP + 1:
            one.end = other.begin = _boundary(one, other)
    return [part for part in parts if part.kept[0] < part.kept[1]], complaints


def _receive(
    segment: Segment, settings: Any, samples: Path | str, total: int, sample_rate: float, folder: Path
) -> Part | None:
    rate, scheme = segment.symbol_rate, Constellation.from_name(segment.constellation)
    first = max(0, (segment.first - 1) * WINDOW)
    last = min(total, (segment.last + 2) * WINDOW)
    source: Any = iq_source(
        str(samples),
        sample_rate=sample_rate if settings.sample_rate or str(samples) != settings.source else None,
        datatype=settings.datatype if str(samples) == settings.source else "cf32_le",
        truncated=settings.truncated,
    )
    differential = settings.differential and "psk" in segment.constellation
    sharp = np.mean([finding.sharp for finding in segment.findings]) > 0.5
    widest = sample_rate / 2 - 0.675 * rate  # what the resampled band holds
    further = {} if sharp else {"max_offset": min(_FAR_BAND * rate, max(widest, 0.0))}
    options: dict[str, Any] = further | settings.receiver
    chain = receiver(scheme, sample_rate, rate, segment.carrier, differential, **options)
    bits, hold = scheme.bits_per_symbol, ERASURE_HOLD_SYMBOLS
    interval = int((last - first) / sample_rate * rate / FILE_ESTIMATES)
    names = folder / "part.llr", folder / "part.symbols"
    llrs, symbols = LlrSink(names[0], hold * bits), SymbolSink(names[1], hold, scheme.points, interval)
    status = StatusSink()
    top = gr.top_block("softmod receive: a segment")
    size = gr.sizeof_gr_complex
    top.connect(source, blocks.skiphead(size, first), blocks.head(size, last - first), chain)
    top.connect((chain, 0), llrs)
    top.connect((chain, 1), symbols)
    top.connect((chain, 2), blocks.null_sink(size))
    top.msg_connect(chain, "status", status, "status")
    top.run()
    llrs.close()
    symbols.close()
    for error in (source.error(), llrs.error, symbols.error):
        if error is not None:
            raise error
    soft, taken = np.fromfile(names[0], np.float32), np.fromfile(names[1], np.complex64)
    for name in names:
        name.unlink()
    if not symbols.locked:
        return None
    soft = soft[: len(taken) * bits]
    taken = taken[: len(soft) // bits]
    changes = symbols.lock_changes
    begins = [at for at, locked in changes if locked]
    ends = [at for at, locked in changes if not locked and at > begins[0]]
    until = len(taken) if changes[-1][1] else ends[-1]
    noise = symbols.noise.items
    noise = noise[noise[:, 2] > 0][:, 1] if len(noise) else noise
    part = Part(
        segment, scheme, differential, first, soft, taken, (begins[0], until), symbols.locked / max(1, symbols.count),
        float(np.median(noise)) if len(noise) else 10 ** (-segment.snr_db / 10),
        segment.carrier + (0.0 if sharp else float(status.latest.get("frequency", 0.0))), sample_rate,
    )  # fmt: skip
    part.begin, part.end = part.sample_of(begins[0]), part.sample_of(until)
    return part


def _boundary(one: Part, other: Part) -> float:
    """The sample at which the first part's likelihood ends and the second's begins."""
    low = max(one.segment.last * WINDOW, one.origin, other.origin)
    high = min((other.segment.first + 1) * WINDOW, one.sample_of(len(one.symbols)), other.sample_of(len(other.symbols)))
    if high <= low:
        return (low + high) / 2
    step = min(one.samples_per_symbol, other.samples_per_symbol)
    grid = np.arange(low, high, step)

    def until(part: Part) -> NDArray[np.float64]:
        """The sum of the advantage of what lies before each place of the grid."""
        first, last = part.symbol_at(low), part.symbol_at(high)
        sums = np.concatenate([[0.0], np.cumsum(part.advantage(first, last))])
        index = np.clip([part.symbol_at(place) - first for place in grid], 0, len(sums) - 1)
        return np.asarray(sums[index])

    before, behind = until(one), until(other)
    return float(grid[int(np.argmax(before + (behind[-1] - behind)))])
