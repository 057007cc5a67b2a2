# SPDX-License-Identifier: GPL-3.0-or-later
"""timing_recovery_cc: symbols at any clock and phase; bursts; noise; tags; how the stream is cut; faults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run
from gr_softmod.constellation import Constellation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "receiver"))
from link import pulse, waveform

SETTLED = 2048


def matched(
    name: str, esn0_db: float, count: int = 8000, clock: float = 0.0, delay: float = 0.0, roll_off: float = 0.35
) -> tuple[NDArray, NDArray[np.complex64]]:
    """Sent symbols behind 16 of silence, and what a matched filter gives: 4 samples a symbol, power about 1."""
    rng = np.random.default_rng(3)
    sent = rng.choice(Constellation.from_name(name).points, count)
    clean = waveform(np.concatenate((np.zeros(16), sent)), 4 * (1 + clock), roll_off, delay)
    noise = rng.normal(size=(len(clean), 2)) @ [1, 1j] * np.sqrt(0.5 * 4 * 10 ** (-esn0_db / 10))
    taps = pulse(np.arange(-48, 49) / 4, roll_off) / 4
    return sent, np.convolve(clean + noise, taps, "same").astype(np.complex64)


def error_db(symbols: NDArray, sent: NDArray, settled: int = SETTLED) -> float:
    """Mean power of the symbols' errors from ``settled`` on, at the shift that fits best."""
    errors = []
    for lag in range(-40, 41):
        first = settled + max(0, -lag)
        count = min(len(symbols) - first, len(sent) - first - lag) - 32
        difference = symbols[first : first + count] - sent[first + lag : first + lag + count]
        errors.append(float(np.mean(np.abs(difference) ** 2)))
    return 10 * np.log10(min(errors))


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "64qam"])
@pytest.mark.parametrize("clock", [0.0, 50e-6, -1e-3, 4.5e-3])
def test_symbols_have_the_noise_that_was_added_and_little_more(name: str, clock: float) -> None:
    sent, samples = matched(name, 15, clock=clock)
    block = softmod.timing_recovery_cc()
    (symbols,) = run(block, samples, outputs="c").outputs
    assert block.locked() and abs(block.clock_error() - clock) < 3e-4
    assert abs(len(symbols) - len(samples) / 4 / (1 + clock)) < 8
    assert error_db(symbols, sent) < -15 + 0.4


@pytest.mark.parametrize("roll_off", [0.2, 0.5, 1.0])
def test_any_pulse(roll_off: float) -> None:
    sent, samples = matched("qpsk", 12, 12_000, 50e-6, roll_off=roll_off)
    (symbols,) = run(softmod.timing_recovery_cc(roll_off), samples, outputs="c").outputs
    assert error_db(symbols, sent, 8192) < -12 + 0.5


@pytest.mark.parametrize("delay", [0.25, 1.0, 1.5, 2.75, 3.5])
def test_the_first_symbols_are_timed_like_the_last(delay: float) -> None:
    """A lock works backward over what is held."""
    sent, samples = matched("qpsk", 20, delay=delay)
    (symbols,) = run(softmod.timing_recovery_cc(), samples, outputs="c").outputs
    assert error_db(symbols[:400], sent[:400], 24) < -17


def test_halfway_samples_lie_halfway() -> None:
    sent, samples = matched("qpsk", 60)
    result = run(softmod.timing_recovery_cc(outputs_per_symbol=2), samples, outputs="c").outputs[0]
    symbols, halves = result[::2], result[1::2]
    assert error_db(symbols, sent) < -30
    lag = next(n for n in range(-40, 41) if np.allclose(symbols[3000:3100], sent[3000 + n : 3100 + n], atol=0.2))
    at = 4 * (16 + 3000 + lag) + 2  # of the input: 16 symbols of silence, then 4 samples a symbol
    np.testing.assert_allclose(halves[3000:3100], samples[at : at + 400 : 4], atol=0.1)


def test_noise_alone_does_not_lock() -> None:
    rng = np.random.default_rng(5)
    samples = (rng.normal(size=(40_000, 2)) @ [1, 1j] / np.sqrt(2)).astype(np.complex64)
    block = softmod.timing_recovery_cc()
    (symbols,) = run(block, samples, outputs="c").outputs
    assert not block.locked() and block.clock_error() == 0
    held = 4 * 2 * 1024  # samples at most
    assert len(samples) - held <= 4 * len(symbols) <= len(samples)


def test_lock_is_lost_with_the_signal_and_found_again() -> None:
    sent, signal = matched("qpsk", 15, 4000)
    rng = np.random.default_rng(6)
    pause = (rng.normal(size=(20_000, 2)) @ [1, 1j] / np.sqrt(2)).astype(np.complex64)
    lost, found = softmod.timing_recovery_cc(), softmod.timing_recovery_cc()
    run(lost, np.concatenate((signal, pause)), outputs="c")
    assert not lost.locked()
    (symbols,) = run(found, np.concatenate((signal, pause, signal)), outputs="c").outputs
    assert found.locked()
    assert error_db(symbols[-3500:-8], sent[-3500 + 8 :], 64) < -15 + 0.5, "the second burst is whole, too"


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_tag_goes_to_the_first_symbol_at_or_behind_its_sample(outputs: int) -> None:
    _, samples = matched("qpsk", 20)
    tags = [(at, "mark", at) for at in range(100, 30_000, 997)]
    result = run(softmod.timing_recovery_cc(outputs_per_symbol=outputs), samples, tags=tags, outputs="c")
    marks = result.tagged("mark")
    assert [value for _, value in marks] == [at for at, *_ in tags]
    for offset, value in marks:
        assert offset % outputs == 0 and abs(4 * offset / outputs - value) <= 8


def test_the_output_does_not_depend_on_how_the_stream_is_cut() -> None:
    _, samples = matched("qpsk", 10, 3000, 50e-6)
    whole, pieces = (
        run(softmod.timing_recovery_cc(), samples, outputs="c", chunk=size, input_chunk=size).outputs[0]
        for size in (None, 37)
    )
    np.testing.assert_array_equal(whole, pieces)


def test_the_setter_checks() -> None:
    block = softmod.timing_recovery_cc()
    block.set_loop_bandwidth(0.1)
    for bad in (0.0, 0.2, float("nan")):
        with pytest.raises(ValueError, match="loop_bandwidth is .*; it must be above 0 and at most 0.1"):
            block.set_loop_bandwidth(bad)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"excess_bandwidth": 0.0}, "excess_bandwidth is 0"),
        ({"excess_bandwidth": 1.5}, "excess_bandwidth is 1.5"),
        ({"loop_bandwidth": float("nan")}, "loop_bandwidth is nan"),
        ({"outputs_per_symbol": 3}, "outputs_per_symbol is 3; it must be 1 or 2"),
        ({"largest_clock_error": 0.06}, "largest_clock_error is 0.06"),
        ({"acquisition": 64}, "acquisition is 64; it must be 0 or a power of two from 128 to 16384"),
        ({"acquisition": 1000}, "acquisition is 1000"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        softmod.timing_recovery_cc(**bad)
