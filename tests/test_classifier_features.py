# SPDX-License-Identifier: GPL-3.0-or-later
"""Expert features: against sums over partitions, theory of constellations, and their own invariances."""

from collections.abc import Iterator
from math import factorial, pi, prod, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gr_softmod.classifier import feature_set
from gr_softmod.classifier.feature_set import FEATURE_NAMES, SET_1
from gr_softmod.classifier.features import features, normalise
from gr_softmod.constellation import Constellation

INDEX = {name: i for i, name in enumerate(SET_1)}
#: (name, how many x and how many conj(x)) of the cumulants.
CUMULANTS = [("c40", 4, 0), ("c41", 3, 1), ("c42", 2, 2), ("c60", 6, 0), ("c61", 5, 1), ("c62", 4, 2), ("c63", 3, 3)]
UNCHANGED_BY_OFFSET = ("amplitude", "low", "peak", "lag", "skew", "turn", "line", "power")


def symbols(name: str, repeats: int = 24) -> np.ndarray:
    """Every point of a constellation equally often, shuffled: moments are the constellation's own."""
    points = Constellation.from_name(name).points
    count = repeats * max(1, 128 // len(points))
    return np.random.default_rng(1).permutation(np.tile(points, count))


def mixed_frames() -> np.ndarray:
    """Frames of many kinds, complex128 [B, 1024] of unit power."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(40, 1024)) + 1j * rng.normal(size=(40, 1024))
    names = ["bpsk", "qpsk", "8psk", "16qam", "64qam", "ook", "8ask", "32apsk-3/4"]
    rows = [np.repeat(rng.choice(Constellation.from_name(names[i % 8]).points, 128), 8) for i in range(40)]
    turn = np.exp(2j * pi * (rng.normal(size=(40, 1)) * 0.01 * np.arange(1024) + rng.random((40, 1))))
    return feature_set.normalise(np.stack(rows) * turn + noise * rng.choice([0.01, 0.1, 1], (40, 1)))


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for i, block in enumerate(smaller):
            yield [*smaller[:i], [first, *block], *smaller[i + 1 :]]


def cumulant(x: np.ndarray, plain: int, conjugated: int) -> complex:
    """Leonov and Shiryaev: sum over partitions of (-1)^(q-1) (q-1)! times the product of the blocks' moments."""
    variables = [x] * plain + [x.conj()] * conjugated
    total = 0j
    for blocks in partitions(list(range(len(variables)))):
        moments = [np.mean(prod(variables[i] for i in block)) for block in blocks]
        total += (-1) ** (len(blocks) - 1) * factorial(len(blocks) - 1) * prod(moments)
    return total


def decompress(c: float) -> float:
    """The z of ``c = z / sqrt(1 + |z|)``."""
    size = abs(c)
    return float(np.sign(c) * (size * size + size * sqrt(size * size + 4)) / 2)


@pytest.mark.parametrize(("name", "plain", "conjugated"), CUMULANTS)
def test_cumulants_are_sums_over_partitions(name: str, plain: int, conjugated: int) -> None:
    rng = np.random.default_rng(plain)
    z = rng.normal(size=400) + 0.3j * rng.normal(size=400) ** 3
    x = np.concatenate([z, -z])  # odd moments vanish exactly, nothing else does
    x /= np.sqrt(np.mean(np.abs(x) ** 2))
    expected = cumulant(x, plain, conjugated)
    value = decompress(feature_set.compute(x)[INDEX[name]])
    assert value == pytest.approx(expected.real if plain == conjugated else abs(expected), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "c40", "c42", "c63"),
    [
        ("bpsk", 2, -2, 16),
        ("qpsk", 1, -1, 4),
        ("8psk", 0, -1, 4),
        ("16qam", 0.68, -0.68, 2.08),
        ("64qam", 0.619, -0.619, 1.797),
        ("4pam", 1.36, -1.36, 8.32),
    ],
)
def test_cumulants_of_constellations(name: str, c40: float, c42: float, c63: float) -> None:
    row = features(torch.tensor(symbols(name)))
    for key, expected in (("c40", c40), ("c42", c42), ("c63", c63)):
        assert decompress(float(row[INDEX[key]])) == pytest.approx(expected, abs=2e-3), key


@pytest.mark.parametrize(("name", "q"), [("bpsk", 2), ("qpsk", 4), ("8psk", 8), ("16psk", 16)])
def test_limited_powers_find_psk(name: str, q: int) -> None:
    row = features(torch.tensor(symbols(name)))
    found = {power: float(row[INDEX[f"limited_{power}"]]) for power in (2, 4, 8, 16)}
    assert found[q] == pytest.approx(1, abs=1e-6)
    assert all(value < 1e-5 for power, value in found.items() if power < q)


def test_gaussian_noise_has_no_cumulants() -> None:
    x = np.random.default_rng(3).normal(size=(1, 200_000, 2)) @ np.array([1, 1j])
    row = feature_set.compute(feature_set.normalise(x))[0]
    for name in ("c40", "c42", "c41"):
        assert abs(row[INDEX[name]]) < 0.03
    for name in ("c60", "c61", "c62", "c63"):
        assert abs(row[INDEX[name]]) < 0.3
    assert row[INDEX["amplitude_1"]] == pytest.approx(sqrt(pi) / 2, abs=2e-3)


def test_torch_equals_direct_sums() -> None:
    """Loops over the samples of one frame, for everything that is not a cumulant."""
    x = mixed_frames()[3]
    n = len(x)
    a = np.abs(x)
    w = x / a
    v = {q: a * w**q for q in (1, 2, 4, 8, 16)}

    def lag(z: np.ndarray, k: int) -> complex:
        return sum(z[i] * np.conj(z[i - k]) for i in range(k, n)) / (n - k)

    turn1 = [w[i] * np.conj(w[i - 1]) for i in range(1, n)]
    turn4 = [w[i] * np.conj(w[i - 4]) for i in range(4, n)]
    expected = {
        "mean": abs(sum(x) / n),
        "amplitude_1": sum(a) / n,
        "amplitude_3": sum(a**3) / n,
        "low_4": sum(1 / (1 + 4 * a**2)) / n,
        "low_64": sum(1 / (1 + 64 * a**2)) / n,
        "peak": max(a),
        "c20": abs(sum(x**2) / n),
        **{f"limited_{q}": abs(sum(v[q]) / n) for q in (2, 4, 8, 16)},
        **{f"lag_{k}": abs(lag(x, k)) for k in (1, 2, 4, 8, 16, 64)},
        "offset": abs(lag(x, 1).imag),
        "skew": abs((lag(x, 2) * np.conj(lag(x, 1)) ** 2).imag),
        "turn_1": abs(sum(turn1)) / (n - 1),
        "turn_1x2": abs(sum(u**2 for u in turn1)) / (n - 1),
        "turn_1x4": abs(sum(u**4 for u in turn1)) / (n - 1),
        "turn_4": abs(sum(turn4)) / (n - 4),
        "turn_4x2": abs(sum(u**2 for u in turn4)) / (n - 4),
        **{f"line_{q}_{k}": abs(lag(v[q], k)) for q in (2, 4, 8) for k in (16, 64)},
        **{f"power_{k}": sum(a[k:] ** 2 * a[:-k] ** 2) / (n - k) - 1 for k in (2, 8, 16, 64)},
    }
    row = features(torch.tensor(x))
    assert set(SET_1) - set(expected) == {name for name, *_ in CUMULANTS}
    for name, value in expected.items():
        assert float(row[INDEX[name]]) == pytest.approx(float(value), abs=2e-6), name


def envelope_by_hand(x: np.ndarray) -> list[float]:
    """Each sample is shared between the two places it lies between."""
    counts = [0.0] * 13
    for sample in x:
        below, share = divmod((abs(sample) - 0.1) / 0.15, 1)
        for place, part in ((int(below), 1 - share), (int(below) + 1, share)):
            if 0 <= place < 13:
                counts[place] += part
    return [count / len(x) for count in counts]


def halved_by_hand(x: np.ndarray) -> np.ndarray:
    taps = {0: 1 / 2, 1: 9 / 32, -1: 9 / 32, 3: -1 / 32, -3: -1 / 32}
    lower = [sum(h * x[2 * m + k] for k, h in taps.items() if 0 <= 2 * m + k < len(x)) for m in range(len(x) // 2)]
    return np.array(lower) / np.sqrt(np.mean(np.abs(lower) ** 2))


def test_envelopes_and_lower_rates_equal_direct_sums() -> None:
    x = mixed_frames()[6]
    row = features(torch.tensor(x)).numpy()
    assert len(row) == 162
    for octave in range(3):
        part = row[54 * octave : 54 * (octave + 1)]
        np.testing.assert_allclose(part[:41], feature_set.compute_set_1(x), atol=1e-9)
        np.testing.assert_allclose(part[41:], envelope_by_hand(x), atol=2e-6)
        x = halved_by_hand(x)


@pytest.mark.parametrize(("length", "count"), [(127, 0), (128, 54), (255, 54), (256, 108), (514, 108), (512, 162)])
def test_what_a_length_has(length: int, count: int) -> None:
    assert feature_set.known_features(length) == FEATURE_NAMES[:count]
    if count:
        assert features(torch.ones(1, length, dtype=torch.complex64)).shape == (1, count)
        assert feature_set.compute(np.ones((1, length), np.complex64)).shape == (1, count)


def test_an_envelope_is_one_place_of_a_constant_one() -> None:
    row = dict(zip(FEATURE_NAMES, feature_set.compute(np.ones((1, 1024), np.complex128))[0], strict=True))
    assert row["envelope_6"] == pytest.approx(1) and row["envelope_5"] == pytest.approx(0)


def test_single_precision_is_enough() -> None:
    frames = mixed_frames()
    exact = feature_set.compute(frames)
    for rows in (
        features(torch.tensor(frames.astype(np.complex64))).numpy(),
        feature_set.compute(frames.astype(np.complex64)),
    ):
        assert rows.dtype == np.float32
        assert np.all(np.abs(rows - exact).max(0) < 1e-4 * exact.std(0))


@given(phase=st.floats(0, 2 * pi), level=st.floats(1e-4, 1e4), offset=st.floats(-0.4, 0.4))
def test_phase_level_and_offset_change_nothing_they_should_not(phase: float, level: float, offset: float) -> None:
    frames = torch.tensor(mixed_frames()[:8])
    plain = features(frames)
    turned = features(normalise(frames * (level * np.exp(1j * phase))))
    torch.testing.assert_close(turned, plain, rtol=0, atol=1e-5)
    carrier = torch.exp(2j * pi * offset * torch.arange(frames.shape[-1], dtype=torch.float64))
    moved = features(frames * carrier)
    kept = [i for i, name in enumerate(SET_1) if name.startswith(UNCHANGED_BY_OFFSET)]
    torch.testing.assert_close(moved[:, kept], plain[:, kept], rtol=0, atol=1e-5)


def test_gradients_are_finite_even_for_silence() -> None:
    frames = torch.tensor(mixed_frames()[:2].astype(np.complex64))
    frames[1] = 0
    frames.requires_grad_()
    rows = features(normalise(frames))
    rows.sum().backward()
    assert torch.isfinite(rows).all() and torch.isfinite(torch.view_as_real(frames.grad)).all()
    assert torch.view_as_real(frames.grad[0]).abs().max() > 0


def test_gradients_are_those_of_finite_differences() -> None:
    frame = torch.tensor(mixed_frames()[:1, :128], requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: features(normalise(z)), frame, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("frames", [torch.zeros(2, 127, dtype=torch.complex64), torch.zeros(2, 1024)])
def test_refuses_what_it_cannot_describe(frames: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="at least 128"):
        features(frames)
    with pytest.raises(ValueError, match="at least 128"):
        feature_set.compute(frames.numpy())


def test_the_page_names_every_feature_in_order() -> None:
    page = (Path(__file__).parents[1] / "docs/features.md").read_text()
    table = page[page.index("| # | name |") : page.index("o*: ")]
    assert "`envelope_0` .. `_12`" in page and "`mean/2` to `envelope_12/2`" in page
    for name in SET_1:
        short = "_" + name.split("_", 1)[1] if "_" in name else name
        assert f"`{name}`" in table or f"`{short}`" in table, name
    assert len(FEATURE_NAMES) == 162 and "162 numbers" in page and "41 of them" in page
