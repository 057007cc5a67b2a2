# SPDX-License-Identifier: GPL-3.0-or-later
"""Random numbers of one batch: one stream, one value or row of values a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Range = tuple[float, float]


class Draw:
    """Draws for ``frames`` frames from one generator; every result has ``frames`` rows.

    The order of the calls is part of what a seed means.
    """

    def __init__(self, generator: torch.Generator, frames: int) -> None:
        self.generator, self.frames, self.device = generator, frames, generator.device

    def of(self, frames: int) -> Draw:
        """The same stream for another number of frames."""
        return Draw(self.generator, frames)

    def uniform(self, low: float = 0.0, high: float = 1.0, columns: int = 1) -> Tensor:
        """float32 [frames, columns]."""
        return torch.rand(self.frames, columns, generator=self.generator, device=self.device) * (high - low) + low

    def log_uniform(self, low: float, high: float) -> Tensor:
        """float32 [frames, 1] whose logarithm is uniform."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def normal(self, columns: int = 1) -> Tensor:
        """float32 [frames, columns] of variance 1."""
        return torch.randn(self.frames, columns, generator=self.generator, device=self.device)

    def complex_normal(self, columns: int) -> Tensor:
        """complex64 [frames, columns] with E|n|^2 = 1."""
        return torch.view_as_complex(self.normal(2 * columns).view(self.frames, columns, 2)) * math.sqrt(0.5)

    def integers(self, high: int, columns: int = 1) -> Tensor:
        """int64 [frames, columns] in 0 .. high - 1."""
        return torch.randint(high, (self.frames, columns), generator=self.generator, device=self.device)

    def chance(self, probability: float) -> Tensor:
        """bool [frames, 1]."""
        return self.uniform() < probability

    def choice(self, values: Sequence[float]) -> Tensor:
        """float32 [frames, 1], each of ``values`` equally likely."""
        return torch.tensor(values, dtype=torch.float32, device=self.device)[self.integers(len(values))]
