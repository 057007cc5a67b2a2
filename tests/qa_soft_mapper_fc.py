# SPDX-License-Identifier: GPL-3.0-or-later
"""soft_mapper_fc: expectations against the definition, hard bits, round trip, tags and messages, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowgraph import Staged, Tag, run, until
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import soft_bit

QPSK, QAM16, PSK8 = Constellation.qpsk(), Constellation.qam(16), Constellation.psk(8)
NAN = float("nan")


def random_llr(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, count).astype(np.float32)


def expectation(constellation: Constellation, llr: NDArray) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Mean and variance of the symbol over all labels, straight from the definition, in float64."""
    p = soft_bit(np.nan_to_num(llr.astype(np.float64), nan=0.0)).reshape(-1, 1, constellation.bits_per_symbol)
    weight = np.where(constellation.bits.astype(bool), p, 1 - p).prod(axis=2)
    mean = weight @ constellation.points
    return mean, np.maximum(weight @ np.abs(constellation.points) ** 2 - np.abs(mean) ** 2, 0)


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "16qam", "64qam", "32qam", "16apsk", "ook", "8pam"])
def test_expected_symbols_and_their_variance(name: str) -> None:
    constellation = Constellation.from_name(name)
    llr = random_llr(700 * constellation.bits_per_symbol)
    result = run(softmod.soft_mapper_fc(name), llr, outputs="cf")
    mean, variance = expectation(constellation, llr)
    np.testing.assert_allclose(result.outputs[0], mean, atol=2e-6)
    np.testing.assert_allclose(result.outputs[1], variance, atol=5e-6)
    alone = run(softmod.soft_mapper_fc(name), llr, outputs="c")
    np.testing.assert_array_equal(alone.outputs[0], result.outputs[0])


@pytest.mark.parametrize("name", ["bpsk", "8psk", "16qam", "256qam", "32apsk"])
@pytest.mark.parametrize("size", [200.0, float("inf")])
def test_certain_bits_give_the_points(name: str, size: float) -> None:
    constellation = Constellation.from_name(name)
    bits = np.random.default_rng(2).integers(0, 2, 500 * constellation.bits_per_symbol)
    llr = np.where(bits == 1, size, -size).astype(np.float32)
    result = run(softmod.soft_mapper_fc(name), llr, outputs="cf")
    np.testing.assert_allclose(result.outputs[0], constellation.modulate(bits), atol=1e-6)
    np.testing.assert_allclose(result.outputs[1], 0, atol=1e-6)


def test_zeros_give_the_mean_of_the_points_and_all_of_their_energy() -> None:
    result = run(softmod.soft_mapper_fc("16qam"), np.zeros(400, np.float32), outputs="cf")
    np.testing.assert_allclose(result.outputs[0], 0, atol=1e-6)
    np.testing.assert_allclose(result.outputs[1], 1, atol=1e-6)


def test_the_mean_square_error_is_the_variance() -> None:
    """Demapped and mapped again, symbols are wrong by as much as the second output says (QPSK: independent bits)."""
    from gnuradio import blocks, gr

    rng = np.random.default_rng(4)
    sent = rng.choice(QPSK.points, 40_000)
    received = sent + rng.normal(size=(40_000, 2)) @ [1, 1j] * np.sqrt(0.25)
    tb = gr.top_block()
    source = blocks.vector_source_c(received.astype(np.complex64).tolist())
    demapper, mapper = softmod.soft_demapper_cf("qpsk", 0.5), softmod.soft_mapper_fc("qpsk")
    symbols, variance = blocks.vector_sink_c(), blocks.vector_sink_f()
    tb.connect(source, demapper, mapper, symbols)
    tb.connect((mapper, 1), variance)
    tb.run()
    error = np.mean(np.abs(np.array(symbols.data()) - sent) ** 2)
    assert error == pytest.approx(np.mean(variance.data()), rel=0.02)


# -- changes while running ---------------------------------------------------------------------------------------------

TAG = st.one_of(
    st.tuples(st.integers(0, 119), st.just("constellation"), st.sampled_from([QPSK, QAM16, PSK8])),
    st.tuples(st.integers(0, 119), st.just("other"), st.integers(0, 9)),
)


def expected_with_tags(start: Constellation, llr: NDArray, tags: list[Tag]) -> tuple[NDArray, list[int]]:
    """Symbols, and the symbol of each tag; a constellation holds from the first symbol that begins at or after it."""
    constellation, at, symbols, places, waiting = start, 0, [], [], sorted(tags, key=lambda tag: tag[0])
    while True:
        for offset, key, value in waiting:
            if key == "constellation" and offset <= at:
                constellation = value
        m = constellation.bits_per_symbol
        if at + m > len(llr):
            return np.array(symbols), places
        places += [len(symbols)] * sum(at <= offset < at + m for offset, *_ in tags)
        symbols.append(expectation(constellation, llr[at : at + m])[0][0])
        waiting = [tag for tag in waiting if tag[0] > at or tag[1] != "constellation"]
        at += m


@given(
    tags=st.lists(TAG, max_size=10, unique_by=lambda tag: tag[0]),
    chunk=st.sampled_from([None, 1, 3, 7]),
    input_chunk=st.sampled_from([None, 1, 5]),
    variance=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_tags_act_at_their_symbol_however_the_stream_is_cut(
    tags: list[Tag], chunk: int | None, input_chunk: int | None, variance: bool
) -> None:
    llr = random_llr(120)
    expected, places = expected_with_tags(QPSK, llr, tags)
    sent = [
        (at, key, pmt.cdr(softmod.constellation_message(value)) if key == "constellation" else value)
        for at, key, value in tags
    ]
    block = softmod.soft_mapper_fc(QPSK)
    result = run(block, llr, tags=sent, outputs="cf" if variance else "c", chunk=chunk, input_chunk=input_chunk)
    np.testing.assert_allclose(result.outputs[0], expected, atol=2e-6)
    for port in range(1 + variance):
        assert [offset for offset, *_ in result.tags[port]] == sorted(places)


@pytest.mark.parametrize("new", ["bpsk", "64qam"])
def test_messages_in_the_middle_of_a_stream(new: str) -> None:
    after = Constellation.from_name(new)
    llr = [random_llr(4000), random_llr(3000, seed=2)]
    block = softmod.soft_mapper_fc(QAM16)

    def act() -> None:
        block.to_basic_block()._post(pmt.intern("constellation"), softmod.constellation_message(after))
        until(lambda: block.bits_per_symbol() == after.bits_per_symbol)

    result = run(block, Staged(llr, [act], lambda sent: block.nitems_read(0) == sent), outputs="c")
    expected = np.concatenate([expectation(QAM16, llr[0])[0], expectation(after, llr[1])[0]])
    np.testing.assert_allclose(result.outputs[0], expected, atol=2e-6)


def test_setter() -> None:
    block = softmod.soft_mapper_fc("bpsk")
    block.set_constellation("8psk")
    assert block.bits_per_symbol() == 3
    np.testing.assert_allclose(block.constellation(), PSK8.points, atol=1e-6)
    with pytest.raises(ValueError, match="17qam"):
        block.set_constellation("17qam")
    with pytest.raises(ValueError, match="2, 4, 8"):
        softmod.soft_mapper_fc([1, 2, 3])
    llr = random_llr(300)
    np.testing.assert_allclose(run(block, llr, outputs="c").outputs[0], expectation(PSK8, llr)[0], atol=2e-6)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [pmt.from_double(1), pmt.init_c32vector(3, [1, 2, 3])], ids=str)
@pytest.mark.parametrize("way", ["message", "tag"])
def test_a_bad_constellation_changes_nothing_and_is_told(message: Any, way: str) -> None:
    llr = random_llr(400)
    given_by = {"post": [("constellation", message)]} if way == "message" else {"tags": [(4, "constellation", message)]}
    result = run(softmod.soft_mapper_fc(QAM16), llr, outputs="c", messages=["status"], **given_by)
    np.testing.assert_allclose(result.outputs[0], expectation(QAM16, llr)[0], atol=2e-6)
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and way in status["reason"]


def test_nan_counts_as_0_and_is_told() -> None:
    llr = random_llr(400)
    llr[[0, 7, 399]] = NAN
    block = softmod.soft_mapper_fc(QAM16)
    result = run(block, llr, outputs="cf", messages=["status"])
    np.testing.assert_allclose(result.outputs[0], expectation(QAM16, llr)[0], atol=2e-6)
    assert np.all(np.isfinite(result.outputs[1])) and block.invalid_count() == 3
    assert result.messages["status"][0]["count"] >= 1


@pytest.mark.parametrize("count", [0, 3, 4, 5])
def test_a_part_of_a_symbol_at_the_end_gives_nothing(count: int) -> None:
    assert len(run(softmod.soft_mapper_fc("16qam"), random_llr(count), outputs="c").outputs[0]) == count // 4
