# SPDX-License-Identifier: GPL-3.0-or-later
"""Probabilistic shaping: points that are not sent equally often, scaled so that E|s|^2 = 1 under their probabilities.

A Demodulator with shaped points gives a posteriori LLRs: ln P(b=1|y)/P(b=0|y) with the points' probabilities in them.
Training needs no sampling trick: send all labels equally often and weigh each by ``weights(labels)``; the weighted mean
is an unbiased estimate of the mean under the probabilities, with gradients to them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.points import FixedPoints, Points, Tables, as_points


class ShapedConstellation(Points):
    """Base: points of ``start`` (fixed or trained) with probabilities by label.

    A subclass says ``label_logits``, unnormalised log-probabilities [M].
    """

    def __init__(self, start: Points | Constellation | str | Any) -> None:
        base = as_points(start)
        super().__init__("shaped-" + base.name, base.bits_per_symbol, base.rotation)
        self.base = base

    def label_logits(self, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError

    def log_prob(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """ln P(label) [M]."""
        return self.label_logits(dtype).log_softmax(0)

    def probabilities(self) -> Tensor:
        """P(label) [M]."""
        return self.log_prob().exp()

    def entropy(self) -> Tensor:
        """H(S) in bits: what a symbol carries at most."""
        log_prob = self.log_prob()
        return -(log_prob.exp() * log_prob).sum() / math.log(2)

    def weights(self, labels: Tensor) -> Tensor:
        """M P(label): the weight of samples whose labels are drawn uniformly."""
        return self.order * self.probabilities()[labels]

    def sample(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
        """Labels int64 drawn from the probabilities (no gradient)."""
        drawn = torch.multinomial(
            self.probabilities().detach(), math.prod(shape), replacement=True, generator=generator
        )
        return drawn.reshape(shape)

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        points = self.base(dtype, noise_var)
        return points * self._scale(points, self.log_prob(dtype))

    @staticmethod
    def _scale(points: Tensor, log_prob: Tensor) -> Tensor:
        energy = (log_prob.exp() * torch.view_as_real(points).square().sum(-1)).sum(-1, keepdim=True)
        return energy.clamp(min=1e-30).rsqrt()


class MaxwellBoltzmann(ShapedConstellation):
    """P(s) proportional to exp(-nu |s|^2), |s|^2 that of the unshaped points: the best for AWGN at a given entropy.

    Args:
        start: the unshaped points.
        nu: 0 is uniform.
        entropy: H(S) in bits; sets nu in its stead.
        trainable: make nu a parameter.
    Raises:
        ValueError: nu is negative or not finite; both nu and entropy are given, or entropy cannot be reached.
    Source: Kschischang, Pasupathy, "Optimal nonuniform signaling for Gaussian channels", IEEE Trans. Inf. Theory 39(3),
        1993.
    """

    def __init__(
        self,
        start: Points | Constellation | str | Any,
        nu: float | None = None,
        *,
        entropy: float | None = None,
        trainable: bool = False,
    ) -> None:
        super().__init__(start)
        if (nu is None) == (entropy is None):
            raise ValueError(f"nu is {nu} and entropy is {entropy}; exactly one of them must be given")
        if entropy is not None:
            nu = _nu_of_entropy(self.base, entropy)
        assert nu is not None
        if not (math.isfinite(nu) and nu >= 0):
            raise ValueError(f"nu is {nu}; it must be finite and not negative")
        value = torch.tensor(float(nu))
        if trainable:
            self.nu = nn.Parameter(value)
        else:
            self.register_buffer("nu", value)
        if isinstance(self.base, FixedPoints):
            self.axes = self.base.axes

    def label_logits(self, dtype: torch.dtype) -> Tensor:
        return -self.nu.to(dtype) * torch.view_as_real(self.base(dtype)).square().sum(-1)

    def tables(self, dtype: torch.dtype, noise_var: Tensor | None = None) -> Tables:
        """An axis at a time where the points separate: exp(-nu |s|^2) separates with them."""
        if not isinstance(self.base, FixedPoints):
            return super().tables(dtype, noise_var)
        scale = self._scale(self.base(dtype), self.log_prob(dtype))
        tables: list[Tensor | None] = []
        for levels in self.base.tables(dtype)[::2]:
            assert levels is not None
            tables += [levels * scale, (-self.nu.to(dtype) * levels.square().sum(0)).log_softmax(0)]
        return tuple(tables)


class TrainableShaping(ShapedConstellation):
    """Any probabilities: a parameter ``logits`` [M], softmax of it; uniform at the start.

    ``start`` may itself be a :class:`~gr_softmod.modem.trainable.TrainableConstellation`: joint geometric and
    probabilistic shaping (Stark, Ait Aoudia, Hoydis, "Joint learning of geometric and probabilistic constellation
    shaping", 2019, in which labels are drawn through a Gumbel-softmax; weights do without).
    """

    def __init__(self, start: Points | Constellation | str | Any) -> None:
        super().__init__(start)
        self.logits = nn.Parameter(torch.zeros(self.order))

    def label_logits(self, dtype: torch.dtype) -> Tensor:
        return self.logits.to(dtype)


def _nu_of_entropy(base: Points, entropy: float) -> float:
    """Bisection: entropy falls with nu, from m bits at 0 to that of the points of least energy."""
    with torch.no_grad():
        energy = torch.view_as_real(base(torch.float64)).square().sum(-1)

    def entropy_at(nu: float) -> float:
        log_prob = (-nu * energy).log_softmax(0)
        return float(-(log_prob.exp() * log_prob).sum() / math.log(2))

    low, high = 0.0, 1e3
    if not entropy_at(high) <= entropy <= base.bits_per_symbol:
        raise ValueError(
            f"entropy is {entropy} bits; {base.name} reaches {entropy_at(high):.3g} to {base.bits_per_symbol}"
        )
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy_at(middle) > entropy else (low, middle)
    return (low + high) / 2
