# SPDX-License-Identifier: GPL-3.0-or-later
"""coarse_frequency_cc: any constellation at any offset; drift, jumps and pauses; noise; tags; faults."""

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
from link import SYMBOL_RATE, Channel, impaired

LOOK = 512  # symbols


def signal(name: str, esn0_db: float, offset: float, samples_per_symbol: int = 4, count: int = 6000) -> NDArray:
    """A signal ``offset`` cycles a symbol off."""
    sent = np.random.default_rng(1).choice(Constellation.from_name(name).points, count)
    return impaired(sent, Channel(samples_per_symbol, esn0_db, offset, level=1.0))


def noise(count: int, power: float = 1.0) -> NDArray[np.complex64]:
    return (np.random.default_rng(4).normal(size=(count, 2)) @ [1, 1j] * np.sqrt(power / 2)).astype(np.complex64)


def block_for(samples_per_symbol: int = 4, max_offset: float = 1.0, **options: Any) -> Any:
    return softmod.coarse_frequency_cc(samples_per_symbol, SYMBOL_RATE, max_offset * SYMBOL_RATE, **options)


@pytest.mark.parametrize("name", ["bpsk", "8psk", "64qam"])
@pytest.mark.parametrize("offset", [-1.0, -0.3, 0.0, 0.02, 0.7, 1.0])
@pytest.mark.parametrize(("esn0_db", "accuracy"), [(0, 0.03), (15, 0.02)])
def test_any_constellation_at_any_offset(name: str, offset: float, esn0_db: float, accuracy: float) -> None:
    block = block_for(slew=1e-5)
    run(block, signal(name, esn0_db, offset), outputs="c")
    assert block.found() and abs(block.frequency() / SYMBOL_RATE - offset) < accuracy


@pytest.mark.parametrize(("samples_per_symbol", "offset"), [(2, 0.3), (8, -2.5)])
def test_any_rate(samples_per_symbol: int, offset: float) -> None:
    block = block_for(samples_per_symbol, abs(offset), slew=1e-5)
    run(block, signal("qpsk", 15, offset, samples_per_symbol), outputs="c")
    assert block.found() and abs(block.frequency() / SYMBOL_RATE - offset) < 0.02


def test_every_sample_is_turned_by_what_the_tags_say() -> None:
    samples = signal("qpsk", 10, 0.5)
    result = run(block_for(slew=0.0), samples, outputs="c")
    (output,) = result.outputs
    tags = result.tagged("coarse_frequency")
    assert len(output) == len(samples) // (4 * LOOK) * 4 * LOOK + len(samples) % (4 * LOOK)
    assert [offset for offset, _ in tags][:3] == [0, 8 * LOOK, 12 * LOOK]
    assert len({value for _, value in tags}) == 1, "without slew the first estimate stays"
    cycles = tags[0][1] / SYMBOL_RATE / 4 * np.arange(len(output))
    np.testing.assert_allclose(output, samples[: len(output)] * np.exp(-2j * np.pi * cycles), atol=1e-3)


def test_noise_alone_is_not_found_and_passes_as_it_is() -> None:
    samples = noise(40_000)
    block = block_for()
    (output,) = run(block, samples, outputs="c").outputs
    assert not block.found() and block.frequency() == 0
    np.testing.assert_array_equal(output, samples[: len(output)])
    assert len(samples) - len(output) < 4 * LOOK


def test_a_drift_is_followed_no_faster_than_slew() -> None:
    count, slew = 60_000, 4e-7
    samples = signal("qpsk", 15, 0.0, count=count)
    cycles_a_symbol = 0.2 + 2e-7 * np.arange(len(samples)) / 4
    samples = samples * np.exp(2j * np.pi * np.cumsum(cycles_a_symbol) / 4)
    block = block_for(slew=slew)
    result = run(block, samples.astype(np.complex64), outputs="c")
    assert abs(block.frequency() / SYMBOL_RATE - cycles_a_symbol[-1]) < 0.02
    said = np.array([value for _, value in result.tagged("coarse_frequency")]) / SYMBOL_RATE
    assert np.abs(np.diff(said)).max() <= slew * LOOK * 1.001 and said[-1] - said[0] > 0.005


def test_a_jump_is_taken_at_once_and_a_pause_begins_anew() -> None:
    near, far = signal("qpsk", 15, 0.1), signal("qpsk", 15, -0.8)
    jumped, paused = block_for(), block_for()
    run(jumped, np.concatenate((near, far)), outputs="c")
    assert jumped.found() and abs(jumped.frequency() / SYMBOL_RATE + 0.8) < 0.02
    run(paused, np.concatenate((near, noise(8 * 4 * LOOK, 0.1))), outputs="c")
    assert not paused.found() and abs(paused.frequency() / SYMBOL_RATE - 0.1) < 0.02, "it stays where it was"


def test_what_lies_beyond_the_range_is_not_taken_for_the_signal() -> None:
    block = block_for(max_offset=0.2)
    run(block, signal("qpsk", 15, 0.9), outputs="c")
    assert not block.found()


def test_the_output_does_not_depend_on_how_the_stream_is_cut() -> None:
    samples = signal("qpsk", 10, 0.4)
    whole, pieces = (run(block_for(), samples, outputs="c", chunk=size, input_chunk=size) for size in (None, 61))
    np.testing.assert_array_equal(whole.outputs[0], pieces.outputs[0])
    assert whole.tags == pieces.tags


def test_tags_stay_with_their_samples() -> None:
    tags = [(at, "mark", at) for at in range(0, 20_000, 777)]
    result = run(block_for(), signal("qpsk", 10, 0.4), tags=tags, outputs="c")
    assert result.tagged("mark") == [(at, at) for at, *_ in tags]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3, 9600, 100), "samples_per_symbol is 3; it must be 2, 4 or 8"),
        ((4, 0, 100), "symbol_rate is 0"),
        ((4, float("nan"), 100), "symbol_rate is nan"),
        ((4, 9600, 0), "max_offset is 0"),
        ((4, 9600, 12721), "max_offset is 12721.* at most 12720"),
        ((4, 9600, 100, 0), "excess_bandwidth is 0"),
        ((4, 9600, 100, 0.35, -1), "slew is -1"),
    ],
    ids=str,
)
def test_bad_parameters(arguments: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        softmod.coarse_frequency_cc(*arguments)
