# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules for tests of the blocks that run torch."""

from __future__ import annotations

import threading

import torch
from torch import Tensor, nn


class Failing(nn.Module):
    """Raises for chunks that hold a certain value, otherwise gives ones of the length it should."""

    bits_per_symbol = 2

    def __init__(self, symbols_to_bits: bool) -> None:
        super().__init__()
        self.ratio = 2.0 if symbols_to_bits else 0.5
        self.calls = 0

    def forward(self, values: Tensor, noise_var: Tensor | None = None) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("out of luck\nand of memory")
        return torch.ones(int(len(values) * self.ratio))


class WrongShape(nn.Module):
    bits_per_symbol = 2

    def forward(self, values: Tensor, noise_var: Tensor | None = None) -> Tensor:
        return torch.zeros(3)


class Slow(nn.Module):
    """Counts how far another Python thread comes while one operation of torch computes."""

    bits_per_symbol = 2

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.rand(1200, 1200)
        self.counted = self.during = 0
        self.ended = threading.Event()

    def count(self) -> None:
        while not self.ended.is_set():
            self.counted += 1

    def forward(self, values: Tensor, noise_var: Tensor | None = None) -> Tensor:
        before = self.counted
        torch.linalg.matrix_power(self.matrix, 4)
        self.during = max(self.during, self.counted - before)
        return torch.zeros(2 * len(values))
