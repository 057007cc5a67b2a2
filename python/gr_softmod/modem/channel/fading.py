# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat fading: one complex gain for the whole band, still over a frame or moving with a Doppler spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check_complex, hold


class RicianFading(nn.Module):
    """``y[n] = h[n] x[n]``, h a line-of-sight wave plus Gaussian scatter of total mean power 1.

    ``h = sqrt(K/(K+1)) e^{j(phi + 2 pi doppler cos(los_angle) n)} + sqrt(1/(K+1)) s``, phi uniform, s circular Gaussian
    of unit variance. Without ``doppler`` h is constant over the last dimension (block fading). With it s has Jakes'
    spectrum: autocorrelation ``J0(2 pi doppler k)``, made of ``sinusoids`` waves of random angle and phase
    (its fourth moment is ``2 - 1/sinusoids`` where a Gaussian's is 2).

    A receiver that knows the channel draws the gains first::

        gains = fading.draw(symbols, generator=g)
        received = fading(symbols, gains)
        llr = demodulator(received / gains, noise_var=noise_var / gains.abs() ** 2)

    Args:
        k_factor: line-of-sight over scattered power (linear), not negative.
        doppler: largest Doppler shift in cycles per sample, or None for block fading. Both numbers, tensors that
            broadcast to the signal, or parameters.
        los_angle: radians between motion and the line of sight. (3GPP TR 38.901 has 0.7 times the largest shift:
            the default.)
        sinusoids: waves that make the Doppler spectrum.
    Shape:
        signal [..., N] complex, gains broadcastable to it -> [..., N] complex.
    Raises:
        ValueError: an argument is out of range; the signal is not complex.
    Source:
        Clarke, "A statistical theory of mobile-radio reception", 1968; Xiao, Zheng, Beaulieu, "Novel sum-of-sinusoids
        simulation models for Rayleigh and Rician fading channels", 2006.
    """

    k_factor: Tensor
    doppler: Tensor | None

    def __init__(
        self,
        k_factor: float | Tensor,
        doppler: float | Tensor | None = None,
        *,
        los_angle: float = torch.pi / 4,
        sinusoids: int = 32,
    ) -> None:
        super().__init__()
        hold(self, "k_factor", k_factor, _not_negative, "it must be finite and not negative")
        hold_doppler(self, doppler, sinusoids)
        self.los_angle, self.sinusoids = float(los_angle), sinusoids

    def draw(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Gains for ``signal`` [..., N]: [..., 1], or [..., N] with Doppler."""
        check_complex(signal)
        k = self.k_factor.to(signal.real.dtype)
        scatter = scattered(signal.shape, self.doppler, self.sinusoids, signal, generator)
        line = line_of_sight(signal.shape, self.doppler, self.los_angle, signal, generator)
        return (k / (k + 1)).sqrt() * line + (1 / (k + 1)).sqrt() * scatter

    def forward(
        self, signal: Tensor, gains: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return signal * (self.draw(signal, generator=generator) if gains is None else gains)


class RayleighFading(RicianFading):
    """``y[n] = h[n] x[n]``, h circular Gaussian of unit variance: :class:`RicianFading` with no line of sight."""

    def __init__(self, doppler: float | Tensor | None = None, *, sinusoids: int = 32) -> None:
        super().__init__(0.0, doppler, sinusoids=sinusoids)

    def draw(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        check_complex(signal)
        return scattered(signal.shape, self.doppler, self.sinusoids, signal, generator)


def hold_doppler(module: nn.Module, doppler: float | Tensor | None, sinusoids: int) -> None:
    if doppler is None:
        module.register_buffer("doppler", None)
    else:
        hold(module, "doppler", doppler, lambda f: (f >= 0) & (f <= 0.5), "it must lie between 0 and 0.5")
    if int(sinusoids) != sinusoids or sinusoids < 8:
        raise ValueError(f"sinusoids is {sinusoids}; it must be a whole number of at least 8 for gains near Gaussian")


def scattered(
    shape: torch.Size, doppler: Tensor | None, sinusoids: int, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Unit-variance Gaussian gains [..., 1], or [..., N] with Jakes' spectrum, for ``shape`` [..., N]."""
    if doppler is None:
        return torch.randn((*shape[:-1], 1), dtype=like.dtype, device=like.device, generator=generator)
    random = torch.rand((2, sinusoids, *shape[:-1], 1), dtype=torch.float64, device=like.device, generator=generator)
    n = torch.arange(shape[-1], dtype=torch.float64, device=like.device)
    # One angle in each sector of the circle: over all draws angles are uniform, so the autocorrelation is exactly J0.
    sector = torch.arange(sinusoids, dtype=torch.float64, device=like.device).reshape(-1, *[1] * len(shape))
    cosines, phases = torch.cos(2 * torch.pi * (sector + random[0]) / sinusoids), 2 * torch.pi * random[1]
    turn = 2 * torch.pi * doppler.to(torch.float64) * n
    total = torch.zeros((*shape[:-1], 1), dtype=like.dtype, device=like.device)
    for cosine, phase in zip(cosines, phases, strict=True):  # one by one: memory of one wave, not of all
        angle = turn * cosine + phase
        total = total + torch.polar(torch.ones_like(angle), angle).to(like.dtype)
    return total / sinusoids**0.5


def line_of_sight(
    shape: torch.Size, doppler: Tensor | None, angle: float, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """A wave of random phase [..., 1], or [..., N] moving with the Doppler shift of ``angle``."""
    random = torch.rand((*shape[:-1], 1), dtype=torch.float64, device=like.device, generator=generator)
    phase = 2 * torch.pi * random
    if doppler is not None:
        n = torch.arange(shape[-1], dtype=torch.float64, device=like.device)
        shift = doppler.to(torch.float64) * torch.cos(torch.tensor(angle, dtype=torch.float64, device=like.device))
        phase = phase + 2 * torch.pi * shift * n
    return torch.polar(torch.ones_like(phase), phase).to(like.dtype)


def _not_negative(value: Tensor) -> Tensor:
    return value >= 0
