# SPDX-License-Identifier: GPL-3.0-or-later
"""The mean of a table of values whose index has independent, uncertain bits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def expectation(levels: Tensor, probabilities: Tensor) -> Tensor:
    """sum_i levels[i] prod_k P(bit k of i), a bit at a time: levels [L] or [..., L], P(b=1) [K, ..., N]."""
    value = levels.movedim(-1, 0)
    value = value.reshape(value.shape + (1,) * (probabilities.dim() - value.dim()))
    for p in probabilities:
        # Not low + p (high - low), which misses high by a rounding error at p = 1.
        low, high = value.chunk(2)
        value = (1 - p) * low + p * high
    return value[0]


def expected_parts(probabilities: Tensor, tables: Sequence[Tensor], bits: Sequence[Sequence[int]]) -> list[Tensor]:
    """For each table the expectation [..., N], over the bits at its positions among probabilities [..., N, m]."""
    columns = (torch.stack([probabilities[..., k] for k in positions]) for positions in bits)
    return [expectation(table, column) for table, column in zip(tables, columns, strict=True)]
