# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between a transmitter and a frame, for a batch at once: each frame has its own values [B, 1].

The modules of :mod:`gr_softmod.modem.channel` do the same to one link with gradients; these are written for speed.
Signals are complex64 [B, L]; time runs in samples and frequency in cycles per sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Samples over which a frame is faded in and out before it is filtered, since the transform is circular.
FADE = 32
_BLOCK = 32


def filtered(signal: Tensor, response: Tensor) -> Tensor:
    """Circular filtering by ``response`` [B, L] in the order of the FFT; the first and last :data:`FADE` samples fade.

    L is a multiple of 32 that the FFT likes; what the fading touches and what wraps around is for the caller to cut.
    """
    ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(FADE, device=signal.device) + 0.5) / FADE)
    signal = signal.clone()
    signal[:, :FADE] *= ramp
    signal[:, -FADE:] *= ramp.flip(0)
    return torch.fft.ifft(torch.fft.fft(signal) * response)


def path_response(delay: Tensor, gain: Tensor, length: int) -> Tensor:
    """``H(f) = sum_p gain_p exp(-j 2 pi f delay_p)`` [B, length] in the order of the FFT; exact for any real delay.

    Args:
        delay: float32 [B, P] samples.
        gain: complex64 [B, P].
        length: a multiple of 64.
    """
    # exp(-j 2 pi (f1 + f2) d) is a product of two entries of much smaller tables.
    coarse = torch.fft.fftfreq(length // _BLOCK, 1 / (length // _BLOCK), device=delay.device) * (_BLOCK / length)
    fine = torch.arange(_BLOCK, device=delay.device) / length
    total = torch.zeros(len(delay), len(coarse), _BLOCK, dtype=torch.complex64, device=delay.device)
    for d, g in zip(delay.T[:, :, None], gain.T[:, :, None], strict=True):
        total.addcmul_((g * turn(-coarse * d))[:, :, None], turn(-fine * d)[:, None])
    return total.flatten(1)


def band_response(low: Tensor, high: Tensor, edge: Tensor, length: int) -> Tensor:
    """float32 [B, length] of a band-pass from ``low`` to ``high`` (-6 dB) with raised-cosine edges ``edge`` wide."""
    frequency = torch.fft.fftfreq(length, device=low.device)

    def rise(distance: Tensor) -> Tensor:
        return 0.5 + 0.5 * torch.sin(math.pi * (distance / edge).clamp(-0.5, 0.5))

    return rise(frequency - low) * rise(high - frequency)


def turn(cycles: Tensor) -> Tensor:
    """``exp(j 2 pi cycles)``, complex64."""
    phase = (2 * math.pi) * cycles
    return torch.complex(phase.cos(), phase.sin())


def shifted(signal: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
    """Turned by ``frequency n + phase`` cycles."""
    return signal * turn(frequency * torch.arange(signal.shape[1], device=signal.device) + phase)


def power(signal: Tensor) -> Tensor:
    """Mean of |x|^2 [B, 1]."""
    return torch.view_as_real(signal).square().mean((1, 2))[:, None] * 2


def unit_power(signal: Tensor) -> Tensor:
    """Scaled so that each frame has a mean power of 1; a frame of zeros stays so."""
    return signal * power(signal).clamp(min=1e-30).rsqrt()


def iq_imbalance(signal: Tensor, gain_db: Tensor, phase: Tensor) -> Tensor:
    """I is ``gain_db`` stronger than Q, and Q is ``phase`` radians from where it should be.

    ``y = g Re(x) + j (Im(x) cos(phase) + Re(x) sin(phase)) / g`` with ``g = 10^(gain_db / 40)``.
    """
    gain = 10 ** (gain_db / 40)
    return torch.complex(signal.real * gain, (signal.imag * phase.cos() + signal.real * phase.sin()) / gain)


def quantised(signal: Tensor, bits: int) -> Tensor:
    """Rounded to the middles of 2^bits steps over -1 .. 1 and clipped, as an unsigned ADC does."""
    steps = 2.0 ** (bits - 1)
    parts = torch.view_as_real(signal)
    return torch.view_as_complex(((parts * steps).floor().clamp_(-steps, steps - 1) + 0.5) / steps)


def burst_window(start: Tensor, stop: Tensor, ramp: Tensor, length: int) -> Tensor:
    """float32 [B, length]: 1 from ``start`` to ``stop``, with straight ramps of ``ramp`` samples outside of them."""
    time = torch.arange(length, device=start.device)
    return ((time - start) / ramp + 1).clamp(0, 1) * ((stop - time) / ramp + 1).clamp(0, 1)
