# SPDX-License-Identifier: GPL-3.0-or-later
"""The demapper's kernel through its binding: every constellation by name against the brute force, on every target."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gr_softmod.bindings import _kernels
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import soft_bit
from oracle import assert_llr_close, brute_force_llr

TARGETS = _kernels.simd_targets()
NAMES = Constellation.names()
METHODS = ["exact", "maxlog"]
NOISE = [1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0, 1e3]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set in turn."""
    _kernels.use_simd_target(request.param)
    yield request.param
    _kernels.use_simd_target(TARGETS[0])


def received(points: NDArray[np.complex128], n: int, seed: int = 1) -> NDArray[np.complex64]:
    """Noisy points, places between two points, far-out ones, the origin."""
    rng = np.random.default_rng(seed)
    y = points[rng.integers(len(points), size=n)]
    noise = rng.normal(size=n) + 1j * rng.normal(size=n)
    y = y + noise * rng.choice([0.0, 1e-3, 0.1, 1.0, 5.0], size=n)
    y[: n // 4] = (points[rng.integers(len(points), size=n // 4)] + points[rng.integers(len(points), size=n // 4)]) / 2
    y[0] = 0
    return y.astype(np.complex64)


@pytest.mark.parametrize("name", NAMES)
def test_llr_equals_brute_force(name: str, target: str) -> None:
    points = Constellation.from_name(name).points
    y = received(points, 40 if target == "generic" else 75)
    for method in METHODS:
        demapper = _kernels.SoftDemapper(points, method)
        for noise_var in NOISE if len(points) < 512 else NOISE[::3]:
            llr = demapper.demap(y, noise_var)
            assert llr.dtype == np.float32
            expected = brute_force_llr(points, y, np.float32(noise_var), method=method)
            assert_llr_close(llr, expected, y, noise_var)
        assert demapper.invalid_count == 0


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "8ask", "16qam", "64qam-dvb", "256qam", "32apsk", "128qam"])
@pytest.mark.parametrize("method", METHODS)
def test_priors_and_noise_by_symbol(name: str, method: str, target: str) -> None:
    points = Constellation.from_name(name).points
    demapper = _kernels.SoftDemapper(points, method)
    y = received(points, 75)
    noise_var = np.geomspace(1e-3, 10, y.size).astype(np.float32)
    priors = np.random.default_rng(3).normal(scale=4, size=y.size * demapper.bits_per_symbol).astype(np.float32)
    for noise, prior in ((noise_var, None), (np.float32(0.3), priors), (noise_var, priors)):
        expected = brute_force_llr(points, y, noise, priors=prior, method=method)
        assert_llr_close(demapper.demap(y, noise, prior), expected, y, noise)


def test_the_fast_form_is_found() -> None:
    """Named constellations whose bits belong to axes are worked axis by axis."""
    for name in NAMES:
        constellation = Constellation.from_name(name)
        assert _kernels.SoftDemapper(constellation.points).separable == (constellation.axes is not None), name


points_of_any_kind = st.integers(1, 6).flatmap(
    lambda m: hnp.arrays(
        np.complex128,
        1 << m,
        elements=st.complex_numbers(max_magnitude=4, allow_nan=False, allow_infinity=False),
        unique=True,
    ).filter(lambda points: np.abs(points).max() > 0.1)
)
seeds = st.integers(0, 2**32 - 1)
noises = st.floats(1e-6, 1e3)


@settings(max_examples=150, deadline=None)
@given(points_of_any_kind, seeds, noises, st.sampled_from(METHODS), st.sampled_from(TARGETS), st.booleans())
def test_any_points(
    points: NDArray[np.complex128], seed: int, noise_var: float, method: str, target: str, with_priors: bool
) -> None:
    y = received(points, 20, seed)
    demapper = _kernels.SoftDemapper(points, method)
    rng = np.random.default_rng(seed)
    priors = rng.normal(scale=5, size=20 * demapper.bits_per_symbol).astype(np.float32) if with_priors else None
    _kernels.use_simd_target(target)
    try:
        llr = demapper.demap(y, noise_var, priors)
    finally:
        _kernels.use_simd_target(TARGETS[0])
    expected = brute_force_llr(points, y, np.float32(noise_var), priors=priors, method=method)
    # An LLR is a difference of terms of the size of the points' energies, whatever these are.
    assert_llr_close(llr, expected, np.abs(y) + np.abs(points).max(), noise_var)


any_float = hnp.arrays(np.float32, 12, elements=st.floats(width=32))


@settings(max_examples=200, deadline=None)
@given(
    any_float, any_float, any_float, hnp.arrays(np.float32, 36, elements=st.floats(width=32)), st.sampled_from(METHODS)
)
def test_any_input_gives_finite_llrs(
    re: NDArray[np.float32],
    im: NDArray[np.float32],
    noise_var: NDArray[np.float32],
    priors: NDArray[np.float32],
    method: str,
) -> None:
    y = np.empty(12, np.complex64)
    y.real, y.imag = re, im  # arithmetic would make NaN of inf
    usable = np.isfinite(y) & np.isfinite(noise_var) & (noise_var > 0)
    for name in ("8psk", "8pam"):
        demapper = _kernels.SoftDemapper(Constellation.from_name(name).points, method)
        llr = demapper.demap(y, noise_var, priors).reshape(12, 3)
        assert np.all(np.isfinite(llr))
        assert not np.any(llr[~usable])
        assert demapper.invalid_count == np.count_nonzero(~usable | np.isnan(priors.reshape(12, 3)).any(axis=1))


@settings(max_examples=50, deadline=None)
@given(points_of_any_kind, seeds, st.integers(0, 63))
def test_flipping_bits_of_labels_flips_their_llrs(points: NDArray[np.complex128], seed: int, mask: int) -> None:
    mask %= len(points)
    y = received(points, 20, seed)
    m = len(points).bit_length() - 1
    flipped = _kernels.SoftDemapper(points[np.arange(len(points)) ^ mask]).demap(y, 0.5).reshape(-1, m)
    signs = 1 - 2 * ((mask >> np.arange(m - 1, -1, -1)) & 1)
    assert np.allclose(
        flipped * signs, _kernels.SoftDemapper(points).demap(y, 0.5).reshape(-1, m), rtol=1e-4, atol=1e-4
    )


@settings(max_examples=50, deadline=None)
@given(points_of_any_kind, seeds, noises)
def test_maxlog_is_off_by_the_number_of_points_at_most(
    points: NDArray[np.complex128], seed: int, noise_var: float
) -> None:
    """A sum of n terms lies between its largest and n times that."""
    y = received(points, 20, seed)
    exact, maxlog = (_kernels.SoftDemapper(points, method).demap(y, noise_var) for method in METHODS)
    bound = math.log(len(points) / 2)
    assert np.all(np.abs(exact - maxlog) <= bound + 1e-5 * np.abs(exact) + 1e-4 + 1e-5 / noise_var)


@pytest.mark.parametrize("name", ["bpsk", "16qam", "8psk", "32apsk", "ook", "8ask"])
def test_exact_llrs_are_calibrated(name: str) -> None:
    """Among bits of one LLR a share sigmoid(LLR) is 1: sign, scale and noise in one."""
    constellation = Constellation.from_name(name)
    rng = np.random.default_rng(5)
    noise_var = 0.2
    bits = rng.integers(0, 2, 300_000 // constellation.bits_per_symbol * constellation.bits_per_symbol)
    symbols = constellation.modulate(bits)
    noise = rng.normal(size=symbols.size) + 1j * rng.normal(size=symbols.size)
    llr = _kernels.SoftDemapper(constellation.points).demap(symbols + noise * np.sqrt(noise_var / 2), noise_var)
    edges = np.linspace(-6, 6, 25)
    bins = np.digitize(llr, edges)
    for i in range(1, len(edges)):
        inside = bins == i
        n = np.count_nonzero(inside)
        if n >= 100:
            expected = soft_bit(llr[inside]).mean()
            sigma = math.sqrt(expected * (1 - expected) / n)
            assert abs(bits[inside].mean() - expected) < 4.5 * sigma, (edges[i - 1], n)


@pytest.mark.parametrize("name", ["qpsk", "64qam", "16apsk"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 7.5, 1e6])
def test_int8_is_rounded_and_saturated(name: str, scale: float, target: str) -> None:
    points = Constellation.from_name(name).points
    demapper = _kernels.SoftDemapper(points, "maxlog")
    y = received(points, 1000)
    got = demapper.demap_int8(y, 0.05, scale)
    assert got.dtype == np.int8
    llr = demapper.demap(y, 0.05) * np.float32(scale)
    assert np.array_equal(got, np.clip(np.rint(llr), -127, 127))
    exact = brute_force_llr(points, y, np.float32(0.05), method="maxlog") * scale
    assert np.all(np.abs(got - np.clip(exact, -127, 127)) <= 0.5 + 1e-3 * scale + 1e-4 * np.minimum(np.abs(exact), 128))


def test_arrays_of_other_kinds_are_taken() -> None:
    demapper = _kernels.SoftDemapper([1, -1])
    expected = np.float32([-4, 4, 0])
    assert np.array_equal(demapper.demap([1, -1, 0], 1), expected)
    assert np.array_equal(demapper.demap(np.array([1, 9, -1, 9, 0, 9])[::2], np.ones(3)), expected)
    assert demapper.demap(np.empty(0, np.complex64), 1.0).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _kernels.SoftDemapper([1, 1j, -1]), "a constellation has 2 to 65536 points, a power of two; got 3"),
        (lambda: _kernels.SoftDemapper([1, np.nan]), "constellation point 1 is not finite"),
        (lambda: _kernels.SoftDemapper([[1, -1]]), "points has 2 dimensions; it must have one"),
        (lambda: _kernels.SoftDemapper([1, -1], "log"), "method is 'log'; it must be 'exact' or 'maxlog'"),
        (lambda: QPSK.demap(np.zeros((2, 2)), 1.0), "symbols has 2 dimensions; it must have one"),
        (lambda: QPSK.demap(np.zeros(3), [1.0, 2.0]), "noise_var must be one number or one for each of the 3 symbols"),
        (lambda: QPSK.demap(np.zeros(3), 0.0), "noise_var is 0.000000; it must be positive and finite"),
        (lambda: QPSK.demap(np.zeros(3), np.nan), "noise_var is nan; it must be positive and finite"),
        (lambda: QPSK.demap(np.zeros(3), 1.0, np.zeros(3)), "priors must hold 6 LLRs, one per bit; got 3"),
        (lambda: QPSK.demap_int8(np.zeros(3), 1.0, 0.0), "scale is 0.000000; it must be positive and finite"),
        (lambda: _kernels.use_simd_target("mmx"), "SIMD target 'mmx' is not available; this CPU and build have: "),
    ],
)
def test_errors_name_the_input(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value).startswith(message)


QPSK = _kernels.SoftDemapper(Constellation.qpsk().points)
