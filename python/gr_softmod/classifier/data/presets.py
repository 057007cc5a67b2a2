# SPDX-License-Identifier: GPL-3.0-or-later
"""The two worlds that synthetic frames come from: what is transmitted, and what happens on the way.

A preset's ``receive`` takes clean signals of frame_length + LEAD_IN + LEAD_OUT samples and gives frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from gr_softmod.classifier.data import impairments as on
from gr_softmod.classifier.data.draw import Draw, Range
from gr_softmod.classifier.data.waveforms import NOISE, Signals, Transmitters
from gr_softmod.conventions import CLASS_NAMES

#: Samples made before and after a frame: echoes reach back into the former, filters settle in both.
LEAD_IN, LEAD_OUT = 160, 96


Receive: TypeAlias = Callable[[Signals, Tensor, Tensor, tuple[float, ...], int, Draw], Tensor]


@dataclass(frozen=True)
class Preset:
    """One world.

    Attributes:
        code: what seeds know it by.
        class_names: the classes it has.
        snr_db: start, stop and step of its grid.
        transmitters: what is sent.
        delay_spread: of echoes in symbols, each equally likely; empty where the preset has ranges of its own.
        receive: (signals, is_noise [B, 1], snr_db [B, 1], delay_spread, frame_length, draw) to frames complex64 [B, N].
    """

    code: int
    class_names: tuple[str, ...]
    snr_db: tuple[float, float, float]
    transmitters: Transmitters
    delay_spread: tuple[float, ...]
    receive: Receive


# --- radioml2018: O'Shea, Roy, Clancy, "Over-the-air deep learning based radio signal classification", 2018, Table I --

#: What the paper leaves open: how many paths there are.
PATHS = 4
_SAMPLES_PER_SYMBOL = 8
_CLOCK_SIGMA = 1e-4


def _receive_radioml2018(
    signals: Signals, is_noise: Tensor, snr_db: Tensor, delay_spread: tuple[float, ...], length: int, draw: Draw
) -> Tensor:
    spread = draw.choice(delay_spread) * _SAMPLES_PER_SYMBOL
    # Rayleigh-distributed delays and gains; the first path to arrive is the frame's time, none is later than LEAD_IN.
    delay = spread * (-2 * torch.log1p(-draw.uniform(columns=PATHS))).sqrt()
    delay = (delay - delay.amin(1, keepdim=True)).clamp(max=LEAD_IN - on.FADE)
    response = on.path_response(delay, draw.complex_normal(PATHS), signals.samples.shape[1])
    signal = on.filtered(signals.samples, response)[:, LEAD_IN : LEAD_IN + length]
    # The carrier comes from the clock that makes the samples: its offset, in cycles per sample, is the clock's.
    signal = on.unit_power(on.shifted(signal, signals.clock_error, draw.uniform()))
    noise_var = 10 ** (-snr_db / 10)
    noise = draw.complex_normal(length) * noise_var.sqrt()
    return on.unit_power(torch.where(is_noise, noise, signal + noise))


RADIOML2018 = Preset(
    code=1,
    class_names=CLASS_NAMES,
    snr_db=(-20, 30, 2),
    transmitters=Transmitters(
        samples_per_symbol=(_SAMPLES_PER_SYMBOL, _SAMPLES_PER_SYMBOL),
        clock_sigma=_CLOCK_SIGMA,
        rolloff=(0.1, 0.4),
        pulses=(1.0, 0.0, 0.0),
        bt=(0.3,),
        sample_rate=(100e3, 200e3),
        audio_bandwidth=(3e3, 10e3),
        deviation=(3e3, 25e3),
    ),
    delay_spread=(0.0, 0.5, 1.0, 2.0, 4.0),
    receive=_receive_radioml2018,
)


# --- field: what cheap receivers give ---------------------------------------------------------------------------------


def _receive_field(
    signals: Signals, is_noise: Tensor, snr_db: Tensor, delay_spread: tuple[float, ...], length: int, draw: Draw
) -> Tensor:
    total = signals.samples.shape[1]
    ours = on.unit_power(signals.samples)
    # Half the frames have echoes: a direct path and three weaker ones, most within half a symbol.
    delay = (-0.25 * torch.log1p(-draw.uniform(columns=4)) / signals.bandwidth).clamp(max=(LEAD_IN - on.FADE) / 2)
    strength = torch.where(draw.chance(0.5), draw.uniform(0.05, 0.4), 0.0)
    echoes = strength * draw.complex_normal(4)
    delay[:, 0], echoes[:, 0] = 0, 1
    ours = on.filtered(ours, on.path_response(delay, echoes, total))
    ours = ours * on.power(ours[:, LEAD_IN : LEAD_IN + length]).clamp(min=1e-30).rsqrt()
    signal = torch.where(is_noise, 0, _bursts(ours, length, draw) + _neighbour(ours, signals.occupied, draw))
    walk = draw.normal(total).cumsum(1) * (draw.log_uniform(1e-8, 3e-6) / (2 * math.pi)).sqrt()
    time = torch.arange(total, device=draw.device)
    carrier = _carrier(draw)
    signal = signal * on.turn(carrier * time + draw.uniform() + walk)
    # SNR is of the noise in the signal's own bandwidth: Es/N0 for digital classes.
    noise_var = 10 ** (-snr_db / 10) / signals.bandwidth.clamp(max=1)
    signal = signal + draw.complex_normal(total) * noise_var.sqrt()
    width = torch.where(is_noise, draw.log_uniform(0.05, 1.0), signals.occupied)
    middle = torch.where(is_noise & draw.chance(0.5), 0.5 * (1 - width) * draw.uniform(-1, 1), carrier)
    signal = on.filtered(signal, _receiver_band(middle, width, is_noise, total, draw))[:, LEAD_IN : LEAD_IN + length]
    signal = on.unit_power(signal)
    signal = on.iq_imbalance(signal, draw.uniform(-1, 1), math.radians(4) * draw.uniform(-1, 1))
    signal = signal + 10 ** (draw.uniform(-50, -15) / 20) * on.turn(draw.uniform())
    # The gain control leaves room for peaks; in one frame of twenty it has not settled and the converter clips.
    level_db = torch.where(draw.chance(0.05), draw.uniform(-8, 3), draw.uniform(-30, -10))
    signal = signal * 10 ** (level_db / 20)
    return torch.where(draw.chance(0.7), on.quantised(signal, 8), signal)


def _carrier(draw: Draw) -> Tensor:
    """Its offset: up to 5 % of the rate; in three frames of ten hardly any, as behind a receiver that is locked."""
    side = torch.where(draw.chance(0.5), 1.0, -1.0)
    return torch.where(draw.chance(0.3), side * draw.log_uniform(1e-6, 1e-2), draw.uniform(-0.05, 0.05))


def _bursts(signal: Tensor, length: int, draw: Draw) -> Tensor:
    """One frame of four holds the beginning, the end or all of a burst that fills at least 0.3 of it."""
    share, place = draw.uniform(0.3, 1.0), draw.uniform(-0.5, 1.5)
    start = LEAD_IN + length * place.clamp(0, 1) * (1 - share)
    stop = start + length * share
    total = signal.shape[1]
    start = torch.where(place < 0, -total, start)
    stop = torch.where(place > 1, 2 * total, stop)
    window = on.burst_window(start, stop, draw.log_uniform(1, 32), total)
    return signal * torch.where(draw.chance(0.25), window, 1.0)


def _neighbour(signal: Tensor, occupied: Tensor, draw: Draw) -> Tensor:
    """One frame of four has another signal beside its own, 20 dB under it to 10 dB over it, where there is room."""
    other, width = signal.roll(1, 0), occupied.roll(1, 0)
    gap = 0.5 * (occupied + width) + draw.uniform(0.01, 0.15)
    heard = draw.chance(0.25) & (gap + 0.5 * width < 0.55)
    gain = torch.where(heard, 10 ** (draw.uniform(-20, 10) / 20), 0.0)
    side = torch.where(draw.chance(0.5), 1.0, -1.0)
    return gain * on.shifted(other, side * gap, draw.uniform())


def _receiver_band(middle: Tensor, width: Tensor, is_noise: Tensor, total: int, draw: Draw) -> Tensor:
    """Three frames of five come through a filter, be it the tuner's, a channel filter or an audio chain.

    Each edge lies by itself, on a logarithmic scale between a little inside the signal's and the end of the sampled
    band; what passes is flat or sloped. A channel without a signal is as narrow as it would be for one, anywhere.
    """
    reach = torch.where(is_noise, 0.2, 1.0)
    inside = 0.45 * width
    below, above = (inside * (0.55 / inside) ** (reach * draw.uniform()) for _ in range(2))
    edge = torch.minimum(draw.log_uniform(0.01, 0.15), inside)
    response = on.band_response(middle - below, middle + above, edge, total)
    slope_db = torch.where(draw.chance(0.5), 8 * draw.normal(), 0.0)
    response = response * 10 ** (slope_db * torch.fft.fftfreq(total, device=draw.device) / 20)
    return torch.where(draw.chance(0.6), response, 1.0)


FIELD = Preset(
    code=2,
    class_names=(*CLASS_NAMES, NOISE),
    snr_db=(-4, 30, 2),
    transmitters=Transmitters(
        samples_per_symbol=(2, 32),
        clock_sigma=2e-5,
        rolloff=(0.15, 0.5),
        pulses=(0.75, 0.1, 0.15),
        bt=(0.25, 0.3, 0.35, 0.5),
        sample_rate=(20e3, 250e3),
        audio_bandwidth=(2.5e3, 12e3),
        deviation=(2e3, 75e3),
        tones=0.25,
    ),
    delay_spread=(),
    receive=_receive_field,
)

PRESETS = {"radioml2018": RADIOML2018, "field": FIELD}


def snr_grid(start: float, stop: float, step: float) -> Range | tuple[float, ...]:
    """Both ends included.

    Raises:
        ValueError: the grid has no point.
    """
    if not (all(map(math.isfinite, (start, stop, step))) and step > 0 and stop >= start):
        raise ValueError(f"snr_db is {(start, stop, step)}; it must be start, stop >= start and step > 0, finite")
    return tuple(start + i * step for i in range(int((stop - start) / step + 1e-6) + 1))
