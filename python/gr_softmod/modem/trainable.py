# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellations that are learnt: geometric shaping, for all signal-to-noise ratios together or for each its own.

The constraints (no mean, unit energy) are part of the graph: whatever the optimizer does to the parameters, the points
obey them, and gradients are those of the constrained points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.points import Points, as_points


class TrainableConstellation(Points):
    """Points that are parameters.

    Args:
        start: a Constellation, its name, or points by label to begin from.
        center: keep the mean of the points at 0.
        normalize: keep their mean energy at 1.
    Attributes:
        raw: the parameter, float [M, 2]: real and imaginary parts before the constraints.
    """

    equiprobable = True

    def __init__(self, start: Constellation | str | Any, *, center: bool = True, normalize: bool = True) -> None:
        first = as_points(start)
        super().__init__("trained-" + first.name, first.bits_per_symbol, first.rotation)
        self.center = center
        self.normalize = normalize
        self.raw = nn.Parameter(torch.view_as_real(first()).clone())

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        return torch.view_as_complex(constrained(self.raw.to(dtype), center=self.center, normalize=self.normalize))

    def constellation(self) -> Constellation:
        """The points as they are now, for a modem without gradients, a flowgraph or a file."""
        with torch.no_grad():
            points = self(torch.float64).cpu().numpy()
        return Constellation(points, name=self.name, rotation=self.rotation)


class ConditionedConstellation(Points):
    """Points that follow the noise: a small network moves the points of ``start``, under the same constraints.

    Transmitter and receiver must use the same noise_var. The last layer starts at zero: training begins at ``start``.

    Args:
        start, center, normalize: as for :class:`TrainableConstellation`.
        hidden: widths of the hidden layers.
    """

    equiprobable = True
    follows_noise = True

    def __init__(
        self,
        start: Constellation | str | Any,
        *,
        hidden: Sequence[int] = (32, 32),
        center: bool = True,
        normalize: bool = True,
    ) -> None:
        first = as_points(start)
        super().__init__("conditioned-" + first.name, first.bits_per_symbol, first.rotation)
        self.center = center
        self.normalize = normalize
        self.raw = nn.Parameter(torch.view_as_real(first()).clone())
        self.network = mlp([1, *hidden, 2 * self.order], "tanh")
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        if noise_var is None:
            raise ValueError(f"{self.name} has other points at every noise_var: the modulator needs noise_var too")
        with torch.autocast(self.raw.device.type, enabled=False):
            move = self.network(esn0_feature(noise_var).to(self.raw.dtype)[..., None])
        points = self.raw + move.unflatten(-1, (self.order, 2))
        return torch.view_as_complex(constrained(points.to(dtype), center=self.center, normalize=self.normalize))

    def constellation(self, noise_var: float) -> Constellation:
        """The points used at ``noise_var``."""
        with torch.no_grad():
            points = self(torch.float64, torch.tensor(noise_var, device=self.raw.device)).cpu().numpy()
        return Constellation(points, name=self.name, rotation=self.rotation)


def constrained(points: Tensor, *, center: bool, normalize: bool, probabilities: Tensor | None = None) -> Tensor:
    """Points [..., M, 2] moved to mean 0 and scaled to energy 1 under ``probabilities`` [M] (default: all alike)."""
    weights = probabilities if probabilities is not None else points.new_full((points.shape[-2],), 1 / points.shape[-2])
    weights = weights[:, None]
    if center:
        points = points - (weights * points).sum(-2, keepdim=True)
    if normalize:
        energy = (weights * points.square()).sum((-2, -1), keepdim=True)
        points = points * energy.clamp(min=1e-30).rsqrt()
    return points


def esn0_feature(noise_var: Tensor) -> Tensor:
    """-log10(noise_var): Es/N0 in bel, a number near 1 where modems work; what the networks here are conditioned on."""
    return -noise_var.clamp(min=1e-30).log10()


def mlp(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Linear layers of the given widths with an activation between each two.

    Raises:
        ValueError: a width is not positive; there is no such activation.
    """
    activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU}
    if activation not in activations:
        raise ValueError(f"activation is {activation!r}; it must be one of {', '.join(activations)}")
    if any(width != int(width) or width < 1 for width in widths):
        raise ValueError(f"layer widths are {list(widths)}; they must be whole numbers of at least 1")
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), activations[activation]()]
    return nn.Sequential(*layers[:-1])
