# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/iterative_receiver.py: labels, what code and demapper tell each other, and that iterations correct."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from gnuradio import softmod

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import iterative_receiver as example


def test_no_exchange_of_two_labels_sets_them_further_apart() -> None:
    labels = np.array(example.FAR_APART)
    assert sorted(example.FAR_APART) == list(range(16))
    cost = example.known_bit_cost(labels)
    for i, j in zip(*np.triu_indices(16, 1), strict=True):
        other = labels.copy()
        other[[i, j]] = labels[[j, i]]
        assert example.known_bit_cost(other) >= cost - 1e-12
    gray = softmod.Constellation.from_name("16qam").points
    of_gray = np.array([np.argmin(abs(gray - point)) for point in example.grid()])
    assert cost < 0.5 * example.known_bit_cost(of_gray)


def test_what_the_code_says_of_a_bit_is_the_sum_over_the_other() -> None:
    rng = np.random.default_rng(1)
    decoded, llrs = rng.exponential(2, (50, 6)).astype(np.float32), rng.normal(0, 3, (50, 2)).astype(np.float32)
    block, out = example.extrinsic(), np.zeros((50, 2), np.float32)
    assert block.work([decoded, llrs], [out]) == 50
    weight = np.exp(-decoded[:, 2:].astype(float)).reshape(50, 2, 2)  # of first and second bit
    other = np.exp(llrs.astype(float))
    first = (weight[:, 1, 0] + weight[:, 1, 1] * other[:, 1]) / (weight[:, 0, 0] + weight[:, 0, 1] * other[:, 1])
    second = (weight[:, 0, 1] + weight[:, 1, 1] * other[:, 0]) / (weight[:, 0, 0] + weight[:, 1, 0] * other[:, 0])
    np.testing.assert_allclose(out, np.log(np.stack([first, second], axis=1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("llrs", [(1.5, -2.0), (0.0, 0.0), (-30.0, 30.0)])
def test_metrics_are_those_of_a_steps_values(llrs: tuple[float, float]) -> None:
    out = np.zeros((1, 4), np.float32)
    example.metrics().work([np.array([llrs], np.float32)], [out])
    np.testing.assert_allclose(out[0], [-(a * llrs[0] + b * llrs[1]) for a in (0, 1) for b in (0, 1)])


def test_iterations_correct_what_labels_far_apart_begin_with() -> None:
    wrong = example.bit_errors(example.constellation(), 6.5, 3, 4, 1).sum(axis=1)
    assert wrong[0] > 0.03 * 3 * example.STEPS  # where Gray labels have 2e-3
    assert wrong[0] > 5 * wrong[1] and wrong[3] == 0


def test_gray_labels_gain_nothing() -> None:
    wrong = example.bit_errors(softmod.Constellation.from_name("16qam"), 4.0, 3, 3, 1).sum(axis=1)
    assert wrong[0] > 100 and abs(int(wrong[2]) - int(wrong[0])) < 0.3 * wrong[0]
