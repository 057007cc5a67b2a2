# SPDX-License-Identifier: GPL-3.0-or-later
"""The pieces of benchmarks/field: its signals are what they are called, its SNR is right, its counts are counts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from gnuradio import filter

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks" / "field"))
import cases
import channel
import judge
import off_air
from transmitters import MAKERS

PLAIN = channel.Channel("plain", 0.0, 1.0, (1.0,), 0.0, 0.0, 7, {})


def made(name: str, sps: int = 4, count: int = 4096) -> np.ndarray:
    signal = MAKERS[name](sps, count, np.random.default_rng(3))
    return signal / np.sqrt(np.mean(np.abs(signal) ** 2))


def symbols(name: str, sps: int = 4) -> np.ndarray:
    """Behind the matched filter, at the best instant: of the pulses that occur, the one that spreads powers least."""
    signal, found = made(name, sps, 1 << 15), []
    for rolloff in (0.2, 0.35, 0.5):
        matched = np.convolve(signal, filter.firdes.root_raised_cosine(1, sps, 1, rolloff, 22 * sps + 1), "same")
        found += [matched[100 * sps + start : -100 * sps : sps] for start in range(sps)]
    found = [s / np.sqrt(np.mean(np.abs(s) ** 2)) for s in found]
    return min(found, key=lambda s: np.mean(np.abs(s) ** 4))


@pytest.mark.parametrize(("name", "order"), [("BPSK", 2), ("QPSK", 4), ("8PSK", 8)])
def test_psk_has_its_order_and_no_lower_one(name: str, order: int) -> None:
    s = symbols(name)
    assert abs(np.mean(s**order)) > 0.9 and abs(np.mean(s ** (order // 2))) < 0.05


@pytest.mark.parametrize("name", ["GMSK", "FM"])
def test_constant_envelope(name: str) -> None:
    assert np.std(np.abs(made(name))) < 0.01


@pytest.mark.parametrize(("name", "kurtosis"), [("16QAM", 1.32), ("64QAM", 1.381)])
def test_order_of_qam_by_its_fourth_moment(name: str, kurtosis: float) -> None:
    assert np.mean(np.abs(symbols(name)) ** 4) == pytest.approx(kurtosis, abs=0.02)


def test_am_has_a_carrier_and_equal_side_bands_and_ook_pauses() -> None:
    am, ook = made("AM-DSB-WC"), made("OOK")
    assert np.abs(am.imag).max() < 1e-6 and am.real.mean() > 0.7
    assert 0.3 < np.mean(np.abs(ook) < 0.5) < 0.7


def test_every_signal_has_the_bandwidth_it_is_called_by() -> None:
    """More than 99 % of the power lies within twice the symbol rate (FM: Carson's rule is of 98 %)."""
    for name in MAKERS:
        power = np.abs(np.fft.fft(made(name, 8) * np.hanning(4096))) ** 2
        inside = np.abs(np.fft.fftfreq(4096)) < 1 / 8
        assert power[inside].sum() > (0.93 if name == "OOK" else 0.97) * power.sum(), name


@pytest.mark.parametrize("noise_var", [0.01, 1.0])
def test_noise_of_the_channel_is_what_was_asked(noise_var: float) -> None:
    signal = made("QPSK", count=8192 + channel.MARGIN).astype(np.complex64)
    clean, noisy = (channel.through(signal, PLAIN, power, 8192) for power in (0.0, noise_var))
    assert np.mean(np.abs(noisy - clean) ** 2) == pytest.approx(noise_var, rel=0.05)


def test_a_transmission_depends_on_its_case_alone_and_its_snr_is_es_n0() -> None:
    case = cases.Case("8PSK", 8, 20.0, "Es/N0", 1)
    (first, told), (again, _) = (cases.transmission(case) for _ in range(2))
    np.testing.assert_allclose(again, first, atol=1e-6 * np.abs(first).max())  # blocks of GNU Radio round by chance
    assert told["kind"] == "offset" and abs(told["offset"]) <= 0.05
    # Beyond the signal's band there is noise alone: 8 * 10^-2 over the whole band, by the power of the signal.
    spectrum = np.mean(np.abs(np.fft.fft(first * np.hanning(cases.LENGTH), axis=1)) ** 2, 0)
    beside = np.median(spectrum[300:700]) * cases.LENGTH
    assert beside / spectrum.sum() == pytest.approx(0.08 / 1.08, rel=0.1)


@pytest.mark.parametrize("width", [1.0, 0.3])
def test_noise_alone(width: float) -> None:
    samples = channel.noise(width, 0.1 if width < 1 else 0.0, -40, 8192, 1)
    spectrum = np.abs(np.fft.fft(samples)) ** 2
    inside = np.abs(np.fft.fftfreq(8192) - (0.1 if width < 1 else 0)) < width / 2 + 0.05
    assert spectrum[inside].sum() > 0.99 * spectrum.sum()
    assert 10 * np.log10(np.mean(np.abs(samples) ** 2)) == pytest.approx(-40 + 10 * np.log10(width), abs=0.5)


def test_counts() -> None:
    names = ["BPSK", "QPSK", "noise"]
    p = np.zeros((2, 8, 3), np.float32)
    p[0, :, 0] = 1  # BPSK in all frames
    p[1, :5] = (0.1, 0.5, 0.4)  # QPSK in five frames, and noise in three so surely that the mean is noise
    p[1, 5:] = (0, 0, 1)
    named = judge.Named(p, names)
    both = named.count("QPSK", np.array([False, True]))
    assert both["share"] == 5 / 8 and both["mean"]["share"] == 0 and both["taken_for"] == {"noise": 3 / 8}
    assert named.count("QPSK", np.array([True, False]))["kind"] == 1
    assert named.count("BPSK", np.array([True, False]))["mean"]["share"] == 1


def test_recordings_hold_signal_and_noise(recordings) -> None:
    """By the rule alone: picsat has four gaps, and what lies before the first burst is one of them."""
    frames, states = off_air.frames(recordings, off_air.RECORDINGS[0], 5, off_air.FILTERS["narrow"])
    power = np.mean(np.abs(frames) ** 2, 1)
    assert power[states == "signal"].min() > 4 * power[states == "noise"].max()
    assert "signal" not in states[:15] and 200 < np.sum(states == "signal") < 240
