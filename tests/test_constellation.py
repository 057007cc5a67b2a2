# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellation: every named one, custom ones, labels, axes, files, errors."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.constellation_apsk import APSK
from gr_softmod.conventions import CLASS_NAMES, labels_of_bits

NAMES = Constellation.names()
ALL = [Constellation.from_name(name) for name in NAMES]

#: Pairs (counted from both ends) of nearest neighbours that differ in more than one bit. A cross has no Gray
#: labelling; those of 32-APSK and of 64-APSK 11/15 are the standard's own.
NOT_GRAY = {"32qam": 4, "128qam": 8, "512qam": 16, "64apsk-11/15": 4} | {
    name: 8 for name in NAMES if name in ("32apsk", *(f"32apsk-{r}" for r in ("3/4", "4/5", "5/6", "8/9", "9/10")))
}


def bits_for(constellation: Constellation, symbols: int = 200) -> NDArray[np.int64]:
    """Bits of every label once (of a few hundred symbols at most), then random ones."""
    rng = np.random.default_rng(1)
    labels = np.concatenate([np.arange(constellation.order), rng.integers(constellation.order, size=symbols)])
    return constellation.bits[labels].reshape(-1).astype(np.int64)


def neighbour_distances(constellation: Constellation) -> list[NDArray[np.int64]]:
    """For each point, the Hamming distances to its nearest neighbours."""
    points, bits = constellation.points, constellation.bits
    found = []
    for label in range(constellation.order):
        distance = np.abs(points - points[label])
        distance[label] = np.inf
        near = np.flatnonzero(distance < distance.min() * (1 + 1e-6))
        found.append(np.count_nonzero(bits[near] != bits[label], axis=1))
    return found


# -- what holds for all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_energy_is_one(constellation: Constellation) -> None:
    assert np.mean(np.abs(constellation.points) ** 2) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_bits_are_the_label_most_significant_first(constellation: Constellation) -> None:
    weights = 1 << np.arange(constellation.bits_per_symbol)[::-1]
    assert constellation.bits.shape == (constellation.order, constellation.bits_per_symbol)
    assert np.array_equal(constellation.bits @ weights, np.arange(constellation.order))


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_modulate_then_nearest_gives_the_labels(constellation: Constellation) -> None:
    bits = bits_for(constellation)
    labels = constellation.nearest(constellation.modulate(bits, first=5), first=5)
    assert np.array_equal(labels, labels_of_bits(bits, constellation.bits_per_symbol))


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_files_give_back_an_equal_one(constellation: Constellation) -> None:
    read = Constellation.from_dict(json.loads(json.dumps(constellation.to_dict())))
    for again in (read, pickle.loads(pickle.dumps(constellation)), copy.deepcopy(constellation)):
        assert again == constellation and hash(again) == hash(constellation) and str(again) == str(constellation)


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_to_themselves_in_any_case(name: str) -> None:
    assert str(Constellation.from_name(name)) == name
    assert Constellation.from_name(name.upper()) == Constellation.from_name(name)


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_nearest_neighbours_differ_in_one_bit(constellation: Constellation) -> None:
    distances = np.concatenate(neighbour_distances(constellation))
    assert np.count_nonzero(distances > 1) == NOT_GRAY.get(constellation.name, 0)


@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_axes_say_the_points(constellation: Constellation) -> None:
    separable = constellation.name.removesuffix("-dvb").endswith(("pam", "ask", "ook", "qpsk", "qam", "bpsk"))
    if not separable or constellation.name in ("32qam", "128qam", "512qam"):
        assert constellation.axes is None
    else:
        assert np.allclose(points_of_axes(constellation), constellation.points, atol=1e-12)


def points_of_axes(constellation: Constellation) -> NDArray[np.complex128]:
    axes, bits = constellation.axes, constellation.bits
    assert axes is not None
    assert sorted(axes.i_bits + axes.q_bits) == list(range(constellation.bits_per_symbol))

    def levels(values: NDArray, positions: tuple[int, ...]) -> NDArray:
        assert len(values) == 1 << len(positions)
        return values[[int("".join(map(str, row[list(positions)])) or "0", 2) for row in bits]]

    return levels(axes.i_levels, axes.i_bits) + 1j * levels(axes.q_levels, axes.q_bits)


def test_every_modulation_class_of_radioml_with_symbols_is_here() -> None:
    not_linear = {"AM-SSB-WC", "AM-SSB-SC", "AM-DSB-WC", "AM-DSB-SC", "FM", "GMSK"}
    for name in set(CLASS_NAMES) - not_linear:
        assert Constellation.from_name(name).order >= 2


# -- one by one, against what the standards and textbooks say ---------------------------------------------------------


def test_bpsk_has_bit_0_at_plus_1() -> None:
    assert np.array_equal(Constellation.bpsk().points, [1, -1])


def test_ook_has_bit_0_at_no_carrier() -> None:
    assert np.allclose(Constellation.ook().points, [0, np.sqrt(2)])


def test_ask_is_unipolar_and_pam_bipolar() -> None:
    assert np.allclose(np.sort(Constellation.ask(4).points.real) / np.sqrt(2 / 7), [0, 1, 2, 3])
    assert np.allclose(np.sort(Constellation.pam(4).points.real) * np.sqrt(5), [-3, -1, 1, 3])


def test_psk_turns_counter_clockwise_from_label_0() -> None:
    assert np.allclose(Constellation.psk(8).points[[0, 1, 3, 2, 6, 7, 5, 4]], np.exp(2j * np.pi * np.arange(8) / 8))


@pytest.mark.parametrize(
    ("order", "axis"),
    [
        (4, lambda b: 1 - 2 * b[0]),
        (16, lambda b: (1 - 2 * b[0]) * (2 - (1 - 2 * b[1]))),
        (64, lambda b: (1 - 2 * b[0]) * (4 - (1 - 2 * b[1]) * (2 - (1 - 2 * b[2])))),
        (256, lambda b: (1 - 2 * b[0]) * (8 - (1 - 2 * b[1]) * (4 - (1 - 2 * b[2]) * (2 - (1 - 2 * b[3]))))),
    ],
)
def test_qam_is_that_of_ts_38_211(order: int, axis) -> None:
    """Sections 5.1.3 to 5.1.6, written out; the divisors there are sqrt(2), sqrt(10), sqrt(42), sqrt(170)."""
    qam = Constellation.qam(order, "3gpp")
    b = qam.bits.T.astype(int)
    divisor = {4: 2, 16: 10, 64: 42, 256: 170}[order]
    assert np.allclose(qam.points, (axis(b[0::2]) + 1j * axis(b[1::2])) / np.sqrt(divisor))
    assert qam == Constellation.qam(order)


def test_bpsk_of_ts_38_211_is_on_the_diagonal() -> None:
    assert np.allclose(Constellation.bpsk("3gpp").points * np.sqrt(2), [1 + 1j, -1 - 1j])


@pytest.mark.parametrize(
    ("order", "from_most_negative"),
    [
        (16, "10 11 01 00"),
        (64, "100 101 111 110 010 011 001 000"),
        (256, "1000 1001 1011 1010 1110 1111 1101 1100 0100 0101 0111 0110 0010 0011 0001 0000"),
    ],
)
def test_qam_labels_of_dvb_t2(order: int, from_most_negative: str) -> None:
    """EN 302 755 section 6.2.2: real part by bits 0, 2, ..; the imaginary part goes by bits 1, 3, .. the same way."""
    qam = Constellation.qam(order, "dvb")
    wanted = from_most_negative.split()
    levels = np.arange(1 - len(wanted), len(wanted), 2) / np.sqrt(2 * (order - 1) / 3)
    for label, bits in enumerate(qam.bits):
        assert qam.points[label].real == pytest.approx(levels[wanted.index("".join(map(str, bits[0::2])))])
        assert qam.points[label].imag == pytest.approx(levels[wanted.index("".join(map(str, bits[1::2])))])


@pytest.mark.parametrize("order", [32, 128, 512])
def test_cross_qam_is_a_square_without_corners(order: int) -> None:
    points = Constellation.qam(order).points
    unit = np.min(np.abs(points[1:] - points[0])) / 2
    grid = {(round(p.real / unit), round(p.imag / unit)) for p in points}
    side = 3 * (1 << (order.bit_length() // 2 - 2)) // 2 * 2 - 1  # 5, 11, 23
    cut = (2 * (side + 1) // 3) - 1  # beyond it in both directions lies a corner
    wanted = {
        (i, q) for i in range(-side, side + 1, 2) for q in range(-side, side + 1, 2) if min(abs(i), abs(q)) <= cut
    }
    assert grid == wanted and len(wanted) == order


@pytest.mark.parametrize(("order", "per_pair", "per_point"), [(32, 56 / 52, 34 / 32), (128, 240 / 232, 132 / 128)])
def test_gray_penalty_of_cross_qam(order: int, per_pair: float, per_point: float) -> None:
    """Below that of Smith's construction: 60/52 a pair and 7/6 averaged by point for 32, 264/232 for 128."""
    distances = neighbour_distances(Constellation.qam(order))
    assert np.mean(np.concatenate(distances)) == pytest.approx(per_pair)
    assert np.mean([np.mean(d) for d in distances]) == pytest.approx(per_point)


@pytest.mark.parametrize(
    ("name", "sizes", "ratios"),
    [
        ("16apsk-2/3", (4, 12), (1, 3.15)),
        ("16apsk-9/10", (4, 12), (1, 2.57)),
        ("16apsk-8/15-L", (8, 8), (1, 2.19)),
        ("32apsk-3/4", (4, 12, 16), (1, 2.84, 5.27)),
        ("32apsk-9/10", (4, 12, 16), (1, 2.53, 4.30)),
        ("32apsk-32/45", (4, 8, 4, 16), (1, 2.6, 2.99, 5.6)),
        ("64apsk-4/5", (8, 16, 20, 20), (1, 2.2, 3.6, 5.2)),
        ("64apsk-11/15", (4, 12, 20, 28), (1, 2.4, 4.3, 7.0)),
        ("128apsk-3/4", (16, 16, 16, 16, 16, 48), (1, 1.715, 2.118, 2.681, 2.75, 3.819)),
    ],
)
def test_apsk_rings(name: str, sizes: tuple[int, ...], ratios: tuple[float, ...]) -> None:
    radii = np.abs(Constellation.from_name(name).points)
    found, counts = np.unique(np.round(radii / radii.min(), 6), return_counts=True)
    assert tuple(counts) == sizes and np.allclose(found, ratios)


@pytest.mark.parametrize("name", [f"{order}apsk-{rate}" for order, rates in APSK.items() for rate in rates])
def test_apsk_is_symmetric_in_both_axes(name: str) -> None:
    points = Constellation.from_name(name).points
    for mirrored in (points.conj(), -points.conj()):
        assert np.all(np.min(np.abs(mirrored[:, None] - points), axis=1) < 1e-9)


@pytest.mark.parametrize("order", [16, 32, 64, 128])
def test_apsk_without_a_rate_is_that_of_the_default_rate(order: int) -> None:
    assert Constellation.apsk(order) == Constellation.apsk(order, "4/5" if order == 64 else "3/4")


def test_pi4_qpsk_turns_every_symbol_and_oqpsk_delays_q() -> None:
    pi4, oqpsk = Constellation.pi4_qpsk(), Constellation.oqpsk()
    assert np.allclose(np.unwrap(np.angle(pi4.modulate(np.zeros(20, int)))), np.pi / 4 * np.arange(1, 11))
    assert oqpsk.q_delay == 0.5 and oqpsk != Constellation.qpsk() and pi4 != Constellation.qpsk()


@pytest.mark.parametrize("name", ["qpsk", "pi4-qpsk", "pi2-bpsk"])
def test_modulating_in_pieces_is_modulating_at_once(name: str) -> None:
    constellation = Constellation.from_name(name)
    bits = bits_for(constellation)
    cut = 7 * constellation.bits_per_symbol
    pieces = [constellation.modulate(bits[:cut]), constellation.modulate(bits[cut:], first=7)]
    assert np.allclose(np.concatenate(pieces), constellation.modulate(bits))


def test_batches_keep_their_shape() -> None:
    qam = Constellation.qam(16)
    bits = bits_for(qam, 16).reshape(2, 4, -1)
    symbols = qam.modulate(bits)
    assert symbols.shape == (2, 4, 4) and qam.nearest(symbols).shape == (2, 4, 4)


# -- custom ones ------------------------------------------------------------------------------------------------------


@st.composite
def custom(draw: st.DrawFn) -> tuple[NDArray[np.complex128], NDArray[np.int64], float]:
    """Distinct points on a grid, a permutation of labels, a scale."""
    m = draw(st.integers(1, 5))
    cell = st.tuples(st.integers(-20, 20), st.integers(-20, 20))
    cells = draw(st.lists(cell, min_size=1 << m, max_size=1 << m, unique=True))
    points = np.array([complex(*c) for c in cells])
    return points, np.array(draw(st.permutations(range(1 << m)))), draw(st.floats(1e-150, 1e150))


@given(custom())
def test_custom_points_keep_their_labels_at_any_scale(drawn) -> None:
    points, labels, scale = drawn
    made = Constellation(points * scale, labels)
    rms = np.sqrt(np.mean(np.abs(points) ** 2))
    assert np.allclose(made.points[labels], points / rms, rtol=1e-12)
    assert Constellation.from_dict(made.to_dict()) == made


@given(custom(), st.integers(0, 2**31))
def test_nearest_is_the_nearest(drawn, seed: int) -> None:
    made = Constellation(drawn[0], drawn[1])
    rng = np.random.default_rng(seed)
    symbols = rng.normal(size=50) + 1j * rng.normal(size=50)
    distance = np.abs(symbols[:, None] - made.points)
    assert np.allclose(np.take_along_axis(distance, made.nearest(symbols)[:, None], 1)[:, 0], distance.min(axis=1))


@given(st.permutations(range(4)), st.permutations(range(2)), st.integers(0, 6), st.booleans())
def test_axes_are_found_for_any_grid_of_any_bit_order(columns, rows, swap: int, turned: bool) -> None:
    """A 4 x 2 grid whose columns take two bits and rows one, wherever those bits lie in the label."""
    order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 1, 2]][swap]
    points, labels = [], []
    for x, column in enumerate(columns):
        for y, row in enumerate(rows):
            bits = [column >> 1, column & 1, row]
            labels.append(sum(bits[order[k]] << (2 - k) for k in range(3)))
            points.append(complex(x * x - 2, 3 * y) * (1j if turned else 1))
    made = Constellation(points, labels)
    assert np.allclose(points_of_axes(made), made.points)


@given(custom())
def test_axes_never_misstate_the_points(drawn) -> None:
    made = Constellation(drawn[0], drawn[1])
    if made.axes is not None:
        assert np.allclose(points_of_axes(made), made.points, atol=1e-6)


def test_axes_survive_float32_and_end_with_a_turn() -> None:
    qam = Constellation.qam(64)
    assert Constellation(qam.points.astype(np.complex64) * np.float32(3.3)).axes is not None
    assert Constellation(qam.points * np.exp(0.1j)).axes is None


def test_swapping_two_labels_ends_the_axes() -> None:
    labels = np.arange(16)
    labels[[0, 3]] = labels[[3, 0]]
    assert Constellation(Constellation.qam(16).points, labels).axes is None


def test_equality_is_of_points_not_names() -> None:
    qpsk = Constellation.qpsk()
    other = Constellation(qpsk.points, name="mine")
    assert other == qpsk and hash(other) == hash(qpsk) and str(other) == "mine"
    assert qpsk != Constellation(qpsk.points, [1, 0, 2, 3]) and qpsk != "qpsk"


def test_it_does_not_change() -> None:
    qpsk = Constellation.qpsk()
    with pytest.raises(AttributeError, match="does not change"):
        qpsk.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        qpsk.points[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        qpsk.bits[0, 0] = 1


def test_the_given_array_stays_the_callers() -> None:
    given_points = np.array([1.0 + 0j, -1.0])
    made = Constellation(given_points)
    given_points[0] = 7
    assert made.points[0] == 1


# -- errors: one line a case ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Constellation([1, 2, 3]), r"shape \(3,\)"),
        (lambda: Constellation([1]), r"shape \(1,\)"),
        (lambda: Constellation([]), r"shape \(0,\)"),
        (lambda: Constellation([[1, -1]]), r"shape \(1, 2\)"),
        (lambda: Constellation([1, np.nan]), "point 1 is .*nan.*finite"),
        (lambda: Constellation([1, complex(0, np.inf)]), "point 1 is .*inf.*finite"),
        (lambda: Constellation([0, 0]), "needs energy"),
        (lambda: Constellation([1, -1, 1, 0]), "labels 0 and 2 have the same point"),
        (lambda: Constellation([1, -1], [0, 0]), "each of 0 .. 1 once"),
        (lambda: Constellation([1, -1], [1, 2]), "each of 0 .. 1 once"),
        (lambda: Constellation([1, -1], [0]), "each of 0 .. 1 once"),
        (lambda: Constellation([1, -1], [0.5, 1]), "each of 0 .. 1 once"),
        (lambda: Constellation([1, -1], rotation=np.nan), "rotation is nan"),
        (lambda: Constellation([1, -1], q_delay=np.inf), "q_delay is inf"),
        (lambda: Constellation.psk(6), "PSK order is 6"),
        (lambda: Constellation.psk(1), "PSK order is 1"),
        (lambda: Constellation.psk(16, "dvb"), "8-PSK; PSK order is 16"),
        (lambda: Constellation.pam(0), "PAM order is 0"),
        (lambda: Constellation.pam(2.5), "PAM order is 2.5"),
        (lambda: Constellation.ask(-4), "ASK order is -4"),
        (lambda: Constellation.qam(2), "QAM order is 2"),
        (lambda: Constellation.qam(8), "cross QAM has 32, 128 or 512"),
        (lambda: Constellation.qam(8192), "QAM order is 8192"),
        (lambda: Constellation.qam(32, "dvb"), "labels 'dvb'"),
        (lambda: Constellation.qam(4096, "3gpp"), "up to 1024-QAM"),
        (lambda: Constellation.qam(1024, "dvb"), "up to 256-QAM"),
        (lambda: Constellation.qam(16, "grey"), "'grey'; they must be one of gray, 3gpp, dvb"),
        (lambda: Constellation.bpsk("dvb"), "one of gray, 3gpp"),
        (lambda: Constellation.apsk(8), "APSK order is 8"),
        (lambda: Constellation.apsk(16, "1/4"), "no code rate '1/4'; it must be one of 2/3, 3/4"),
        (lambda: Constellation.from_name("16qan"), "did you mean 16qam"),
        (lambda: Constellation.from_name(""), "no constellation ''"),
        (lambda: Constellation.from_dict({}), "no key 'points'"),
        (lambda: Constellation.from_dict({"points": [[1, 0], [-1, 0]], "lables": []}), "unknown keys .'lables'."),
        (lambda: Constellation.from_dict({"points": [1, 2]}), "pairs"),
        (lambda: Constellation.qpsk().modulate([0, 1, 0]), "3 bits do not fill"),
        (lambda: Constellation.from_gnuradio(5), "int is not a GNU Radio constellation"),
        (lambda: Constellation.oqpsk().to_gnuradio(), "q_delay 0.5"),
        (lambda: Constellation.pi4_qpsk().to_gnuradio(), "rotation 0.78"),
    ],
)
def test_errors_say_what_is_wrong(make, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
