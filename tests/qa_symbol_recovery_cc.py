# SPDX-License-Identifier: GPL-3.0-or-later
"""symbol_recovery_cc: carrier, amplitude and noise of every kind of constellation; bursts; tags; faults."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run
from gr_softmod.constellation import Constellation

FREQUENCY = 0.011  # cycles a symbol


def received(
    name: str, esn0_db: float, count: int = 20_000, gain: float = 1.0
) -> tuple[NDArray, NDArray[np.complex64]]:
    """Sent symbols, and the same turned by FREQUENCY, with noise."""
    rng = np.random.default_rng(3)
    sent = rng.choice(Constellation.from_name(name).points, count)
    noise = rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(0.5 * 10 ** (-esn0_db / 10))
    carrier = np.exp(1j * (0.4 + 2 * np.pi * FREQUENCY * np.arange(count)))
    return sent, (gain * (sent * carrier + noise)).astype(np.complex64)


def errors(symbols: NDArray, sent: NDArray, symmetry: int) -> NDArray:
    """Symbols less the sent ones, at the turn that fits best."""
    turns = [symbols * cmath.rect(1, 2 * np.pi * k / symmetry) - sent for k in range(symmetry)]
    return min(turns, key=lambda error: float(np.mean(np.abs(error) ** 2)))


@pytest.mark.parametrize(
    ("name", "symmetry", "esn0_db"),
    [("bpsk", 2, 6), ("qpsk", 4, 10), ("8psk", 8, 16), ("16qam", 4, 16), ("64qam", 4, 22), ("16apsk", 4, 16)],
)
def test_symbols_are_those_sent_and_the_noise_is_what_was_added(name: str, symmetry: int, esn0_db: float) -> None:
    sent, samples = received(name, esn0_db)
    block = softmod.symbol_recovery_cc(name, symbol_rate=1000.0)
    result = run(block, samples, outputs="c", messages=["status"])
    (symbols,) = result.outputs
    assert len(symbols) == len(samples) and block.locked()
    first = next(offset for offset, locked in result.tagged("locked") if locked)
    assert first == 0, "a lock works backward to the first symbol held"
    noise_var = np.mean(np.abs(errors(symbols[4096:], sent[4096:], symmetry)) ** 2)
    assert abs(10 * np.log10(noise_var) + esn0_db) < 0.3
    assert abs(10 * np.log10(block.noise_var() / noise_var)) < 0.7
    assert block.symmetry() == symmetry and abs(block.frequency() - 1000 * FREQUENCY) < 1
    locked = [message for message in result.messages["status"] if message["reason"] == "locked"]
    assert len(locked) == 1 and locked[0]["locked"] is True and abs(locked[0]["frequency"] - 11) < 1


def test_noise_alone_does_not_lock() -> None:
    rng = np.random.default_rng(5)
    samples = (rng.normal(size=(20_000, 2)) @ [1, 1j] / np.sqrt(2)).astype(np.complex64)
    block = softmod.symbol_recovery_cc("qpsk")
    result = run(block, samples, outputs="c", messages=["status"])
    assert not block.locked() and result.tagged("locked") == [] and result.messages["status"] == []


def test_the_output_does_not_depend_on_how_the_stream_is_cut() -> None:
    _, samples = received("qpsk", 8, 4000)
    whole, pieces = (
        run(softmod.symbol_recovery_cc("qpsk"), samples, outputs="c", chunk=size, input_chunk=size)
        for size in (None, 33)
    )
    np.testing.assert_array_equal(whole.outputs[0], pieces.outputs[0])
    assert whole.tags == pieces.tags


def test_the_setter_checks() -> None:
    block = softmod.symbol_recovery_cc("qpsk")
    block.set_loop_bandwidth(0.2)
    with pytest.raises(ValueError, match="loop_bandwidth is 0.3"):
        block.set_loop_bandwidth(0.3)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"rotation": float("nan")}, "rotation is not finite"),
        ({"symbol_rate": 0.0}, "symbol_rate is 0"),
        ({"equalizer_taps": 4}, "equalizer_taps is 4; it must be odd"),
        ({"equalizer_taps": 257}, "equalizer_taps is 257"),
        ({"loop_bandwidth": 0.0}, "loop_bandwidth is 0"),
        ({"acquisition": 100}, "acquisition is 100; it must be 0 or a power of two"),
        ({"acquisition": 32768}, "acquisition is 32768"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        softmod.symbol_recovery_cc("qpsk", **bad)
