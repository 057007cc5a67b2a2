# SPDX-License-Identifier: GPL-3.0-or-later
"""Expert features: against sums over partitions, theory of constellations, and their own invariances."""

import re
from collections.abc import Iterator
from math import factorial, pi, prod, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gr_softmod.classifier import feature_set
from gr_softmod.classifier.feature_set import FEATURE_NAMES, MATCHED, SET_1, SET_2, set_of
from gr_softmod.classifier.features import features, normalise
from gr_softmod.constellation import Constellation
from gr_softmod.modem.pulse import root_raised_cosine

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
    for octave in range(3):
        part = row[54 * octave : 54 * (octave + 1)]
        np.testing.assert_allclose(part[:41], feature_set.compute_set_1(x), atol=1e-9)
        np.testing.assert_allclose(part[41:], envelope_by_hand(x), atol=2e-6)
        x = halved_by_hand(x)


@pytest.mark.parametrize("band", range(3))
def test_matched_filters_are_windowed_root_raised_cosines(band: int) -> None:
    fine = root_raised_cosine(round(3000 * 2 ** (band / 3)), 0.35, 6).numpy()  # of a thousand times the rate
    middle = len(fine) // 2
    taps = fine[middle - 8000 : middle + 8001 : 1000] * np.sqrt(np.hanning(19)[1:-1])
    half = MATCHED[band]
    np.testing.assert_allclose((*half[:0:-1], *half), taps / np.sqrt(np.sum(taps**2)), atol=1e-4)


def band_by_hand(x: np.ndarray, half: tuple[float, ...]) -> list[float]:
    y = np.zeros(len(x), complex)
    for n in range(len(x)):
        for k in range(-8, 9):
            if 0 <= n + k < len(x):
                y[n] += half[abs(k)] * x[n + k]
    rms = sqrt(np.mean(np.abs(y) ** 2))
    return [rms, *envelope_by_hand(y / rms)]


def test_bands_equal_direct_sums() -> None:
    x = mixed_frames()[11]
    row = dict(zip(FEATURE_NAMES, features(torch.tensor(x)).numpy(), strict=True))
    for rate in ("", "/2", "/4"):
        for k, half in enumerate(MATCHED):
            names = [f"band_{k}", *(f"band_{k}_envelope_{i}" for i in range(13))]
            found = [row[name + rate] for name in names]
            np.testing.assert_allclose(found, band_by_hand(x, half), atol=2e-6, err_msg=f"band {k}{rate}")
        x = halved_by_hand(x)


def test_a_filter_near_the_pulse_shows_the_rings() -> None:
    """16QAM and 64QAM at 14 dB, 4 samples a symbol: how far their envelopes lie apart, in standard deviations."""
    rng = np.random.default_rng(5)
    pulse = root_raised_cosine(4, 0.35, 16).numpy()

    def envelopes(name: str) -> np.ndarray:
        symbols = np.zeros((60, 1024 + len(pulse) - 1), complex)
        symbols[:, ::4] = rng.choice(Constellation.from_name(name).points, symbols[:, ::4].shape)
        signal = feature_set.normalise(np.stack([np.convolve(row, pulse, "valid") for row in symbols]))
        noise = (rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape)) * 10 ** (-14 / 20) / sqrt(2)
        return feature_set.compute(feature_set.normalise(signal + noise))

    one, other = envelopes("16qam"), envelopes("64qam")
    apart = np.abs(one.mean(0) - other.mean(0)) / np.sqrt((one.var(0) + other.var(0)) / 2 + 1e-12)

    def distance(prefix: str) -> float:
        return float(np.linalg.norm([apart[FEATURE_NAMES.index(f"{prefix}envelope_{i}")] for i in range(13)]))

    assert distance("band_1_") > 1.5 * distance("")


@pytest.mark.parametrize(
    ("length", "rates"), [(127, 0), (128, 1), (255, 1), (256, 2), (514, 2), (512, 3), (1024, 3), (4096, 3)]
)
def test_what_a_length_has(length: int, rates: int) -> None:
    all_of_it = (*SET_2[: 54 * rates], *FEATURE_NAMES[162 : 162 + 42 * rates])
    expected = {1: SET_1 if rates else (), 2: SET_2[: 54 * rates], 3: all_of_it}
    for number, names in expected.items():
        assert feature_set.known_features(length, number) == names
        if rates:
            assert feature_set.compute(np.ones((1, length), np.complex64), number).shape == (1, len(names))
    if rates:
        assert features(torch.ones(1, length, dtype=torch.complex64)).shape == (1, len(all_of_it))


@pytest.mark.parametrize("number", [0, 4])
def test_refuses_a_set_that_there_is_not(number: int) -> None:
    frames = np.ones((1, 256), np.complex64)
    for use in (
        lambda: feature_set.known_features(256, number),
        lambda: feature_set.compute(frames, number),
        lambda: features(torch.from_numpy(frames), number),
    ):
        with pytest.raises(ValueError, match=f"feature_set is {number}"):
            use()


def test_a_smaller_set_is_part_of_a_larger_one() -> None:
    frames = mixed_frames()[:3, :256]
    everything = dict(zip(feature_set.known_features(256), feature_set.compute(frames).T, strict=True))
    for number in (1, 2):
        part = zip(feature_set.known_features(256, number), feature_set.compute(frames, number).T, strict=True)
        for name, column in part:
            np.testing.assert_array_equal(column, everything[name], err_msg=name)
        in_torch = features(torch.tensor(frames), number).numpy()
        np.testing.assert_allclose(in_torch, feature_set.compute(frames, number), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ((), 1),
        (("mean",), 1),
        (("mean", "envelope_3"), 2),
        (("mean/4",), 2),
        (("band_0",), 3),
        (("c20", "band_2_envelope_12/4"), 3),
    ],
)
def test_a_file_names_the_smallest_set_that_will_do(names: tuple[str, ...], number: int) -> None:
    assert set_of(names) == number


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
    frames = torch.tensor(mixed_frames()[::10])
    plain = features(frames)
    turned = features(normalise(frames * (level * np.exp(1j * phase))))
    torch.testing.assert_close(turned, plain, rtol=0, atol=1e-5)
    carrier = torch.exp(2j * pi * offset * torch.arange(frames.shape[-1], dtype=torch.float64))
    moved = features(frames * carrier, 1)
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
    for place, name in ((162, "band_0"), (176, "band_1"), (204, "band_0/2"), (246, "band_0/4")):
        assert FEATURE_NAMES[place] == name and re.search(rf"^\| {place}(\.\.\d+)? \| `{name}`", page, re.MULTILINE)
    for k, half in enumerate(MATCHED):
        assert f"| {k} | {' | '.join(f'{tap:.4f}' for tap in half)} |" in page
    assert (len(SET_1), len(SET_2), len(FEATURE_NAMES)) == (41, 162, 288) and "41, 162 and 288 numbers" in page
