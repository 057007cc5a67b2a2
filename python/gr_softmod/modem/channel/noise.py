# SPDX-License-Identifier: GPL-3.0-or-later
"""Additive noise and oscillator phase noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check, check_complex, hold


class AWGN(nn.Module):
    """Additive white Gaussian noise: ``y = x + n`` with circular n and ``E|n|^2 = noise_var``.

    Args:
        noise_var: number or tensor that broadcasts to the signal; may be left to the call.
    Shape:
        signal [..., N] complex, noise_var broadcastable to it -> [..., N] complex.
    Raises:
        ValueError: noise_var is given nowhere, negative or not finite; the signal is not complex.
    """

    noise_var: Tensor | None

    def __init__(self, noise_var: float | Tensor | None = None) -> None:
        super().__init__()
        if noise_var is None:
            self.noise_var = None
        else:
            hold(self, "noise_var", noise_var, _not_negative, "it must be finite and not negative")

    def forward(
        self, signal: Tensor, noise_var: float | Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        check_complex(signal)
        if noise_var is None:
            noise_var = self.noise_var
        if noise_var is None:
            raise ValueError("noise_var is given neither to AWGN nor to the call")
        variance = torch.as_tensor(noise_var, dtype=signal.real.dtype, device=signal.device)
        check("noise_var", variance, _not_negative, "it must be finite and not negative")
        noise = torch.randn(signal.shape, dtype=signal.dtype, device=signal.device, generator=generator)
        return signal + variance.sqrt() * noise


class PhaseNoise(nn.Module):
    """A free-running oscillator: the phase is a Wiener process that starts at 0, the line a Lorentzian.

    ``y[n] = x[n] exp(j phi[n])``, the steps of phi Gaussian of variance ``2 pi linewidth``, so that the oscillator's
    autocorrelation is ``exp(-pi linewidth |k|)``.

    Args:
        linewidth: full width of the line at half its height, in cycles per sample (hertz over the sample rate).
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: linewidth is negative or not finite; the signal is not complex.
    Source:
        Demir, Mehrotra, Roychowdhury, "Phase noise in oscillators: a unifying theory and numerical methods for
        characterization", 2000.
    """

    linewidth: Tensor

    def __init__(self, linewidth: float | Tensor) -> None:
        super().__init__()
        hold(self, "linewidth", linewidth, _not_negative, "it must be finite and not negative")

    def forward(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        check_complex(signal)
        white = torch.randn(signal.shape, dtype=torch.float64, device=signal.device, generator=generator)
        steps = (2 * torch.pi * self.linewidth).sqrt() * white
        phase = torch.cumsum(steps, -1) - steps[..., :1]
        return signal * _unit_phasor(phase, signal)


class MaskedPhaseNoise(nn.Module):
    """Phase noise with the spectrum of a synthesizer's data sheet, for example of a phase-locked loop.

    phi is Gaussian with the two-sided density ``L(f)`` rad^2/Hz, interpolated between the given points on
    logarithmic axes, flat outside them. (IEEE 1139: ``L(f)`` is half the one-sided density of phi.)

    Args:
        offsets_hz: ascending offsets from the carrier [K], positive.
        dbc_per_hz: L at those offsets [K], in dBc/Hz.
        sample_rate_hz: of the signal.
    Shape:
        signal [..., N] complex -> [..., N] complex. Offsets below ``sample_rate_hz / (2 N)`` are not resolved.
    Raises:
        ValueError: the points do not match or ascend; the sample rate is not positive; the signal is not complex.
    """

    offsets_hz: Tensor
    dbc_per_hz: Tensor

    def __init__(
        self, offsets_hz: list[float] | Tensor, dbc_per_hz: list[float] | Tensor, *, sample_rate_hz: float
    ) -> None:
        super().__init__()
        hold(self, "offsets_hz", offsets_hz, lambda f: f > 0, "offsets must be positive")
        hold(self, "dbc_per_hz", dbc_per_hz)
        if self.offsets_hz.ndim != 1 or self.offsets_hz.shape != self.dbc_per_hz.shape:
            raise ValueError(
                f"offsets_hz {tuple(self.offsets_hz.shape)} and dbc_per_hz {tuple(self.dbc_per_hz.shape)} must be "
                "vectors of one length"
            )
        if not bool((self.offsets_hz.diff() > 0).all()):
            raise ValueError("offsets_hz must ascend")
        if not sample_rate_hz > 0:
            raise ValueError(f"sample_rate_hz is {sample_rate_hz}; it must be positive")
        self.sample_rate_hz = float(sample_rate_hz)

    def forward(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        check_complex(signal)
        count = 2 * signal.shape[-1]  # twice as long, or the last phase would run into the first
        shape = (*signal.shape[:-1], count)
        white = torch.randn(shape, dtype=torch.float64, device=signal.device, generator=generator)
        frequencies = torch.fft.rfftfreq(count, 1 / self.sample_rate_hz, dtype=torch.float64, device=signal.device)
        amplitude = (self.density(frequencies) * self.sample_rate_hz).sqrt()
        phase = torch.fft.irfft(torch.fft.rfft(white) * amplitude, n=count)[..., : signal.shape[-1]]
        return signal * _unit_phasor(phase, signal)

    def density(self, frequencies: Tensor) -> Tensor:
        """L(f) in rad^2/Hz at ``frequencies`` in hertz, any shape."""
        if self.offsets_hz.numel() == 1:
            return (10 ** (self.dbc_per_hz / 10)).expand_as(frequencies)
        knots = self.offsets_hz.log10()
        f = frequencies.abs().clamp(self.offsets_hz[0], self.offsets_hz[-1]).log10()
        right = torch.searchsorted(knots, f).clamp(1, len(knots) - 1)
        share = (f - knots[right - 1]) / (knots[right] - knots[right - 1])
        db = self.dbc_per_hz[right - 1] + share * (self.dbc_per_hz[right] - self.dbc_per_hz[right - 1])
        return 10 ** (db / 10)


def _unit_phasor(phase: Tensor, like: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(phase), phase).to(like.dtype)


def _not_negative(value: Tensor) -> Tensor:
    return value >= 0
