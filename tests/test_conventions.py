# SPDX-License-Identifier: GPL-3.0-or-later
"""The conventions: conversions, their inverses, theory, and the page that mirrors them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import erfc

from gr_softmod import conventions as c
from gr_softmod.constellation import Constellation
from oracle import brute_force_llr

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "conventions.md").read_text()

reals = st.floats(-1e6, 1e6)
decibels = st.floats(-100, 100)


@given(reals)
def test_soft_bit_is_the_sigmoid(llr: float) -> None:
    wanted = 1 / (1 + np.exp(-llr)) if llr > -700 else 0.0
    assert c.soft_bit(llr) == pytest.approx(wanted, rel=1e-9, abs=1e-15)


@given(st.floats(-30, 30))
def test_llr_of_soft_bit_inverts_it(llr: float) -> None:
    assert c.llr_of_soft_bit(c.soft_bit(llr)) == pytest.approx(llr, abs=1e-2 if abs(llr) > 20 else 1e-6)


def test_certain_bits_have_infinite_llrs() -> None:
    assert np.array_equal(c.llr_of_soft_bit([0, 0.5, 1]), [-np.inf, 0, np.inf])


@given(arrays(np.float64, 5, elements=reals))
def test_negate_llr_is_its_own_inverse_and_swaps_the_bit(llr) -> None:
    assert np.array_equal(c.negate_llr(c.negate_llr(llr)), llr)
    assert np.allclose(c.soft_bit(c.negate_llr(llr)), 1 - c.soft_bit(llr))


@given(decibels, st.floats(1, 64))
def test_esn0_goes_there_and_back(esn0_db: float, sps: float) -> None:
    noise_var = c.noise_var_of_esn0_db(esn0_db, samples_per_symbol=sps)
    assert c.esn0_db_of_noise_var(noise_var, samples_per_symbol=sps) == pytest.approx(esn0_db, abs=1e-9)


@pytest.mark.parametrize(
    ("noise_var", "wanted"),
    [
        (c.noise_var_of_esn0_db(0), 1.0),
        (c.noise_var_of_esn0_db(10), 0.1),
        (c.noise_var_of_esn0_db(10, samples_per_symbol=4), 0.4),
        (c.noise_var_of_ebn0_db(0, bits_per_symbol=1), 1.0),
        (c.noise_var_of_ebn0_db(0, bits_per_symbol=2), 0.5),
        (c.noise_var_of_ebn0_db(0, bits_per_symbol=4, code_rate=0.5), 0.5),
        (c.noise_var_of_ebn0_db(10, bits_per_symbol=1, samples_per_symbol=2), 0.2),
        (c.noise_voltage(0.25), 0.5),
    ],
)
def test_noise_by_hand(noise_var, wanted: float) -> None:
    assert noise_var == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "ebn0_db", "error_rate"),
    [
        ("bpsk", 4, lambda e: 0.5 * erfc(np.sqrt(e))),
        ("qpsk", 4, lambda e: 0.5 * erfc(np.sqrt(e))),
        ("ook", 7, lambda e: 0.5 * erfc(np.sqrt(e / 2))),
        ("4pam", 8, lambda e: pam4_ber(e)),
        ("16qam", 8, lambda e: pam4_ber(e)),
    ],
)
def test_hard_decisions_at_an_ebn0_have_the_error_rate_of_theory(name: str, ebn0_db: float, error_rate) -> None:
    """Energy, noise variance per dimension and Eb/N0 in one: a factor of 2 anywhere moves the rate by 3 dB."""
    constellation = Constellation.from_name(name)
    rng = np.random.default_rng(11)
    noise_var = c.noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=constellation.bits_per_symbol)
    bits = rng.integers(0, 2, 400_000)
    symbols = constellation.modulate(bits)
    noise = c.noise_voltage(noise_var) * (rng.normal(size=symbols.size) + 1j * rng.normal(size=symbols.size))
    received = symbols + noise / np.sqrt(2)
    decided = c.bits_of_labels(constellation.nearest(received), constellation.bits_per_symbol)
    wanted = error_rate(10 ** (ebn0_db / 10))
    errors = np.count_nonzero(decided != bits)
    assert abs(errors - wanted * bits.size) < 5 * np.sqrt(2 * wanted * bits.size)
    signs = brute_force_llr(constellation, received[:2000], noise_var, method="maxlog") > 0
    assert np.array_equal(signs, decided[: signs.size].astype(bool))


def pam4_ber(ebn0: float) -> float:
    """Exact bit error rate of Gray 4-PAM: levels ±1, ±3 times sqrt(Es / 5), Es = 2 Eb, noise N0 / 2."""
    q = [0.5 * erfc(k * np.sqrt(2 * ebn0 / 5)) for k in (1, 3, 5)]
    return float((3 * q[0] + 2 * q[1] - q[2]) / 4)


@given(st.integers(1, 12), st.lists(st.integers(0, 4095), max_size=20))
def test_labels_and_bits_are_inverse(m: int, numbers: list[int]) -> None:
    labels = np.array(numbers, np.int64) % (1 << m)
    bits = c.bits_of_labels(labels, m)
    assert bits.size == m * labels.size and np.array_equal(c.labels_of_bits(bits, m), labels)


def test_the_first_bit_is_the_most_significant() -> None:
    assert c.bits_of_labels([6, 1], 3).tolist() == [1, 1, 0, 0, 0, 1]
    assert c.labels_of_bits([[1, 1, 0], [0, 0, 1]], 3).tolist() == [[6], [1]]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: c.check_noise_var(0), "noise_var is 0.0"),
        (lambda: c.check_noise_var(-1), "noise_var is -1.0"),
        (lambda: c.check_noise_var([1, np.nan]), "noise_var is nan"),
        (lambda: c.check_noise_var(np.inf), "noise_var is inf"),
        (lambda: c.esn0_db_of_noise_var(0), "noise_var is 0.0"),
        (lambda: c.noise_voltage(-1), "noise_var is -1.0"),
        (lambda: c.llr_of_soft_bit([0.5, 1.5]), r"from 0.5 to 1.5"),
        (lambda: c.llr_of_soft_bit(np.nan), "probabilities"),
        (lambda: c.labels_of_bits([1, 0, 1], 2), "3 bits do not fill"),
    ],
)
def test_errors_say_what_is_wrong(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_class_names_are_the_24_each_once() -> None:
    assert len(c.CLASS_NAMES) == len(set(c.CLASS_NAMES)) == 24
    assert c.CLASS_NAMES[3] == "BPSK" and c.CLASS_NAMES[-1] == "OQPSK"


def test_the_page_lists_the_classes_in_the_same_order() -> None:
    assert ", ".join(c.CLASS_NAMES) + "." in re.sub(r"\s+", " ", PAGE)


def test_the_page_names_every_constellation() -> None:
    missing = [n for n in Constellation.names() if "apsk" not in n and f"`{n}`" not in PAGE]
    assert not missing


def test_the_code_the_page_shows_exists() -> None:
    calls = set(re.findall(r"`([a-z0-9]+_[a-z_0-9]+)\(", PAGE)) - {"apply_pre_diff_code"} | {"negate_llr"}
    assert calls >= {"noise_var_of_esn0_db", "noise_var_of_ebn0_db", "esn0_db_of_noise_var", "noise_voltage"}
    assert all(hasattr(c, name) for name in calls)
