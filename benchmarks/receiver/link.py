# SPDX-License-Identifier: GPL-3.0-or-later
"""A link of a transmitter in numpy, a channel, and ``softmod.receiver``: LLRs, and what they lose to theory.

Root raised cosine pulses are summed at the instants of the samples, so any rate and any clock error can be had.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from numpy.typing import NDArray

from gnuradio import softmod  # isort: skip
from gr_softmod import theory
from gr_softmod.constellation import Constellation

SYMBOL_RATE = 9600.0
#: Symbols left out at the start, where the loops settle.
SETTLING = 4096
#: Span of a pulse on either side, in symbols.
_SPAN = 12
_GRID_DB = np.linspace(-5, 40, 4501)


@dataclass(frozen=True)
class Channel:
    """What the transmitter and the way do to a signal."""

    samples_per_symbol: float = 4.0
    esn0_db: float = 20.0
    carrier: float = 0.02  # off the centre, in cycles a symbol
    clock: float = 50e-6  # of a symbol's duration, as a share of it
    roll_off: float = 0.35
    level: float = 0.01
    center: float = 0.0  # hertz
    seed: int = 11


@dataclass
class Received:
    llr: NDArray[np.float64]  # [symbols, bits]
    symbols: NDArray[np.complex64]
    status: list[dict[str, Any]]


def pulse(t: NDArray[np.float64], roll_off: float) -> NDArray[np.float64]:
    """Root raised cosine of unit energy at t symbols."""
    a, at = roll_off, np.where(np.abs(t) < 1e-9, 1e-9, t)
    edge = np.abs(np.abs(4 * a * at) - 1) < 1e-7
    at = np.where(edge, at * (1 + 1e-6), at)
    return (np.sin(np.pi * at * (1 - a)) + 4 * a * at * np.cos(np.pi * at * (1 + a))) / (
        np.pi * at * (1 - (4 * a * at) ** 2)
    )


def waveform(
    symbols: NDArray, samples_per_symbol: float, roll_off: float = 0.35, delay: float = 0.0
) -> NDArray[np.complex128]:
    """Samples whose energy a symbol is ``samples_per_symbol`` times that of the symbols, ``delay`` samples late."""
    t = (np.arange(int(len(symbols) * samples_per_symbol)) - delay) / samples_per_symbol
    whole = np.floor(t).astype(int)
    padded, out = np.pad(symbols, _SPAN), np.zeros(len(t), np.complex128)
    # A table 4096 times as fine as a symbol, read linearly: off by 1e-7 of the peak.
    grid = np.arange(-_SPAN * 4096, (_SPAN + 1) * 4096 + 1) / 4096
    table = pulse(grid, roll_off)
    for k in range(1 - _SPAN, _SPAN + 1):
        out += padded[whole - k + _SPAN] * np.interp(t - whole + k, grid, table)
    return out


def impaired(symbols: NDArray, channel: Channel) -> NDArray[np.complex64]:
    """What an antenna gives: pulses with a clock and a carrier that are off, noise, and a level of its own."""
    rng = np.random.default_rng(channel.seed)
    clean = waveform(symbols, channel.samples_per_symbol * (1 + channel.clock), channel.roll_off)
    noise_var = channel.samples_per_symbol * 10 ** (-channel.esn0_db / 10)
    noise = rng.normal(size=(len(clean), 2)) @ [1, 1j] * np.sqrt(0.5 * noise_var)
    cycles = (channel.carrier + channel.center / SYMBOL_RATE) / channel.samples_per_symbol * np.arange(len(clean))
    return (channel.level * (clean * np.exp(2j * np.pi * cycles + 0.3j) + noise)).astype(np.complex64)


def receive(block: Any, samples: NDArray[np.complex64]) -> Received:
    """Run samples through a receiver."""
    tb, llr, symbols, status = gr.top_block(), blocks.vector_sink_f(), blocks.vector_sink_c(), blocks.message_debug()
    tb.connect(blocks.vector_source_c(samples.tolist()), block)
    tb.connect((block, 0), llr)
    tb.connect((block, 1), symbols)
    tb.msg_connect((block, "status"), (status, "store"))
    tb.run()
    return Received(
        np.array(llr.data()).reshape(-1, block.bits_per_symbol),
        np.array(symbols.data(), np.complex64),
        [pmt.to_python(status.get_message(k)) for k in range(status.num_messages())],
    )


def aligned(received: Received, sent: NDArray, symmetry: int) -> tuple[slice, NDArray]:
    """The settled part of what was received, and the sent symbols there at the turn that fits best."""
    middle = received.symbols[SETTLING : SETTLING + 4096]
    lags = range(-40, 41)
    lag = max(lags, key=lambda n: abs(np.vdot(sent[SETTLING + n : SETTLING + n + len(middle)], middle)))
    part = slice(SETTLING, min(len(received.symbols), len(sent) - lag) - 64)
    there = sent[part.start + lag : part.stop + lag]
    turns = [there * cmath.rect(1, 2 * np.pi * k / symmetry) for k in range(symmetry)]
    return part, min(turns, key=lambda turned: float(np.mean(np.abs(received.symbols[part] - turned) ** 2)))


def ebn0_of(ber: float, curve: NDArray) -> float:
    """Eb/N0 in decibels at which a bit error rate is reached, of a curve over :func:`ebn0_grid`."""
    return float(np.interp(-np.log(max(ber, 1e-300)), -np.log(np.maximum(curve, 1e-300)), _GRID_DB))


def ebn0_grid() -> NDArray[np.float64]:
    """Decibels at which curves are tabulated."""
    return _GRID_DB


@dataclass
class Link:
    """LLRs and sent bits [symbols, bits] of the settled part, and what the receiver was in the end."""

    llr: NDArray[np.float64]
    bits: NDArray[np.uint8]
    ebn0_db: float
    curve: NDArray[np.float64]  # of theory
    received: Received
    block: Any

    @property
    def ber(self) -> float:
        return float(np.mean((self.llr > 0) != self.bits))

    @property
    def loss_db(self) -> float:
        """How much less Eb/N0 theory needs for the bit error rate of the LLRs' signs."""
        return self.ebn0_db - ebn0_of(self.ber, self.curve)


def link(name: str, count: int, at_ber: float = 1e-2, seed: int = 1, **options: Any) -> Link:
    """``count`` symbols at the Eb/N0 at which theory has a bit error rate of ``at_ber``.

    Args:
        options: fields of :class:`Channel`; all others are the receiver's.
    """
    made = Constellation.from_name(name)
    curve = theory.ber(made, _GRID_DB)
    ebn0_db = ebn0_of(at_ber, curve)
    own = {key: options.pop(key) for key in list(options) if key in Channel.__dataclass_fields__}
    channel = Channel(esn0_db=ebn0_db + 10 * np.log10(made.bits_per_symbol), seed=seed + 10, **own)
    sent = made.points[np.random.default_rng(seed).integers(made.order, size=count)]
    rate = channel.samples_per_symbol * SYMBOL_RATE
    block = softmod.receiver(name, rate, SYMBOL_RATE, channel.center, excess_bandwidth=channel.roll_off, **options)
    received = receive(block, impaired(sent, channel))
    part, there = aligned(received, sent, block.symmetry())
    return Link(received.llr[part], made.bits[made.nearest(there)], ebn0_db, curve, received, block)
