# SPDX-License-Identifier: GPL-3.0-or-later
"""Error counts and their intervals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from gr_softmod.modem.metrics import ErrorCounts, clopper_pearson, count_block_errors, count_errors, wilson


@pytest.mark.parametrize(
    ("bits", "estimate", "counts"),
    [
        ([[0, 1], [1, 0]], [[-2.0, 3.0], [0.5, -0.1]], ErrorCounts(4, 0, 2, 0, 0)),
        ([[0, 1], [1, 0]], [[2.0, 3.0], [-0.5, 0.1]], ErrorCounts(4, 3, 2, 2, 1 + 4)),
        ([[0, 1], [1, 0]], [[0.0, 0.0], [0.0, 0.0]], ErrorCounts(4, 2, 2, 2, 2)),
        ([[0, 1], [1, 0]], [[0, 1], [0, 1]], ErrorCounts(4, 2, 2, 1, 4)),
        ([1, 1, 1], [True, False, False], ErrorCounts(3, 2, 1, 1, 4)),
        ([[[0.0], [1.0]]], [[[math.nan], [math.inf]]], ErrorCounts(2, 0, 2, 0, 0)),
    ],
)
def test_counting(bits: list, estimate: list, counts: ErrorCounts) -> None:
    assert count_errors(torch.tensor(bits), torch.tensor(estimate)) == counts


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        count_errors(torch.zeros(2, 3), torch.zeros(3, 2))


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(1, 29))
def test_counts_add_up_however_they_are_cut(errors: list[int], cut: int) -> None:
    whole = count_block_errors(torch.tensor(errors), 5)
    cut = min(cut, len(errors) - 1)
    parts = [count_block_errors(torch.tensor(part), 5) for part in (errors[:cut], errors[cut:])]
    assert parts[0] + parts[1] == parts[1] + parts[0] == whole
    assert whole.bit_errors == sum(errors) and whole.block_errors == sum(e > 0 for e in errors)


def test_rates_before_the_first_bit() -> None:
    assert math.isnan(ErrorCounts().ber) and math.isnan(ErrorCounts().bler)
    assert ErrorCounts().ber_interval() == (0.0, 1.0) and ErrorCounts().dispersion == 1.0


CASES = [
    (0, 10),
    (10, 10),
    (1, 10),
    (3, 1000),
    (50, 10**4),
    (10**4, 4 * 10**9),
    (999, 1000),
    (10**5, 2 * 10**5),
    (1, 1),
]


@pytest.mark.parametrize(("errors", "trials"), CASES)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "exact")])
def test_intervals_are_those_of_scipy(ours: object, theirs: str, errors: int, trials: int, confidence: float) -> None:
    expected = binomtest(errors, trials).proportion_ci(confidence, method=theirs)
    assert ours(errors, trials, confidence) == pytest.approx(tuple(expected), rel=2e-6, abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 1e4), st.floats(1.01, 1e5))
def test_counts_need_not_be_whole(errors: float, factor: float) -> None:
    trials = errors * factor
    low, high = clopper_pearson(errors, trials)
    assert low == pytest.approx(beta.ppf(0.025, errors, trials - errors + 1), rel=1e-5)
    assert high == pytest.approx(beta.ppf(0.975, errors + 1, trials - errors), rel=1e-5)
    assert low < errors / trials < high


@pytest.mark.parametrize(("errors", "trials", "confidence"), [(-1, 5, 0.9), (6, 5, 0.9), (1, math.inf, 0.9), (1, 5, 1)])
@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_impossible_counts(interval: object, errors: float, trials: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        interval(errors, trials, confidence)


@pytest.mark.parametrize(("burst", "expected"), [(1, 1.0), (20, 20.0)])
def test_bursts_of_errors_widen_the_interval(burst: int, expected: float) -> None:
    """Blocks of 200 bits where errors come in runs of ``burst``: the spread of many repetitions fits the interval."""
    generator = torch.Generator().manual_seed(1)
    rate, blocks, repetitions = 0.02, 500, 400
    runs = torch.rand(repetitions, blocks, 200 // burst, generator=generator) < rate
    errors = runs.sum(-1) * burst
    counts = [count_block_errors(row, 200) for row in errors]
    assert sum(c.dispersion for c in counts) / repetitions == pytest.approx(expected, rel=0.1)
    covered = sum(low <= rate <= high for low, high in (c.ber_interval() for c in counts)) / repetitions
    assert 0.92 < covered < 0.99
