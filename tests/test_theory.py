# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed forms against textbook formulas, numerical integration and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfc
from scipy.stats import ncx2, norm

from gr_softmod import theory
from gr_softmod.constellation import Constellation

DB = np.array([-5.0, 0.0, 4.0, 8.0, 12.0, 18.0])
LINEAR = 10 ** (DB / 10)


def cho_yoon(order: int, ebn0: np.ndarray) -> np.ndarray:
    """Gray square QAM as printed: Cho and Yoon 2002, equations 14 and 16."""
    side = math.isqrt(order)
    m = side.bit_length() - 1
    total = np.zeros_like(ebn0)
    for k in range(1, m + 1):
        for i in range(int((1 - 2.0**-k) * side)):
            sign = (-1) ** math.floor(i * 2 ** (k - 1) / side)
            weight = 2 ** (k - 1) - math.floor(i * 2 ** (k - 1) / side + 0.5)
            total += sign * weight * erfc((2 * i + 1) * np.sqrt(3 * math.log2(order) * ebn0 / (2 * (order - 1)))) / side
    return total / m


@pytest.mark.parametrize("order", [4, 16, 64, 256, 1024, 4096])
def test_gray_qam_is_cho_and_yoon(order: int) -> None:
    np.testing.assert_allclose(theory.ber(Constellation.qam(order), DB), cho_yoon(order, LINEAR), rtol=1e-11)


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "oqpsk", "pi4-qpsk", "bpsk-3gpp", "pi2-bpsk"])
def test_antipodal_signals(name: str) -> None:
    expected = 0.5 * erfc(np.sqrt(LINEAR))
    np.testing.assert_allclose(theory.ber(Constellation.from_name(name), DB), expected, rtol=1e-11)


def test_on_off_keying() -> None:
    np.testing.assert_allclose(theory.ber(Constellation.ook(), DB), 0.5 * erfc(np.sqrt(LINEAR / 2)), rtol=1e-11)


@pytest.mark.parametrize("order", [2, 4, 8, 16])
def test_pam_symbols(order: int) -> None:
    esn0 = LINEAR * math.log2(order)
    expected = 2 * (1 - 1 / order) * norm.sf(np.sqrt(6 * esn0 / (order**2 - 1)))
    np.testing.assert_allclose(theory.ser(Constellation.pam(order), DB), expected, rtol=1e-11)


def test_qam_labels_matter() -> None:
    """DVB-T2's labels are another Gray code of the same grid, natural labels are worse."""
    gray, dvb = (theory.ber(Constellation.qam(64, labels), DB) for labels in ("gray", "dvb"))
    np.testing.assert_allclose(dvb, gray, rtol=1e-11)
    levels = np.arange(-3, 4, 2)
    natural = Constellation((levels[:, None] + 1j * levels).reshape(-1))
    assert np.all(theory.ber(natural, DB) > theory.ber(Constellation.qam(16), DB))


def phase_density(theta: float, esn0: float) -> float:
    """Density of the phase of 1 + noise (Proakis, Digital Communications, 4th ed., eq. 5.2-55)."""
    c = math.cos(theta)
    root = math.sqrt(2 * esn0)
    bracket = 1 + math.sqrt(2 * math.pi) * root * c * math.exp(esn0 * c * c) * norm.cdf(root * c)
    return math.exp(-esn0) / (2 * math.pi) * bracket


@pytest.mark.parametrize("order", [2, 4, 8, 16])
@pytest.mark.parametrize("ebn0_db", [-3.0, 4.0, 10.0])
def test_psk_by_integration_of_the_phase(order: int, ebn0_db: float) -> None:
    constellation = Constellation.psk(order)
    esn0 = 10 ** (ebn0_db / 10) * constellation.bits_per_symbol
    edge = math.pi / order
    sectors = [
        quad(phase_density, (2 * k - 1) * edge, (2 * k + 1) * edge, (esn0,), epsabs=0, epsrel=1e-10)[0]
        for k in range(order)
    ]
    angle = np.angle(constellation.points)
    errors = 0.0
    for sent in range(order):
        for decided in range(order):
            k = round((angle[decided] - angle[sent]) / (2 * edge)) % order
            errors += sectors[k] * (sent ^ decided).bit_count()
    ours = theory._circle_sum(theory._psk_labels(constellation), np.array(esn0), theory._tail_phase, theory._hamming)
    assert ours == pytest.approx(errors / order, rel=1e-7)
    assert theory.ser(constellation, ebn0_db) == pytest.approx(1 - sectors[0], rel=1e-6)
    if order > 4:
        assert theory.ber(constellation, ebn0_db) == pytest.approx(
            errors / order / constellation.bits_per_symbol, rel=1e-7
        )


def test_dbpsk() -> None:
    np.testing.assert_allclose(theory.dpsk_ber(2, DB[:-1]), 0.5 * np.exp(-LINEAR[:-1]), rtol=1e-10)


def test_dqpsk_by_marcum_q() -> None:
    """Proakis, 4th ed., eq. 5.2-70: Q1(a, b) - I0(ab) exp(-(a^2 + b^2)/2) / 2."""
    for db, g in zip(DB[:-1], LINEAR[:-1], strict=True):
        a, b = math.sqrt(2 * g * (1 - math.sqrt(0.5))), math.sqrt(2 * g * (1 + math.sqrt(0.5)))
        bessel = quad(lambda t, ab=a * b: math.exp(ab * (math.cos(t) - 1)) / math.pi, 0, math.pi)[0]
        expected = ncx2.sf(b * b, 2, a * a) - 0.5 * bessel * math.exp(-((a - b) ** 2) / 2)
        assert theory.dpsk_ber(4, db) == pytest.approx(expected, rel=1e-6)


def test_dpsk_orders() -> None:
    with pytest.raises(ValueError, match="power of two"):
        theory.dpsk_ber(3, 0.0)


@pytest.mark.parametrize("name", ["bpsk", "16qam", "64qam", "4pam", "ook"])
def test_rayleigh_is_the_average_over_the_fading(name: str) -> None:
    constellation = Constellation.from_name(name)
    for db in (-3.0, 10.0, 30.0):
        average = quad(
            lambda u, db=db: math.exp(u - math.exp(u)) * float(theory.ber(constellation, db + 10 * u / math.log(10))),
            -40, 4, epsrel=1e-9, limit=400,
        )[0]  # fmt: skip
        assert theory.ber(constellation, db, channel="rayleigh") == pytest.approx(average, rel=1e-6)


def test_no_closed_form_is_none() -> None:
    assert theory.ber(Constellation.from_name("32qam"), DB) is None
    assert theory.ser(Constellation.from_name("16apsk"), DB) is None
    assert theory.ber(Constellation.psk(8), DB, channel="rayleigh") is None
    with pytest.raises(ValueError, match="channel is 'rice'"):
        theory.ber(Constellation.bpsk(), DB, channel="rice")


def test_uncoded_blocks() -> None:
    c = Constellation.qam(16)
    ser = theory.ser(c, DB)
    np.testing.assert_allclose(theory.bler(c, DB, bits_per_block=40), 1 - (1 - ser) ** 10, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["16qam", "8psk", "32qam", "16apsk"])
def test_union_bound_bounds_and_is_tight(name: str) -> None:
    c = Constellation.from_name(name)
    rng = np.random.default_rng(1)
    n = 400_000
    for db in (3.0, 9.0):
        sigma = math.sqrt(10 ** (-db / 10) / c.bits_per_symbol / 2)
        sent = rng.integers(0, c.order, n)
        received = c.points[sent] + sigma * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
        errors = (
            int(np.bitwise_count(sent ^ c.nearest(received)).sum())
            if hasattr(np, "bitwise_count")
            else int(c.bits[sent ^ c.nearest(received)].sum())
        )
        measured = errors / (n * c.bits_per_symbol)
        bound = float(theory.ber_union_bound(c, db))
        assert measured < bound + 4 * math.sqrt(bound / n)
        if db == 9.0:
            assert bound < 1.15 * measured + 5 * math.sqrt(bound / n)


@pytest.mark.parametrize(("name", "esn0_db"), [("bpsk", 0.0), ("16qam", 8.0), ("64qam", 15.0), ("16apsk", 10.0)])
def test_bmd_rate_by_monte_carlo(name: str, esn0_db: float) -> None:
    c = Constellation.from_name(name)
    rng = np.random.default_rng(2)
    n, noise_var = 60_000, 10 ** (-esn0_db / 10)
    sent = rng.integers(0, c.order, n)
    y = c.points[sent] + math.sqrt(noise_var / 2) * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
    likelihood = np.exp(-(np.abs(y[:, None] - c.points) ** 2) / noise_var)
    lost = np.zeros(n)
    for k in range(c.bits_per_symbol):
        same = np.where(c.bits[:, k] == c.bits[sent, k][:, None], likelihood, 0).sum(1)
        lost += np.log2(likelihood.sum(1) / same)
    expected = c.bits_per_symbol - lost.mean()
    assert theory.bmd_rate(c, esn0_db) == pytest.approx(expected, abs=5 * lost.std() / math.sqrt(n))
    assert theory.bmd_rate(c, esn0_db) < min(float(theory.capacity(esn0_db)), c.bits_per_symbol)


def test_bmd_rate_of_qam_is_that_of_its_axes() -> None:
    """Half of the energy in each of two axes, so each is a PAM at 3 dB less."""
    expected = 2 * theory.bmd_rate(Constellation.pam(8), 12.0 - 10 * math.log10(2))
    assert theory.bmd_rate(Constellation.qam(64), 12.0) == pytest.approx(expected, abs=2e-3)
