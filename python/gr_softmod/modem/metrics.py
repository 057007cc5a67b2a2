# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting errors, and how sure the counts are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from statistics import NormalDist

import torch
from torch import Tensor

Interval = tuple[float, float]


@dataclass(frozen=True)
class ErrorCounts:
    """Exact counts of a number of transmitted blocks; they add up with ``+`` in any order to the same result.

    Attributes:
        bits, bit_errors: of all blocks.
        blocks, block_errors: a block is wrong when any of its bits is.
        squared: sum over blocks of (bit errors in the block)^2, which shows whether errors come in bursts.
    """

    bits: int = 0
    bit_errors: int = 0
    blocks: int = 0
    block_errors: int = 0
    squared: int = 0

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def ber(self) -> float:
        """Bit error rate; NaN before the first bit."""
        return self.bit_errors / self.bits if self.bits else math.nan

    @property
    def bler(self) -> float:
        """Block error rate; NaN before the first block."""
        return self.block_errors / self.blocks if self.blocks else math.nan

    @property
    def dispersion(self) -> float:
        """Variance of the bit errors of a block over that of independent bits; at least 1.

        A decoder that fails leaves many wrong bits in one block: the bit error rate is then as uncertain as one counted
        over ``dispersion`` times fewer bits (Kish's design effect).
        """
        if self.blocks < 2 or not 0 < self.bit_errors < self.bits:
            return 1.0
        mean = self.bit_errors / self.blocks
        variance = (self.squared - self.blocks * mean**2) / (self.blocks - 1)
        return max(1.0, variance / (mean * (1 - self.ber)))

    def ber_interval(self, confidence: float = 0.95) -> Interval:
        """Clopper-Pearson interval of the bit error rate, on counts divided by :attr:`dispersion`."""
        scale = self.dispersion
        return clopper_pearson(self.bit_errors / scale, self.bits / scale, confidence)

    def bler_interval(self, confidence: float = 0.95) -> Interval:
        """Clopper-Pearson interval of the block error rate."""
        return clopper_pearson(self.block_errors, self.blocks, confidence)


def count_errors(bits: Tensor, estimate: Tensor) -> ErrorCounts:
    """Compare sent bits with received ones; every row of the last dimension is a block.

    Args:
        bits: {0, 1} [..., n], any dtype.
        estimate: of the same shape. A floating dtype holds LLRs, of which positive means 1 (and exactly 0 counts as a
            decision for 0); an integer or bool dtype holds hard bits.
    Raises:
        ValueError: the shapes differ, or there is no block dimension.
    """
    if bits.shape != estimate.shape or bits.dim() < 1:
        raise ValueError(
            f"bits {list(bits.shape)} and their estimate {list(estimate.shape)} must have one shape [..., n]"
        )
    decided = estimate > 0 if estimate.is_floating_point() else estimate.bool()
    return count_block_errors((bits.bool() ^ decided).sum(-1, dtype=torch.int64), bits.shape[-1])


def count_block_errors(errors: Tensor, bits_per_block: int) -> ErrorCounts:
    """Counts of blocks with ``errors`` [...] wrong bits each."""
    wrong = errors.reshape(-1).to(torch.int64)
    blocks = wrong.numel()
    sums = torch.stack([wrong.sum(), (wrong > 0).sum(), (wrong * wrong).sum()]).tolist()  # one transfer from a GPU
    return ErrorCounts(blocks * bits_per_block, sums[0], blocks, sums[1], sums[2])


# ---- intervals of a proportion


def wilson(errors: float, trials: float, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion: quick, right on average over rates. (Wilson, JASA 22, 1927.)"""
    _check(errors, trials, confidence)
    if not trials:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    rate = errors / trials
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (rate * (1 - rate) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    # The ends at no error and all errors are exactly 0 and 1; rounding would miss them.
    return (0.0 if errors == 0 else max(0.0, centre - half)), (1.0 if errors == trials else min(1.0, centre + half))


def clopper_pearson(errors: float, trials: float, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion: covers the true one at least ``confidence`` of the time.

    Source: Clopper and Pearson, Biometrika 26, 1934. Counts need not be whole.
    """
    _check(errors, trials, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if errors <= 0 else _beta_quantile(tail, errors, trials - errors + 1)
    high = 1.0 if errors >= trials else _beta_quantile(1 - tail, errors + 1, trials - errors)
    return low, high


def _check(errors: float, trials: float, confidence: float) -> None:
    if not 0 <= errors <= trials or not math.isfinite(trials):
        raise ValueError(f"{errors} errors of {trials} trials; errors must be from 0 to the finite number of trials")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1")


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """x with I_x(a, b) = probability, by bisection of ln x (error rates are small)."""
    return math.exp(_bisect(lambda log_x: _beta_cdf(math.exp(log_x), a, b) - probability, -745.0, 0.0))


def _bisect(increasing: Callable[[float], float], low: float, high: float) -> float:
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if increasing(middle) < 0 else (low, middle)
    return 0.5 * (low + high)


def _beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b) (NIST DLMF 8.17.22, continued fraction by Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_cdf(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if front < -745:
        return 0.0
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 1_000_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return math.exp(front) * value / a
