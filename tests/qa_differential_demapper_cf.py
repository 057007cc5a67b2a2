# SPDX-License-Identifier: GPL-3.0-or-later
"""differential_demapper_cf: exact against a brute force over pairs, blind to turns, noise variance, faults."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run
from gr_softmod.constellation import Constellation
from oracle import assert_llr_close


def received(constellation: str, noise_var: float, count: int = 400) -> tuple[NDArray, NDArray[np.complex64]]:
    """Labels of the turns, and symbols with noise."""
    rng = np.random.default_rng(7)
    points = Constellation.from_name(constellation).points
    labels = rng.integers(len(points), size=count)
    sent = points[0] * np.cumprod(points[labels] / points[0])
    return labels, (sent + rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(noise_var / 2)).astype(np.complex64)


def brute_force(constellation: str, symbols: NDArray, noise_var: float | NDArray) -> NDArray[np.float64]:
    """ln P(1)/P(0) by summing over every pair of points, in float64."""
    made = Constellation.from_name(constellation)
    points, bits = made.points, made.bits.astype(bool)
    metric = (
        -(np.abs(symbols.astype(complex)[:, None] - points) ** 2) / np.broadcast_to(noise_var, symbols.shape)[:, None]
    )
    turned = points[:, None] * points / points[0]  # [label of the turn, point before]
    after = np.argmin(np.abs(turned[..., None] - points), axis=-1)
    turn = np.logaddexp.reduce(metric[:-1, None, :] + metric[1:][:, after], axis=-1)  # [N - 1, label]
    llr = np.stack(
        [np.logaddexp.reduce(turn[:, b], axis=1) - np.logaddexp.reduce(turn[:, ~b], axis=1) for b in bits.T], axis=1
    )
    return np.concatenate([np.zeros(bits.shape[1]), llr.reshape(-1)])


def llrs(constellation: str, symbols: NDArray, noise_var: float, **how: Any) -> NDArray[np.float32]:
    return run(softmod.differential_demapper_cf(constellation, noise_var), symbols, **how).outputs[0]


@pytest.mark.parametrize("noise_var", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "16psk"])
def test_agrees_with_a_sum_over_all_pairs(name: str, noise_var: float) -> None:
    _, symbols = received(name, noise_var)
    m = Constellation.from_name(name).bits_per_symbol
    actual, expected = llrs(name, symbols, noise_var), brute_force(name, symbols, noise_var)
    np.testing.assert_allclose(actual[:m], 0, atol=1e-5)
    assert_llr_close(actual[m:], expected[m:], symbols[1:], noise_var, ulps=32)


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk"])
def test_signs_are_the_bits_sent_at_any_turn_of_the_constellation(name: str) -> None:
    labels, symbols = received(name, 1e-3)
    made = Constellation.from_name(name)
    for k in range(made.order):
        turned = (symbols * cmath.rect(1, 2 * np.pi * k / made.order)).astype(np.complex64)
        llr = llrs(name, turned, 1e-3).reshape(-1, made.bits_per_symbol)
        np.testing.assert_array_equal(llr[1:] > 0, made.bits[labels[1:]])


def test_the_output_does_not_depend_on_how_the_stream_is_cut() -> None:
    _, symbols = received("qpsk", 0.3)
    np.testing.assert_array_equal(llrs("qpsk", symbols, 0.3), llrs("qpsk", symbols, 0.3, chunk=2))


def test_a_tag_takes_effect_at_its_symbol() -> None:
    _, symbols = received("bpsk", 0.3)
    actual = llrs("bpsk", symbols, 0.3, tags=[(200, "noise_var", 0.6)])
    assert_llr_close(actual[1:200], brute_force("bpsk", symbols, 0.3)[1:200])
    assert_llr_close(actual[201:], brute_force("bpsk", symbols, 0.6)[201:])


def test_a_message_sets_the_noise_variance_and_a_bad_one_is_reported() -> None:
    _, symbols = received("bpsk", 0.3)
    block = softmod.differential_demapper_cf("bpsk")
    post = [("noise_var", pmt.from_double(0.3)), ("noise_var", pmt.from_double(-1.0))]
    result = run(block, symbols, post=post, messages=["status"])
    assert block.noise_var() == pytest.approx(0.3)
    assert_llr_close(result.outputs[0], brute_force("bpsk", symbols, 0.3))
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and "message ignored" in status["reason"]


def test_the_setter_checks() -> None:
    block = softmod.differential_demapper_cf("bpsk")
    block.set_noise_var(0.25)
    with pytest.raises(ValueError, match="noise_var|noise variance"):
        block.set_noise_var(0.0)
    assert block.noise_var() == 0.25


def test_a_sample_that_is_not_finite_makes_two_llrs_zero() -> None:
    _, symbols = received("bpsk", 0.3)
    good = brute_force("bpsk", symbols, 0.3)
    symbols[100] = np.nan
    actual = llrs("bpsk", symbols, 0.3)
    good[100:102] = 0
    assert_llr_close(actual, good)


@pytest.mark.parametrize("constellation", ["16qam", "4pam", [1, 1j, -1, -2j]], ids=str)
def test_what_is_not_psk_is_refused(constellation: Any) -> None:
    with pytest.raises(ValueError, match="PSK|psk|circle|phase"):
        softmod.differential_demapper_cf(constellation)
