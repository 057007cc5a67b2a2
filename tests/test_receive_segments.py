# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellations by likelihood, and segments from windows."""

from __future__ import annotations

import numpy as np
import pytest

from gr_softmod.constellation import Constellation
from shaped_signal import shaped_signal

pytest.importorskip("gr_softmod.bindings._kernels")
from gr_softmod.receive.segments import find_segments
from gr_softmod.receive.survey import Finding, decide, judge, log_likelihood, survey

ORDERS = {"bpsk": 2, "qpsk": 4, "8psk": 8, "16qam": 4, "32qam": 4, "64qam": 4}


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("frequency", [0.0, 0.004, -0.01])
def test_the_true_constellation_is_likeliest(name: str, frequency: float) -> None:
    rng = np.random.default_rng(1)
    points, count = Constellation.from_name(name).points, 4096
    noise = rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(0.5 * 10**-2.2)
    turn = np.exp(2j * np.pi * (frequency * np.arange(count) + 0.3))
    symbols = ((rng.choice(points, count) * turn) + noise).astype(np.complex64)
    symbols /= np.sqrt(np.mean(np.abs(symbols) ** 2))
    best, share = decide(judge(symbols, ORDERS[name]), {})
    assert best == name.upper() and share > 0.9


def test_classifier_decides_where_symbols_do_not() -> None:
    assert decide({"16QAM": 0.1, "64QAM": 0.1}, {"16QAM": 0.2, "64QAM": 0.6})[0] == "64QAM"
    assert decide({"16QAM": 0.2, "64QAM": 0.1}, {"16QAM": 0.0, "64QAM": 0.99})[0] == "16QAM"


class Says:
    """A classifier that says the same of every frame."""

    frame_length = 1024
    class_names = ("QPSK", "OQPSK", "8PSK", "noise")

    def __init__(self, *shares: float) -> None:
        self.shares = np.array(shares)

    def run(self, frames: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(frames), 1))


@pytest.mark.parametrize(
    ("shares", "confirmed"),
    [
        ((0.3, 0.1, 0.3, 0.3), True),
        ((0.0, 0.4, 0.3, 0.3), True),
        ((0.0, 0.0, 0.0, 1.0), True),  # a clock and a line are no noise
        ((0.1, 0.6, 0.3, 0.0), False),  # a class that has no such symbols
        ((0.01, 0.0, 0.99, 0.0), False),  # sure of another
    ],
)
def test_two_witnesses(shares: tuple[float, ...], confirmed: bool) -> None:
    finding = survey(shaped_signal("qpsk", 16_384, 5.0, 15, 0.1), 1e6, Says(*shares))
    assert finding.symbol_rate == pytest.approx(200e3, rel=1e-4) and finding.carrier == pytest.approx(100e3, abs=20)
    assert finding.confirmed == confirmed and finding.constellation == ("qpsk" if confirmed else None)
    assert not confirmed or finding.name == "QPSK"


def test_bursts_are_judged_by_their_symbols() -> None:
    samples = shaped_signal("qpsk", 16_384, 5.0, 18, 0.1)
    rng = np.random.default_rng(1)
    samples[3000:9000] = rng.normal(size=(6000, 2)) @ [1, 1j] * np.sqrt(2.5 * 10**-1.8)
    finding = survey(samples, 1e6, Says(0.3, 0.0, 0.3, 0.4))
    assert finding.name == "QPSK" and finding.confirmed


def test_log_likelihood_is_that_of_the_mixture() -> None:
    """Against the sum of densities itself, in float64."""
    points = Constellation.qam(16).points
    rng = np.random.default_rng(2)
    symbols = rng.normal(size=(50, 2)) @ [1, 1j]
    density = np.mean(np.exp(-(np.abs(symbols[:, None] - 0.9 * points) ** 2) / 0.3) / (np.pi * 0.3), axis=1)
    np.testing.assert_allclose(log_likelihood(symbols, points, 0.9, 0.3), np.log(density), atol=1e-10)


def found(name: str, rate: float = 1000.0, carrier: float = 0.0) -> Finding:
    if not name:
        return Finding()
    return Finding(
        symbol_rate=rate, carrier=carrier, sharp=True, bandwidth=rate, name=name, probability=1, confirmed=True
    )


def segments_of(*names: str) -> list[tuple[int, int, str]]:
    return [(s.first, s.last, s.constellation) for s in find_segments([found(name) for name in names])]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["", ""], []),
        (["BPSK"], [(0, 0, "bpsk")]),
        (["", "QPSK", "QPSK", ""], [(1, 2, "qpsk")]),
        (["QPSK"] * 3 + ["16QAM"] * 3, [(0, 2, "qpsk"), (3, 5, "16qam")]),
        (["16QAM", "16QAM", "64QAM", "16QAM", "16QAM"], [(0, 4, "16qam")]),  # a wrong one
        (["QPSK", "QPSK", "", "QPSK"], [(0, 3, "qpsk")]),  # a gap
        (["QPSK", "QPSK", "", "16QAM", "16QAM"], [(0, 1, "qpsk"), (3, 4, "16qam")]),
        (["BPSK"] * 2 + [""] * 5 + ["BPSK"] * 2, [(0, 1, "bpsk"), (7, 8, "bpsk")]),
        (["GMSK", "FM", "GMSK"], []),
    ],
)
def test_segments(names: list[str], expected: list[tuple[int, int, str]]) -> None:
    assert segments_of(*names) == expected


def test_another_rate_or_carrier_is_another_segment() -> None:
    for other in (found("QPSK", rate=1100), found("QPSK", carrier=200)):
        segments = find_segments([found("QPSK")] * 3 + [other] * 3)
        assert [(s.first, s.last) for s in segments] == [(0, 2), (3, 5)]
    drifting = find_segments([found("QPSK", carrier=20 * k) for k in range(20)])
    assert len(drifting) == 1 and drifting[0].carrier == 190


def test_a_signal_of_no_modulation_is_no_constellation() -> None:
    """FM by noise: a band, and nothing to demodulate in it."""
    from gr_softmod.bindings._kernels import BlindEstimator

    rng = np.random.default_rng(4)
    sound = np.convolve(rng.normal(size=16_384 + 64), np.hanning(64), "valid")[:16_384]
    samples = np.exp(1j * np.cumsum(0.4 * sound / sound.std())).astype(np.complex64)
    assert BlindEstimator(16_384).estimate(samples)["symbol_rate"] == 0
