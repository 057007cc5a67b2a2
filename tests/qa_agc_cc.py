# SPDX-License-Identifier: GPL-3.0-or-later
"""agc_cc: mean power 1 at any level, from the first sample on, through steps; silence; how the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run


def noise(count: int, seed: int = 1) -> NDArray[np.complex64]:
    """Complex Gaussian samples of mean power 1."""
    return (np.random.default_rng(seed).normal(size=(count, 2)) @ [1, 1j] / np.sqrt(2)).astype(np.complex64)


def power_db(samples: NDArray) -> float:
    return float(10 * np.log10(np.mean(np.abs(samples) ** 2)))


@pytest.mark.parametrize("level_db", [-120, -60, 0, 60])
def test_mean_power_is_one_at_any_level_from_the_first_sample_on(level_db: float) -> None:
    samples = (noise(20_000) * 10 ** (level_db / 20)).astype(np.complex64)
    block = softmod.agc_cc(1024)
    (output,) = run(block, samples, outputs="c").outputs
    assert abs(power_db(output[:512])) < 2 and abs(power_db(output[1024:])) < 0.2
    last = output[-1] / samples[-1]
    assert block.gain() == pytest.approx(last.real, rel=1e-5) and abs(last.imag) < 1e-4 * last.real


@pytest.mark.parametrize("step_db", [-40, -10, 10, 40])
def test_after_a_step_it_starts_again(step_db: float) -> None:
    """As soon as its length is over it is near; a plain average would still be 30 dB off after a step down by 40 dB."""
    samples = noise(20_000)
    samples[10_000:] *= 10 ** (step_db / 20)
    (output,) = run(softmod.agc_cc(1024), samples, outputs="c").outputs
    assert abs(power_db(output[10_000 - 2048 : 10_000 - 128])) < 0.5
    assert abs(power_db(output[10_000 + 1024 : 10_000 + 2048])) < 2.5
    assert abs(power_db(output[10_000 + 4096 :])) < 0.3


def test_the_output_does_not_depend_on_how_the_stream_is_cut() -> None:
    samples = noise(5000)
    whole, pieces = (run(softmod.agc_cc(64), samples, outputs="c", chunk=size).outputs[0] for size in (None, 7))
    np.testing.assert_array_equal(whole, pieces)


def test_silence_stays_silent() -> None:
    (output,) = run(softmod.agc_cc(64), np.zeros(1000, np.complex64), outputs="c").outputs
    np.testing.assert_array_equal(output, 0)


def test_a_length_of_less_than_16_is_refused() -> None:
    with pytest.raises(ValueError, match="length is 15; it must be at least 16"):
        softmod.agc_cc(15)
