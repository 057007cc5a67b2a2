# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that finds rare errors: importance sampling with weights that cannot run away.

At a bit error rate of 1e-6 a batch of ordinary noise holds no error and so no gradient that knows of any. Half of the
samples here get noise of ``boost`` times the variance, and each counts by how likely ordinary noise would have made it:

    w(n) = p(n) / (p(n) / 2 + q(n) / 2),   p, q circular Gaussian of variance noise_var and boost * noise_var

so that ``E[w f(n)]`` is the expectation of f under ordinary noise, and no weight exceeds 2. (A "defensive" mixture:
Hesterberg, "Weighted average importance sampling and defensive mixture distributions", Technometrics 37, 1995.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def boosted_noise(
    shape: torch.Size, noise_var: Tensor, boost: Tensor, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Complex noise and its weights.

    Args:
        shape: of the noise, [..., N].
        noise_var: E|n|^2 of ordinary noise, broadcastable to ``shape``.
        boost: at least 1, broadcastable to ``shape``; 1 gives ordinary noise and weights of 1.
    Returns:
        noise complex64 and weights float32, both of ``shape``.
    """
    device = noise_var.device
    noise = torch.randn(shape, dtype=torch.complex64, generator=generator, device=device)
    boosted = torch.rand(shape, generator=generator, device=device) < 0.5
    noise = noise * (noise_var * torch.where(boosted, boost, 1.0)).sqrt()
    # q/p = exp(|n|^2/noise_var (1 - 1/boost)) / boost; the exponential may overflow to inf, which gives weight 0.
    ratio = torch.exp(noise.abs().square() / noise_var * (1 - 1 / boost)) / boost
    return noise, 2 / (1 + ratio)


class BoostedAWGN(nn.Module):
    """:class:`~gr_softmod.modem.channel.AWGN` whose noise finds rare errors, anywhere in a channel.

    Args:
        distance: the noise is boosted to this standard deviation, about the way to a decision threshold.
    Attributes:
        weights: float32 [..., N], of the symbols of the latest call.
    """

    weights: Tensor

    def __init__(self, distance: float) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, signal: Tensor, noise_var: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        boost = boost_for(self.distance, noise_var)
        noise, self.weights = boosted_noise(signal.shape, noise_var, boost, generator=generator)
        return signal + noise


def boost_for(distance: float, noise_var: Tensor) -> Tensor:
    """The boost that puts the noise's variance at ``distance``^2, the way to a decision threshold; at least 1."""
    return (distance**2 / noise_var).clamp(min=1.0)
