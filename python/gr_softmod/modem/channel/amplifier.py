# SPDX-License-Identifier: GPL-3.0-or-later
"""Memoryless models of power amplifiers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check_complex, hold

_POSITIVE = "it must be positive and finite"


class Rapp(nn.Module):
    """Solid-state amplifier: ``y = g x / (1 + |g x / saturation|^(2p))^(1/(2p))``, no phase distortion.

    Its output is 1 dB compressed at ``|g x| = saturation (10^(p/10) - 1)^(1/(2p))``.

    Args:
        saturation: output amplitude it never exceeds.
        smoothness: p; about 2 to 3 for real amplifiers, large for an ideal limiter.
        gain: small-signal amplitude gain g.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: an argument is not positive and finite; the signal is not complex.
    Source:
        Rapp, "Effects of HPA-nonlinearity on a 4-DPSK/OFDM-signal for a digital sound broadcasting system", 1991.
    """

    saturation: Tensor
    smoothness: Tensor
    gain: Tensor

    def __init__(
        self, saturation: float | Tensor = 1.0, smoothness: float | Tensor = 2.0, gain: float | Tensor = 1.0
    ) -> None:
        super().__init__()
        hold(self, "saturation", saturation, _positive, _POSITIVE)
        hold(self, "smoothness", smoothness, _positive, _POSITIVE)
        hold(self, "gain", gain, _positive, _POSITIVE)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        kind = signal.real.dtype
        amplified, order = signal * self.gain.to(kind), 2 * self.smoothness.to(kind)
        drive = (amplified.abs() / self.saturation.to(kind)).clamp_min(torch.finfo(kind).tiny)
        # (1 + r^2p)^(1/2p) by logarithms: neither a large drive nor a large p overflows.
        exponent = order * drive.log()
        return amplified * torch.exp(-torch.logaddexp(exponent, torch.zeros_like(exponent)) / order)


class Saleh(nn.Module):
    """Travelling-wave tube amplifier: amplitude ``a_a r / (1 + b_a r^2)``, phase turn ``a_p r^2 / (1 + b_p r^2)``.

    The default coefficients are those fitted in the source; they saturate at input amplitude ``1 / sqrt(b_a)`` = 0.93
    with output amplitude ``a_a / (2 sqrt(b_a))`` = 1.006.

    Args:
        amplitude: (a_a, b_a).
        phase: (a_p, b_p), the turn in radians. Pairs of numbers or tensors [2]; nn.Parameter to learn them.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: a pair is not two finite values, a_a or b_a not positive, b_p negative; the signal is not complex.
    Source:
        Saleh, "Frequency-independent and frequency-dependent nonlinear models of TWT amplifiers", 1981.
    """

    amplitude: Tensor
    phase: Tensor

    def __init__(
        self,
        amplitude: tuple[float, float] | Tensor = (2.1587, 1.1517),
        phase: tuple[float, float] | Tensor = (4.0033, 9.1040),
    ) -> None:
        super().__init__()
        hold(self, "amplitude", amplitude, _positive, _POSITIVE)
        hold(self, "phase", phase)
        if self.amplitude.shape != (2,) or self.phase.shape != (2,) or self.phase[1] < 0:
            raise ValueError("amplitude and phase are pairs (a, b), b of the phase not negative")

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        kind = signal.real.dtype
        power = signal.real**2 + signal.imag**2
        (a_a, b_a), (a_p, b_p) = self.amplitude.to(kind), self.phase.to(kind)
        return signal * torch.polar(a_a / (1 + b_a * power), a_p * power / (1 + b_p * power))


class ThirdOrder(nn.Module):
    """Weakly driven amplifier: ``y = x + beta |x|^2 x``, what ``channels.impairments`` of GNU Radio does too.

    With negative beta it is 1 dB compressed at ``|x|^2 = 0.109 / |beta|`` and folds over beyond ``1 / (3 |beta|)``.

    Args:
        beta: real; negative compresses.
    Shape:
        signal [..., N] complex -> [..., N] complex.
    Raises:
        ValueError: beta is not finite; the signal is not complex.
    """

    beta: Tensor

    def __init__(self, beta: float | Tensor) -> None:
        super().__init__()
        hold(self, "beta", beta)

    def forward(self, signal: Tensor) -> Tensor:
        check_complex(signal)
        kind = signal.real.dtype
        return signal * (1 + self.beta.to(kind) * (signal.real**2 + signal.imag**2))


def _positive(value: Tensor) -> Tensor:
    return value > 0
