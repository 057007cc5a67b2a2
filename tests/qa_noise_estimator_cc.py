# SPDX-License-Identifier: GPL-3.0-or-later
"""noise_estimator_cc: accuracy at every Es/N0 it promises, where tags stand, changes while running, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowgraph import Staged, run, until
from gr_softmod.constellation import Constellation
from oracle import brute_force_llr

NAN = complex("nan")


def received(constellation: str, esn0_db: float, count: int, gain: float = 1.0, seed: int = 1) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    points = Constellation.from_name(constellation).points
    noise = rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(0.5 * 10 ** (-esn0_db / 10))
    return (gain * (rng.choice(points, count) + noise)).astype(np.complex64)


def scheduled(count: int, period: int) -> list[int]:
    """Where estimates are given: at 256, then at twice the distance each, up to the period."""
    offsets, distance, at = [], min(256, period), 0
    while at + distance < count:
        at += distance
        offsets.append(at)
        distance = min(2 * distance, period)
    return offsets


RANGES = {
    "bpsk": [-3, 0, 5, 10, 20, 30],
    "qpsk": [0, 1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30],
    "8psk": [0, 3, 6, 10, 15, 20, 30],
    "16psk": [6, 10, 15, 20, 30],
    "16qam": [3, 6, 10, 15, 20, 30],
    "64qam": [6, 9, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 30],
    "256qam": [21, 25, 30, 40],
    "1024qam": [30, 40],
    "32apsk": [9, 12, 15, 20, 30],
    "32qam": [9, 12, 15, 20, 30],
    "ook": [3, 6, 10, 20, 30],
}


@pytest.mark.parametrize(("constellation", "esn0_db"), [(name, e) for name, values in RANGES.items() for e in values])
def test_within_half_a_decibel(constellation: str, esn0_db: float) -> None:
    """Every estimate made from full memory, at a level that is not right either."""
    gain, count = 0.37, 45_000
    symbols = received(constellation, esn0_db, count, gain)
    result = run(softmod.noise_estimator_cc(constellation), symbols, outputs="c", messages=["noise_var"])
    full = [message for message in result.messages["noise_var"] if message["offset"] >= 32_768]
    assert len(full) >= 2
    for message in full:
        assert abs(message["esn0_db"] - esn0_db) < 0.5
        assert abs(10 * np.log10(message["noise_var"] / gain**2) + esn0_db) < 0.5
        assert abs(20 * np.log10(message["gain"] / gain)) < 0.3


@given(
    period=st.sampled_from([64, 100, 256, 1000, 4096]),
    count=st.integers(0, 6000),
    chunk=st.sampled_from([None, 1, 100, 4095]),
)
@settings(max_examples=25, deadline=None)
def test_tags_and_messages_do_not_depend_on_how_the_stream_is_cut(period: int, count: int, chunk: int | None) -> None:
    symbols = received("qpsk", 10, count)
    whole, pieces = (
        run(softmod.noise_estimator_cc("qpsk", period), symbols, outputs="c", messages=["noise_var"], chunk=size)
        for size in (None, chunk)
    )
    np.testing.assert_array_equal(whole.outputs[0], symbols)
    np.testing.assert_array_equal(pieces.outputs[0], symbols)
    assert pieces.tags == whole.tags
    assert [offset for offset, _ in whole.tagged("noise_var")] == scheduled(count, period)
    assert [offset for offset, _ in whole.tagged("esn0_db")] == scheduled(count, period)
    by_offset = {message["offset"]: message for message in whole.messages["noise_var"]}
    for offset, noise_var in whole.tagged("noise_var"):
        assert by_offset[offset]["noise_var"] == noise_var


def test_a_long_period_uses_symbols_spread_over_all_of_it() -> None:
    """Half of a period at 5 dB and half at 25 dB: a memory of 1000 symbols sees both."""
    start, period = scheduled(53_000, 20_000)[-2], 20_000
    symbols = [received("qpsk", esn0_db, n) for esn0_db, n in [(25, start), (5, 10_000), (25, 10_001)]]
    block = softmod.noise_estimator_cc("qpsk", period, max_symbols=1000, accuracy_db=0.0)
    result = run(block, np.concatenate(symbols), outputs="c", messages=["noise_var"])
    *_, before, after = result.messages["noise_var"]
    assert (before["offset"], after["offset"]) == (start, start + period)
    assert (before["symbols"], after["symbols"]) == (1000, 1000)
    assert abs(before["esn0_db"] - 25) < 0.7 and 5 < after["esn0_db"] < 15


def test_normalize_divides_by_the_gain_from_the_tagged_symbol_on() -> None:
    gain = 0.05
    symbols = received("16qam", 15, 20_000, gain)
    block = softmod.noise_estimator_cc("16qam", 4096, normalize=True)
    result = run(block, symbols, outputs="c", messages=["noise_var"])
    expected, edges = symbols.copy(), [*scheduled(20_000, 4096), 20_000]
    gains = {message["offset"]: message["gain"] for message in result.messages["noise_var"]}
    for begin, end in zip(edges, edges[1:], strict=False):
        expected[begin:end] = symbols[begin:end] / gains[begin]
    np.testing.assert_allclose(result.outputs[0], expected, rtol=1e-5)
    offset, noise_var = result.tagged("noise_var")[-1]
    assert abs(10 * np.log10(noise_var) + 15) < 0.5
    assert abs(np.mean(np.abs(result.outputs[0][offset:]) ** 2) - 1 - 10**-1.5) < 0.06
    assert block.noise_var() == pytest.approx(noise_var) and block.gain() == pytest.approx(gain, rel=0.02)
    assert block.normalize()
    block.set_normalize(False)
    assert block.noise_var() == pytest.approx(noise_var * block.gain() ** 2)


def test_estimator_before_demapper_gives_the_llrs_of_the_true_noise() -> None:
    """The two blocks in a row, at a wrong level: LLRs agree with those of the known level and noise."""
    from gnuradio import blocks, gr

    gain, esn0_db = 3.0, 8.0
    symbols = received("16qam", esn0_db, 40_000, gain)
    tb = gr.top_block()
    source, sink = blocks.vector_source_c(symbols.tolist()), blocks.vector_sink_f()
    estimator = softmod.noise_estimator_cc("16qam", normalize=True)
    demapper = softmod.soft_demapper_cf("16qam", 1.0)
    tb.connect(source, estimator, demapper, sink)
    tb.run()
    llr = np.array(sink.data()).reshape(-1, 4)[33_000:]
    expected = brute_force_llr(Constellation.qam(16), symbols[33_000:] / gain, 10 ** (-esn0_db / 10))
    slope = np.sum(llr.ravel() * expected) / np.sum(expected**2)
    assert slope == pytest.approx(1, abs=0.08)
    assert np.corrcoef(llr.ravel(), expected)[0, 1] > 0.999


# -- changes while running ---------------------------------------------------------------------------------------------


def test_constellation_by_tag_starts_anew_at_its_symbol() -> None:
    """16-QAM symbols measured as QPSK look noisy; told by a tag what they are, they do not."""
    symbols = np.concatenate([received("qpsk", 20, 3000), received("16qam", 20, 9000)])
    tag = (3000, "constellation", pmt.cdr(softmod.constellation_message("16qam")))
    block = softmod.noise_estimator_cc("qpsk", 2048)
    result = run(block, symbols, outputs="c", tags=[tag], messages=["noise_var"])
    for message in result.messages["noise_var"]:
        assert abs(message["esn0_db"] - 20) < 5 * message["std_db"]
    offsets = [offset for offset, _ in result.tagged("noise_var")]
    assert offsets == scheduled(3000, 2048) + [3000 + offset for offset in scheduled(9000, 2048)]


def test_constellation_by_message() -> None:
    block = softmod.noise_estimator_cc("qpsk", 2048)

    def act() -> None:
        block.to_basic_block()._post(pmt.intern("constellation"), softmod.constellation_message("64qam"))
        until(lambda: len(block.constellation()) == 64)

    stages = [received("qpsk", 25, 5000), received("64qam", 25, 9000)]
    source = Staged(stages, [act], lambda sent: block.nitems_written(0) == sent)
    result = run(block, source, outputs="c", messages=["noise_var"])
    assert abs(result.messages["noise_var"][-1]["esn0_db"] - 25) < 0.5
    np.testing.assert_array_equal(result.outputs[0], np.concatenate(stages))


def test_setters() -> None:
    block = softmod.noise_estimator_cc("qpsk")
    assert np.isnan([block.noise_var(), block.esn0_db(), block.gain()]).all()
    block.set_period(500)
    block.set_constellation("8psk")
    assert block.period() == 500 and len(block.constellation()) == 8
    result = run(block, received("8psk", 12, 2000), outputs="c")
    assert [offset for offset, _ in result.tagged("noise_var")] == scheduled(2000, 500)
    with pytest.raises(ValueError, match="period is 63"):
        block.set_period(63)
    with pytest.raises(ValueError, match="17qam"):
        block.set_constellation("17qam")
    assert block.period() == 500


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(constellation="17qam"), "17qam"),
        (dict(constellation="qpsk", period=0), "period is 0"),
        (dict(constellation="qpsk", max_symbols=10), "max_symbols is 10"),
        (dict(constellation="qpsk", accuracy_db=-1.0), "accuracy_db is -1"),
        (dict(constellation="qpsk", accuracy_db=float("nan")), "accuracy_db is nan"),
    ],
    ids=str,
)
def test_what_is_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.noise_estimator_cc(**arguments)


# -- faults ------------------------------------------------------------------------------------------------------------


def test_samples_that_are_not_finite_pass_on_and_are_left_out() -> None:
    symbols = received("qpsk", 15, 5000)
    symbols[[5, 700, 4999]] = [NAN, complex(np.inf, 0), NAN]
    block = softmod.noise_estimator_cc("qpsk")
    result = run(block, symbols, outputs="c", messages=["status", "noise_var"])
    np.testing.assert_array_equal(result.outputs[0], symbols)
    assert block.invalid_count() == 3
    assert "not finite" in result.messages["status"][0]["reason"]
    assert all(abs(message["esn0_db"] - 15) < 1 for message in result.messages["noise_var"])


@pytest.mark.parametrize("sample", [0, NAN])
def test_silence_gives_no_estimate_and_says_so(sample: complex) -> None:
    block = softmod.noise_estimator_cc("qpsk")
    result = run(block, np.full(3000, sample, np.complex64), outputs="c", messages=["status", "noise_var"])
    assert result.tags[0] == [] and result.messages["noise_var"] == []
    assert any("all symbols were 0" in status["reason"] for status in result.messages["status"])


@pytest.mark.parametrize("way", ["message", "tag"])
def test_a_bad_constellation_changes_nothing_and_is_told(way: str) -> None:
    bad = pmt.init_c32vector(3, [1, 2, 3])
    block = softmod.noise_estimator_cc("qpsk")
    given_by = {"post": [("constellation", bad)]} if way == "message" else {"tags": [(3, "constellation", bad)]}
    result = run(block, received("qpsk", 10, 3000), outputs="c", messages=["status"], **given_by)
    (status,) = result.messages["status"]
    assert "3 points" in status["reason"] and way in status["reason"] and status["severity"] == "warning"
    assert len(block.constellation()) == 4
    assert [offset for offset, _ in result.tagged("noise_var")] == scheduled(3000, 4096)
