# SPDX-License-Identifier: GPL-3.0-or-later
"""Clean signals of every class, each frame with a rate, a pulse and a timing of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gr_softmod.classifier.data import pulses
from gr_softmod.classifier.data.audio import AUDIO_RATE, LARGEST_BANDWIDTH, audio, tones
from gr_softmod.classifier.data.draw import Draw, Range
from gr_softmod.classifier.data.pulses import LEAD, Instants, rolloff_row
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import CLASS_NAMES

#: The class of frames without a signal.
NOISE = "noise"
#: Every class that can be made.
KNOWN_CLASSES = (*CLASS_NAMES, NOISE)

_LINEAR = {
    name: Constellation.from_name(name.lower())
    for name in CLASS_NAMES
    if name not in ("FM", "GMSK") and not name.startswith("AM-")
}
_LARGEST_ORDER = max(c.order for c in _LINEAR.values())


@dataclass(frozen=True)
class Transmitters:
    """What is random about the transmitted signals; ranges are uniform unless said otherwise.

    Attributes:
        samples_per_symbol: log-uniform.
        clock_sigma: standard deviation of the relative error of the sample clock.
        rolloff: of root-raised-cosine and raised-cosine pulses.
        pulses: probabilities of root-raised-cosine, raised-cosine and rectangular pulses.
        bt: bandwidth times symbol time of GMSK, equally likely; of :data:`pulses.GAUSSIAN_BT`.
        sample_rate: of analogue signals, in hertz, log-uniform.
        audio_bandwidth: in hertz, log-uniform; at most ``audio_share`` of the sample rate.
        deviation: peak deviation of FM in hertz, log-uniform; its Carson bandwidth is kept under 0.8 sample rates.
        depth: of AM with carrier.
        tones: share of analogue frames that carry test tones; the rest is speech and music.
    """

    samples_per_symbol: Range
    clock_sigma: float
    rolloff: Range
    pulses: tuple[float, float, float]
    bt: tuple[float, ...]
    sample_rate: Range
    audio_bandwidth: Range
    deviation: Range
    depth: Range = (0.3, 1.0)
    tones: float = 0.0
    audio_share: float = 0.2


class Signals(NamedTuple):
    """Clean signals.

    Attributes:
        samples: complex64 [B, L]; rows of class "noise" are 0.
        bandwidth: [B, 1] in cycles per sample: the symbol rate, or what the analogue signal occupies (2 W, W, or
            Carson's 2 (deviation + W)).
        occupied: [B, 1] in cycles per sample, from end to end, with roll-off.
        clock_error: [B, 1] relative.
    """

    samples: Tensor
    bandwidth: Tensor
    occupied: Tensor
    clock_error: Tensor


def make_signals(names: tuple[str, ...], labels: Tensor, length: int, how: Transmitters, draw: Draw) -> Signals:
    """Signals of ``length`` samples of the classes ``names[labels]``."""
    device = labels.device
    signals = Signals(
        torch.zeros(len(labels), length, dtype=torch.complex64, device=device),
        torch.ones(len(labels), 1, device=device),
        torch.ones(len(labels), 1, device=device),
        how.clock_sigma * draw.normal(),
    )
    makers = [(_linear, tuple(_LINEAR)), (_gmsk, ("GMSK",)), (_analogue, tuple(n for n in CLASS_NAMES if n[0] in "AF"))]
    for make, of in makers:
        member = torch.tensor([name in of for name in names], device=device)[labels]
        rows = member.nonzero()[:, 0]
        if len(rows):
            numbers = torch.tensor([CLASS_NAMES.index(n) if n in CLASS_NAMES else -1 for n in names], device=device)
            parts = make(numbers[labels[rows]], length, 1 + signals.clock_error[rows], how, draw.of(len(rows)))
            for whole, part in zip(signals, parts, strict=False):
                whole[rows] = part
    return signals


def _symbol_times(length: int, clock: Tensor, how: Transmitters, draw: Draw) -> tuple[Tensor, Tensor, int]:
    """Times [B, L] in symbols, the symbol rate [B, 1], and how many symbols each frame needs."""
    low, high = how.samples_per_symbol
    rate = 1 / draw.log_uniform(low, high)
    start = draw.uniform(LEAD + 1, LEAD + 3)  # two symbols: U(0, 16) samples at 8 samples a symbol
    time = start + rate * clock * torch.arange(length, device=draw.device)
    symbols = math.ceil(length / low * (1 + 8 * how.clock_sigma)) + 2 * LEAD + 4
    return time, rate, symbols


def _linear(
    numbers: Tensor, length: int, clock: Tensor, how: Transmitters, draw: Draw
) -> tuple[Tensor, Tensor, Tensor]:
    time, rate, count = _symbol_times(length, clock, how, draw)
    table, masks = _points(draw.device)
    labels = (draw.integers(_LARGEST_ORDER, count) & masks[numbers][:, None]) + numbers[:, None] * _LARGEST_ORDER
    symbols = table[labels]
    rolloff = draw.uniform(*how.rolloff)
    row, width = rolloff_row(pulses.RRC, rolloff), 1 + rolloff
    kind = draw.uniform()
    row = torch.where(kind < how.pulses[0], row, row + (pulses.RC - pulses.RRC))
    rectangle = kind >= how.pulses[0] + how.pulses[1]
    row, width = torch.where(rectangle, pulses.RECT, row)[:, 0], torch.where(rectangle, 2.0, width)
    samples = Instants(time, row, count).sum(symbols)
    late = (numbers == CLASS_NAMES.index("OQPSK")).nonzero()[:, 0]
    if len(late):  # their Q is half a symbol late
        quadrature = Instants(time[late] - 0.5, row[late], count).sum(symbols[late].imag.contiguous())
        samples[late] = torch.complex(samples[late].real, quadrature)
    return samples, rate, rate * width


def _gmsk(numbers: Tensor, length: int, clock: Tensor, how: Transmitters, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    time, rate, count = _symbol_times(length, clock, how, draw)
    bits = draw.integers(2, count).float() * 2 - 1
    of = torch.tensor([pulses.GAUSSIAN_BT.index(bt) for bt in how.bt], device=draw.device)
    row = pulses.GAUSSIAN + of[draw.integers(len(how.bt))[:, 0]]
    phase = 0.5 * math.pi * Instants(time, row, count).sum_steps(bits)
    return torch.complex(phase.cos(), phase.sin()), rate, rate


def _analogue(
    numbers: Tensor, length: int, clock: Tensor, how: Transmitters, draw: Draw
) -> tuple[Tensor, Tensor, Tensor]:
    sample_rate = draw.log_uniform(*how.sample_rate)
    width = torch.minimum(draw.log_uniform(*how.audio_bandwidth), how.audio_share * sample_rate)
    step = AUDIO_RATE / sample_rate * clock
    start = draw.uniform(LEAD, LEAD + 1)
    time = start + step * torch.arange(length, device=draw.device)
    count = math.ceil(length * AUDIO_RATE / how.sample_rate[0] * (1 + 8 * how.clock_sigma)) + 2 * LEAD + 2
    sound = audio(count, width.clamp(max=LARGEST_BANDWIDTH), draw)
    if how.tones:
        steady = tones(count, width.clamp(max=LARGEST_BANDWIDTH), draw)
        sound = torch.where(draw.chance(how.tones), steady, sound)
    row = torch.full((len(numbers),), pulses.INTERPOLATE, device=draw.device)
    sound = Instants(time, row, count).sum(sound)
    depth = draw.uniform(*how.depth)
    side = torch.where(draw.chance(0.5), 1.0, -1.0)  # upper or lower side band
    deviation = torch.minimum(draw.log_uniform(*how.deviation), 0.4 * sample_rate - width)
    phase = (2 * math.pi * deviation / sample_rate) * sound.real.cumsum(1)
    zero = torch.zeros_like(phase)

    def is_class(name: str) -> Tensor:
        return (numbers == CLASS_NAMES.index(name))[:, None]

    single = is_class("AM-SSB-WC") | is_class("AM-SSB-SC")
    carrier = is_class("AM-SSB-WC") | is_class("AM-DSB-WC")
    modulated = torch.complex(sound.real, torch.where(single, side * sound.imag, zero))
    modulated = torch.where(carrier, 1 + depth * modulated, modulated)
    frequency = is_class("FM")
    samples = torch.where(frequency, torch.complex(phase.cos(), phase.sin()), modulated)
    width = torch.where(single, width, 2 * width + torch.where(frequency, 2 * deviation, 0.0))
    # Seen from the carrier, a single side band reaches out as far as two.
    occupied = torch.where(single, 2 * width, width)
    return samples, width / sample_rate, occupied / sample_rate


_POINTS: dict[torch.device, tuple[Tensor, Tensor]] = {}


def _points(device: torch.device) -> tuple[Tensor, Tensor]:
    """Points complex64 [classes * LARGEST_ORDER] by class and label, and what a label may have [classes]."""
    if device not in _POINTS:
        table = torch.zeros(len(CLASS_NAMES), _LARGEST_ORDER, dtype=torch.complex64)
        masks = torch.zeros(len(CLASS_NAMES), dtype=torch.int64)
        for name, constellation in _LINEAR.items():
            at = CLASS_NAMES.index(name)
            table[at, : constellation.order] = torch.tensor(constellation.points, dtype=torch.complex64)
            masks[at] = constellation.order - 1
        _POINTS[device] = table.flatten().to(device), masks.to(device)
    return _POINTS[device]
