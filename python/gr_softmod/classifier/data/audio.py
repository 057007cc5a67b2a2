# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech, music and tones made by formula: what analogue transmitters send.

Speech is a source and a filter: glottal pulses (or the noise of a consonant) behind the resonances of a mouth, in
segments that are voiced, unvoiced or pauses. Music is chords of decaying harmonic notes with vibrato.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gr_softmod.classifier.data.draw import Draw
from gr_softmod.classifier.data.impairments import turn

#: Hertz; everything lies well under half of it, so that it can be read between samples.
AUDIO_RATE = 32000.0
#: Largest bandwidth that may be asked for, in hertz.
LARGEST_BANDWIDTH = 12000.0

#: Samples made and not used on either side: filters settle there.
_MARGIN = 256
#: Level of a pause against speech (-40 dB): a room is never silent.
_ROOM = 0.01
_LOWEST_TONE = 200.0
_PHONEME_SECONDS = 0.07
_CHORDS = ((0, 4, 7, 12), (0, 3, 7, 12), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7, 12), (0, 7, 12, 19))  # semitones
_HARMONICS = 8


def audio(count: int, bandwidth: Tensor, draw: Draw) -> Tensor:
    """Analytic audio, every other frame speech and music.

    Args:
        count: samples at :data:`AUDIO_RATE`.
        bandwidth: [frames, 1] hertz, at most :data:`LARGEST_BANDWIDTH`.
        draw: one row a frame.
    Returns:
        complex64 [frames, count]: the audio and, as imaginary part, its Hilbert transform. The real part stays within
        -1 .. 1; a frame may be a pause, some 40 dB below.
    """
    total = -(-(count + 2 * _MARGIN) // 256) * 256  # a length that the FFT likes
    voices = (draw.frames + 1) // 2
    time = (torch.arange(total, device=draw.device) - _MARGIN) / AUDIO_RATE
    sound = torch.empty(draw.frames, total, device=draw.device)
    sound[0::2] = _speech(time, draw.of(voices))
    if draw.frames > 1:
        sound[1::2] = _music(time, draw.of(draw.frames - voices))
    frequency = torch.arange(total, device=draw.device) * (AUDIO_RATE / total)
    # A raised-cosine edge over the last 15 % of the band; nothing below some 80 Hz; no negative frequency.
    edge = ((frequency / bandwidth - 0.85) / 0.15).clamp(0, 1)
    shape = (1 + torch.cos(math.pi * edge)) * (frequency**2 / (frequency**2 + 80.0**2))
    shape[:, total // 2 :] = 0
    analytic = torch.fft.ifft(torch.fft.fft(sound) * shape)[:, _MARGIN : _MARGIN + count]
    return analytic / analytic.real.abs().amax(1, keepdim=True).clamp(min=1.0)


def tones(count: int, bandwidth: Tensor, draw: Draw) -> Tensor:
    """Analytic test signals: one steady tone, or two or three of them.

    Args, Returns:
        as of :func:`audio`; the largest of a frame's peaks lies between 0.3 and 1.
    """
    time = torch.arange(count, device=draw.device) / AUDIO_RATE
    cycles = _LOWEST_TONE * (0.9 * bandwidth / _LOWEST_TONE) ** draw.uniform(columns=3)
    strength = draw.uniform(0.2, 1.0, columns=3)
    strength[:, 1:] *= draw.chance(0.5)  # half of the frames have one
    strength[:, 2:] *= draw.chance(0.5)
    phase = draw.uniform(columns=3)
    sound = torch.zeros(draw.frames, count, dtype=torch.complex64, device=draw.device)
    for k in range(3):
        sound += strength[:, k : k + 1] * turn(cycles[:, k : k + 1] * time + phase[:, k : k + 1])
    return sound * (draw.uniform(0.3, 1.0) / strength.sum(1, keepdim=True))


def _speech(time: Tensor, draw: Draw) -> Tensor:
    """[frames, T]; a loud vowel has an RMS of 0.3."""
    frequency = torch.arange(len(time) // 2 + 1, device=draw.device) * (AUDIO_RATE / len(time))
    pitch = draw.log_uniform(80, 300)
    bend = draw.uniform(0.02, 0.15) * torch.sin(2 * math.pi * (draw.uniform(1, 5) * time + draw.uniform()))
    cycles = (pitch * (1 + bend) / AUDIO_RATE).cumsum(1) + draw.uniform()
    response = torch.ones((), device=draw.device)
    for low, high in ((250, 900), (800, 2500), (2200, 3300), (3200, 4500)):
        response = response * _resonance(frequency, draw.uniform(low, high), draw.uniform(60, 200))
    voiced = torch.fft.irfft(torch.fft.rfft(_glottal_flow_slope(cycles % 1.0)) * response, len(time))
    hiss = _resonance(frequency, draw.uniform(2500, 7000), draw.uniform(800, 2500))
    unvoiced = torch.fft.irfft(torch.fft.rfft(draw.normal(len(time))) * hiss, len(time))
    # Three segments, of which the first began before the frame; each is a vowel, a consonant or a pause.
    lengths = -_PHONEME_SECONDS * torch.log1p(-draw.uniform(columns=3))
    first = lengths[:, :1] * draw.uniform()
    kind, loudness = draw.uniform(columns=3), draw.uniform(0.4, 1.0, columns=3)
    vowel = torch.where(kind < 0.65, loudness, 0.0)
    consonant = torch.where((kind >= 0.65) & (kind < 0.85), 0.5 * loudness, 0.0)
    starts = torch.stack((first, first + lengths[:, 1:2]))
    later = torch.sigmoid((time - starts) / 0.002)  # [2, frames, T]: segments fade over some milliseconds

    def level(of: Tensor) -> Tensor:
        return of[:, :1] + (of[:, 1:2] - of[:, :1]) * later[0] + (of[:, 2:] - of[:, 1:2]) * later[1]

    room = _ROOM * draw.normal(len(time))
    return 0.3 * (level(vowel) * _unit(voiced) + level(consonant) * _unit(unvoiced) + room)


def _glottal_flow_slope(phase: Tensor) -> Tensor:
    """Slope of the flow through the glottis at ``phase`` of its period: opens for 0.4 of it, closes within 0.16.

    Source: Rosenberg, "Effect of glottal pulse shape on the quality of natural vowels", 1971, pulse C.
    """
    opening, closing = 0.4, 0.16
    rise = (0.5 / opening) * torch.sin(math.pi / opening * phase)
    fall = (-0.5 / closing) * torch.sin(0.5 * math.pi / closing * (phase - opening))
    return torch.where(phase < opening, rise, torch.where(phase < opening + closing, fall, 0.0))


def _resonance(frequency: Tensor, centre: Tensor, width: Tensor) -> Tensor:
    """complex64 [frames, F] of a second-order resonance."""
    ratio = frequency / centre
    return 1 / torch.complex(1 - ratio**2, ratio * width / centre)


def _music(time: Tensor, draw: Draw) -> Tensor:
    """[frames, T]: a chord of four notes of :data:`_HARMONICS` harmonics."""
    chords = torch.tensor(_CHORDS, dtype=torch.float32, device=draw.device)[draw.integers(len(_CHORDS))[:, 0]]
    notes = draw.log_uniform(80, 500) * 2 ** (chords / 12)
    vibrato = draw.uniform(0, 0.01) * torch.sin(2 * math.pi * (draw.uniform(4, 7) * time + draw.uniform()))
    swing = (time + vibrato.cumsum(1) / AUDIO_RATE)[:, None]
    decay, brightness = draw.log_uniform(0.1, 1.0), draw.uniform(0.35, 0.8)
    # Notes sound since up to 0.3 s before the frame; every fourth one or so is struck within it.
    since = time - draw.uniform(-0.3, max(0.02, 1.2 * float(time[-1])), columns=4)[:, :, None]
    envelope = torch.where(since > 0, (1 - torch.exp(-since / 0.004)) * torch.exp(-since / decay[:, :, None]), 0.0)
    # Harmonics are powers of the fundamental: sum_h c_h z^h by Horner's rule, c_h of random phase.
    fundamental = turn(notes[:, :, None] * swing)
    starts = turn(draw.uniform(columns=4 * _HARMONICS)).view(-1, 4, _HARMONICS, 1)
    sound = torch.zeros_like(fundamental)
    for harmonic in reversed(range(_HARMONICS)):
        sound = (sound + starts[:, :, harmonic] * (brightness**harmonic)[:, :, None]) * fundamental
    chord = (sound.imag * envelope).sum(1)
    return 0.3 * draw.uniform(0.3, 1.0) * _unit(chord) + 0.3 * _ROOM * draw.normal(len(time))


def _unit(sound: Tensor) -> Tensor:
    return sound / sound.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
