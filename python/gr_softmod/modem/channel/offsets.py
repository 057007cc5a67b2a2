# SPDX-License-Identifier: GPL-3.0-or-later
"""Deterministic imperfections of the radio: offsets of phase, frequency, time and level, and IQ imbalance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check, check_complex, hold


class PhaseOffset(nn.Module):
    """``y = x exp(j phase)``.

    Args:
        phase: radians, a number or a tensor that broadcasts to the signal.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: phase is not finite; the signal is not complex.
    """

    phase: Tensor

    def __init__(self, phase: float | Tensor) -> None:
        super().__init__()
        hold(self, "phase", phase)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        return signal * phasor(self.phase, signal)


class FrequencyOffset(nn.Module):
    """``y[n] = x[n] exp(j 2 pi frequency n)``; sample 0 keeps its phase.

    Args:
        frequency: cycles per sample (hertz over the sample rate), a number or a tensor that broadcasts to the signal.
    Shape:
        signal [..., N] complex -> [..., N] complex. The phase is computed in float64, so long signals stay exact.
    Raises:
        ValueError: frequency is not finite; the signal is not complex.
    """

    frequency: Tensor

    def __init__(self, frequency: float | Tensor) -> None:
        super().__init__()
        hold(self, "frequency", frequency)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        n = torch.arange(signal.shape[-1], dtype=torch.float64, device=signal.device)
        return signal * phasor(2 * torch.pi * self.frequency.to(torch.float64) * n, signal)


class TimingOffset(nn.Module):
    """Delay by any real number of samples: ideal band-limited interpolation of the frame, which is 0 outside.

    A phase ramp over the spectrum of the zero-padded frame. Whole delays shift exactly; samples pushed over an end are
    lost; a negative delay advances.

    Args:
        delay: samples, at most a frame's length either way; a number or a tensor of shape [..., 1], one delay a row.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: delay is not finite or longer than the frame; the signal is not complex.
    """

    delay: Tensor

    def __init__(self, delay: float | Tensor) -> None:
        super().__init__()
        hold(self, "delay", delay)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        count = signal.shape[-1]
        check("delay", self.delay, lambda d: d.abs() <= count, f"a frame of {count} samples can shift by no more")
        ramp = delay_ramp(self.delay, 2 * count).to(signal.dtype)
        return torch.fft.ifft(torch.fft.fft(signal, n=2 * count) * ramp)[..., :count]


class IQImbalance(nn.Module):
    """Unequal branches of a quadrature mixer: ``y = mu x + nu conj(x)``.

    The real branch is taken as right; the imaginary one has gain g and is off quadrature by phi:
    ``mu = (1 + g e^{-j phi}) / 2``, ``nu = (1 - g e^{j phi}) / 2``, image rejection ``|mu|^2 / |nu|^2``.

    Args:
        gain_db: ``20 log10 g``.
        phase: phi in radians. Both numbers, or tensors that broadcast to the signal.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: an argument is not finite; the signal is not complex.
    Source:
        Schenk, "RF Imperfections in High-rate Wireless Systems", 2008, chapter 5.
    """

    gain_db: Tensor
    phase: Tensor

    def __init__(self, gain_db: float | Tensor = 0.0, phase: float | Tensor = 0.0) -> None:
        super().__init__()
        hold(self, "gain_db", gain_db)
        hold(self, "phase", phase)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        kind = signal.real.dtype
        gain, phase = 10 ** (self.gain_db.to(kind) / 20), self.phase.to(kind)
        quadrature = gain * (phase.cos() * signal.imag - phase.sin() * signal.real)
        return torch.complex(signal.real.expand_as(quadrature), quadrature)


class DCOffset(nn.Module):
    """``y = x + offset``; offset is a complex number or a tensor that broadcasts to the signal."""

    offset: Tensor

    def __init__(self, offset: complex | Tensor) -> None:
        super().__init__()
        hold(self, "offset", offset)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        return signal + self.offset.to(signal.dtype)


def phasor(phase: Tensor, like: Tensor) -> Tensor:
    """``exp(j phase)`` in the dtype of ``like``."""
    return torch.polar(torch.ones_like(phase), phase).to(like.dtype)


def delay_ramp(delay: Tensor, count: int) -> Tensor:
    """Spectrum of an ideal delay over ``count`` FFT bins: delay [..., 1] or a number -> [..., count] complex128."""
    frequencies = torch.fft.fftfreq(count, dtype=torch.float64, device=delay.device)
    phase = -2 * torch.pi * delay.to(torch.float64) * frequencies
    # The bin at half the sample rate is its own mirror image: a complex value there would make real signals complex.
    imaginary = torch.where(frequencies == -0.5, torch.zeros_like(phase), phase.sin())
    return torch.complex(phase.cos(), imaginary)
