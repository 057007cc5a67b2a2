# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording of bursts of which a receiver knows nothing, and what the adaptive receiver made of each.

Symbols and pulses are made in numpy at any rate; GNU Radio's ``channels.channel_model`` adds the carrier and noise.
"""

from __future__ import annotations

import cmath
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, channels, gr
from numpy.typing import NDArray

from gnuradio import softmod  # isort: skip
from gr_softmod import theory
from gr_softmod.constellation import Constellation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "receiver"))
from link import ebn0_grid, ebn0_of, waveform

#: Only ratios matter to the receiver.
SAMPLE_RATE = 1e6
#: Samples of the pulse before the first symbol of a burst.
_LEAD_SYMBOLS = 12


@dataclass(frozen=True)
class Burst:
    """What was sent, and where."""

    name: str
    samples_per_symbol: float
    esn0_db: float
    symbols: NDArray[np.complex128]
    first: float  # sample of the first symbol
    carrier: float  # cycles a sample


@dataclass
class Recording:
    samples: NDArray[np.complex64]
    bursts: list[Burst]


@dataclass
class Outcome:
    """What a burst became; counts are None where it was not received."""

    name: str
    samples_per_symbol: float
    esn0_db: float
    recognised: bool = False
    locked_after: int | None = None  # symbols from its first one to the first with lock
    known_after: int | None = None  # symbols from its first one to the moment that was known
    bits: int = 0
    errors: int = 0
    error_db: float | None = None  # of the symbols, mean square; with a perfect receiver -esn0_db
    ebn0_loss_db: float | None = None
    constellation: str = ""
    counted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))  # bit errors by symbol


def recording(
    names: Sequence[str],
    count: int,
    samples_per_symbol: Sequence[float],
    esn0_db: Sequence[float],
    gap: int,
    seed: int,
    roll_off: float = 0.35,
) -> Recording:
    """Bursts of ``count`` symbols, ``gap`` samples apart, each with a carrier within a tenth of its symbol rate."""
    rng = np.random.default_rng(seed)
    pieces: list[NDArray[np.complex64]] = [_through_channel(np.zeros(gap), 0.0, 0.1, seed)]
    bursts: list[Burst] = []
    at = len(pieces[0])
    for k, (name, sps, esn0) in enumerate(zip(names, samples_per_symbol, esn0_db, strict=True)):
        made = Constellation.from_name(name)
        sent = made.points[rng.integers(made.order, size=count)]
        padded = np.concatenate((np.zeros(_LEAD_SYMBOLS), sent, np.zeros(_LEAD_SYMBOLS)))
        delay = rng.uniform(0, 1)
        clean = waveform(padded, sps, roll_off, delay) * cmath.rect(1, rng.uniform(0, 2 * np.pi))
        clean = np.concatenate((clean, np.zeros(gap))) / np.sqrt(sps)
        carrier = rng.uniform(-0.1, 0.1) / sps
        noise_var = 10 ** (-esn0 / 10)
        pieces.append(_through_channel(clean, carrier, np.sqrt(noise_var), 1000 * seed + k + 1))
        bursts.append(Burst(name, sps, esn0, sent, at + delay + _LEAD_SYMBOLS * sps, carrier))
        at += len(pieces[-1])
    return Recording(np.concatenate(pieces), bursts)


def _through_channel(clean: NDArray, carrier: float, noise_voltage: float, seed: int) -> NDArray[np.complex64]:
    tb, sink = gr.top_block(), blocks.vector_sink_c()
    channel = channels.channel_model(noise_voltage, carrier, 1.0, [1.0 + 0.0j], seed, False)
    tb.connect(blocks.vector_source_c(clean.astype(np.complex64).tolist()), channel, sink)
    tb.run()
    return np.array(sink.data(), np.complex64)


@dataclass
class Received:
    llr: NDArray[np.float32]
    symbols: NDArray[np.complex64]
    tags: list[tuple[int, str, Any]]  # of the symbols
    messages: dict[str, list[Any]]

    def bits_per_symbol(self) -> NDArray[np.int64]:
        """Of each symbol."""
        bits = np.full(len(self.symbols), self.first_bits)
        for offset, key, value in self.tags:
            if key == "constellation":
                bits[offset:] = int(np.log2(len(value)))
        return bits

    first_bits: int = 1


def receive(samples: NDArray[np.complex64], **options: Any) -> Received:
    """Run samples through an adaptive receiver."""
    block = softmod.adaptive_receiver(SAMPLE_RATE, **options)
    tb, llr, symbols = gr.top_block(), blocks.vector_sink_f(), blocks.vector_sink_c()
    tb.connect(blocks.vector_source_c(samples.tolist()), block)
    tb.connect((block, 0), llr)
    tb.connect((block, 1), symbols)
    heard = {port: blocks.message_debug() for port in ("state", "status", "classification", "estimate")}
    for port, sink in heard.items():
        tb.msg_connect((block, port), (sink, "store"))
    tb.run()
    tags = sorted(
        ((tag.offset, pmt.symbol_to_string(tag.key), pmt.to_python(tag.value)) for tag in symbols.tags()),
        key=lambda tag: tag[0],
    )
    messages = {
        port: [pmt.to_python(sink.get_message(k)) for k in range(sink.num_messages())] for port, sink in heard.items()
    }
    first = Constellation.from_name(options.get("constellations", ("bpsk",))[0]).bits_per_symbol
    return Received(
        np.array(llr.data(), np.float32), np.array(symbols.data(), np.complex64), tags, messages, first_bits=first
    )


def outcomes(sent: Recording, received: Received, settling: int = 2048) -> list[Outcome]:
    """What became of each burst; bit errors are counted ``settling`` symbols after the lock."""
    bits = received.bits_per_symbol()
    llr_at = np.concatenate(([0], np.cumsum(bits)))
    found = []
    locks = _locks(received)
    for burst in sent.bursts:
        outcome = Outcome(burst.name, burst.samples_per_symbol, burst.esn0_db)
        found.append(outcome)
        end = burst.first + len(burst.symbols) * burst.samples_per_symbol
        mine = [
            lock for lock in locks if lock.sample_until > burst.first + 0.3 * (end - burst.first) and lock.sample < end
        ]
        mine = [lock for lock in mine if lock.name == burst.name]
        if not mine:
            continue
        lock = max(mine, key=lambda each: each.until - each.first)
        outcome.recognised, outcome.constellation = True, lock.name
        symbols = received.symbols[lock.first : lock.until]
        lag = _lag(symbols, burst)
        if lag is None:
            continue
        outcome.locked_after = max(0, -lag)
        outcome.known_after = round((lock.decided_at - burst.first) / burst.samples_per_symbol)
        first = max(settling, lag)  # of the lock's symbols
        count = min(len(symbols) - first, len(burst.symbols) - (first - lag)) - 32
        if count <= 0:
            continue
        there = burst.symbols[first - lag : first - lag + count]
        made = Constellation.from_name(burst.name)
        symmetry = _symmetry(made)
        turns = [there * cmath.rect(1, 2 * np.pi * k / symmetry) for k in range(symmetry)]
        errors = [float(np.mean(np.abs(symbols[first : first + count] - turned) ** 2)) for turned in turns]
        turned = turns[int(np.argmin(errors))]
        outcome.error_db = 10 * np.log10(min(errors))
        m = made.bits_per_symbol
        start = llr_at[lock.first + first]
        llr = received.llr[start : start + count * m].reshape(-1, m)
        wrong = (llr > 0) != made.bits[made.nearest(turned)]
        outcome.bits, outcome.errors = wrong.size, int(wrong.sum())
        outcome.counted = wrong
        curve = theory_ber(burst.name)
        if outcome.errors:
            ebn0_db = burst.esn0_db - 10 * np.log10(m)
            outcome.ebn0_loss_db = ebn0_db - ebn0_of(outcome.errors / outcome.bits, curve)
    return found


@cache
def theory_ber(name: str) -> NDArray[np.float64]:
    """Of ideal detection, over ``ebn0_grid()``."""
    return theory.ber(Constellation.from_name(name), ebn0_grid())


@dataclass
class Lock:
    name: str
    first: int  # symbol
    until: int
    sample: int
    sample_until: int
    decided_at: int


def _locks(received: Received) -> list[Lock]:
    """Stretches with lock, by the status messages."""
    changes = [m for m in received.messages["status"] if m.get("reason") in ("locked", "lock lost", "signal")]
    found = []
    for k, message in enumerate(changes):
        if message["reason"] != "locked":
            continue
        later = changes[k + 1] if k + 1 < len(changes) else None
        until = later["symbol"] if later else len(received.symbols)
        sample_until = later["sample_index"] if later else 1 << 60
        found.append(
            Lock(
                message["constellation"],
                message["symbol"],
                until,
                message["sample_index"],
                sample_until,
                message["decided_at"],
            )
        )
    return found


def _lag(symbols: NDArray, burst: Burst) -> int | None:
    """At which of these symbols the burst's first one is; None: nowhere."""
    probe_at = len(symbols) // 2
    probe = symbols[probe_at : probe_at + 512]
    size = 1 << int(np.ceil(np.log2(len(burst.symbols) + len(probe))))
    correlation = np.abs(np.fft.ifft(np.fft.fft(burst.symbols, size) * np.conj(np.fft.fft(probe, size))))
    peak = int(np.argmax(correlation))
    if correlation[peak] < 0.5 * len(probe):
        return None
    return probe_at - peak if peak < size // 2 + len(probe) else probe_at - (peak - size)


def _symmetry(made: Constellation) -> int:
    for turns in (64, 32, 16, 8, 4, 2):
        turned = made.points * cmath.rect(1, 2 * np.pi / turns)
        if all(np.abs(made.points - point).min() < 1e-3 for point in turned):
            return turns
    return 1
