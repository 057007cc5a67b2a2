# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle against closed forms and itself, and the vector files against the oracle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from gr_softmod.constellation import Constellation
from gr_softmod.conventions import soft_bit
from oracle import assert_llr_close, brute_force_llr

VECTORS = Path(__file__).resolve().parent / "vectors"
sys.path.insert(0, str(VECTORS))

from make_vectors import constellations, path_of, vector  # noqa: E402

RNG = np.random.default_rng(3)
SYMBOLS = RNG.normal(size=200) + 1j * RNG.normal(size=200)


@pytest.mark.parametrize("method", ["exact", "maxlog"])
@pytest.mark.parametrize("noise_var", [1e-6, 0.1, 1.0, 1e3])
def test_closed_forms(method: str, noise_var: float) -> None:
    """BPSK: -4 Re(y) / noise_var. QPSK: -2 sqrt(2) Re(y) / noise_var, then the same of Im(y)."""
    bpsk = brute_force_llr(Constellation.bpsk(), SYMBOLS, noise_var, method=method)
    qpsk = brute_force_llr(Constellation.qpsk(), SYMBOLS, noise_var, method=method).reshape(-1, 2)
    assert np.allclose(bpsk, -4 * SYMBOLS.real / noise_var, rtol=1e-9, atol=1e-9 / noise_var)
    assert np.allclose(qpsk[:, 0], -2 * np.sqrt(2) * SYMBOLS.real / noise_var, rtol=1e-9, atol=1e-9 / noise_var)
    assert np.allclose(qpsk[:, 1], -2 * np.sqrt(2) * SYMBOLS.imag / noise_var, rtol=1e-9, atol=1e-9 / noise_var)


def test_priors_of_one_bit_symbols_add() -> None:
    priors = RNG.normal(size=200)
    plain = brute_force_llr(Constellation.bpsk(), SYMBOLS, 0.5)
    assert np.allclose(brute_force_llr(Constellation.bpsk(), SYMBOLS, 0.5, priors=priors), plain + priors)


def test_sure_priors_leave_a_smaller_constellation() -> None:
    """16-QAM whose two sign bits are known to be 0 is a QPSK of the first quadrant."""
    qam = Constellation.qam(16)
    priors = np.tile([-1e4, -1e4, 0, 0], 200)
    got = brute_force_llr(qam, SYMBOLS, 0.3, priors=priors).reshape(-1, 4)[:, 2:]
    assert np.allclose(got.reshape(-1), brute_force_llr(qam.points[:4], SYMBOLS, 0.3))


def test_per_symbol_noise_and_non_finite_symbols() -> None:
    qam = Constellation.qam(16)
    noise = np.geomspace(1e-3, 10, 200)
    together = brute_force_llr(qam, SYMBOLS, noise).reshape(-1, 4)
    for i in (0, 99, 199):
        assert np.allclose(together[i], brute_force_llr(qam, SYMBOLS[i : i + 1], noise[i]))
    assert not np.any(brute_force_llr(qam, [np.nan, complex(0, np.inf)], 1.0))


@pytest.mark.parametrize("name", ["bpsk", "16qam", "8psk", "32apsk", "32qam", "ook"])
def test_exact_llrs_are_calibrated(name: str) -> None:
    """Among bits of one LLR a share sigmoid(LLR) is 1: the sign, scale and noise conventions in one check."""
    constellation = Constellation.from_name(name)
    rng = np.random.default_rng(5)
    noise_var = 0.2
    bits = rng.integers(0, 2, 60_000 * constellation.bits_per_symbol)
    symbols = constellation.modulate(bits)
    noise = rng.normal(size=symbols.size) + 1j * rng.normal(size=symbols.size)
    llr = brute_force_llr(constellation, symbols + noise * np.sqrt(noise_var / 2), noise_var)
    edges = np.linspace(-6, 6, 25)
    bins = np.digitize(llr, edges)
    for k in range(1, len(edges)):
        inside = bins == k
        if np.count_nonzero(inside) > 500:
            wanted = soft_bit(llr[inside])
            deviation = np.sqrt(np.sum(wanted * (1 - wanted)))
            assert abs(np.sum(bits[inside]) - np.sum(wanted)) < 4.5 * deviation


def test_a_wrong_noise_variance_is_caught_by_calibration_tolerances() -> None:
    """What assert_llr_close must refuse: half the noise, the other sign, one bit swapped."""
    qam = Constellation.qam(16)
    good = brute_force_llr(qam, SYMBOLS, 0.3)
    assert_llr_close(good.astype(np.float32), good, SYMBOLS, 0.3)
    swapped = good.reshape(-1, 4)[:, ::-1].reshape(-1)
    for bad in (2 * good, -good, swapped, good + 1e-3 * np.abs(good).max(), np.full_like(good, np.nan), good[:-1]):
        with pytest.raises(AssertionError):
            assert_llr_close(bad, good, SYMBOLS, 0.3)


@pytest.mark.parametrize("constellation", constellations(), ids=str)
def test_files_are_what_the_generator_makes(constellation: Constellation) -> None:
    stored = json.loads(path_of(constellation).read_text())
    made = json.loads(json.dumps(vector(constellation)))
    assert stored["points"] == made["points"] and stored["symbols"] == made["symbols"]
    for kept, new in zip(stored["cases"], made["cases"], strict=True):
        assert kept["noise_var"] == new["noise_var"] and kept["priors"] == new["priors"]
        for method in ("exact", "maxlog"):
            assert np.allclose(kept[method], new[method], rtol=1e-10, atol=1e-9)


def test_there_is_no_stale_file() -> None:
    assert {path.name for path in VECTORS.glob("*.json")} == {path_of(c).name for c in constellations()}
