# SPDX-License-Identifier: GPL-3.0-or-later
"""The sinks of `receive`: what reaches the file, what is erased, and what is remembered."""

import hashlib

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr
from hypothesis import given, settings
from hypothesis import strategies as st

from gr_softmod.constellation import Constellation
from gr_softmod.conventions import soft_bit
from gr_softmod.receive.sinks import LlrSink, SnapshotSink, StatusSink, SymbolSink

RNG = np.random.default_rng(4)


def tag(offset: int, key: str, value: bool) -> gr.tag_t:
    made = gr.tag_t()
    made.offset, made.key, made.value = offset, pmt.intern(key), pmt.from_bool(value)
    return made


def run(sink: gr.sync_block, items: np.ndarray, tags: list[gr.tag_t], chunk: int = 0) -> None:
    make = blocks.vector_source_f if items.dtype == np.float32 else blocks.vector_source_c
    source, top = make(items.tolist(), False, 1, tags), gr.top_block()
    if chunk:
        sink.set_max_noutput_items(chunk)
    top.connect(source, sink)
    top.run()
    if sink.error:
        raise sink.error


def erased(count: int, edges: list[tuple[int, bool]], hold: int) -> np.ndarray:
    """From the definition: between a true and the next false tag, and `hold` items more."""
    inside, until = np.zeros(count, bool), 0
    state, values = False, dict(edges)
    for number in range(count):
        if number in values:
            until = number + hold if state and not values[number] else until
            state = values[number]
        inside[number] = state or number < until
    return inside


@given(
    st.dictionaries(st.integers(0, 199), st.booleans(), max_size=12), st.integers(0, 20), st.sampled_from([0, 1, 13])
)
@settings(max_examples=60, deadline=None)
def test_erased_items_are_zero_and_counted(tmp_path_factory, edges, hold, chunk):
    path = tmp_path_factory.mktemp("sink") / "llr"
    llrs = RNG.normal(0, 5, 200).astype(np.float32)
    sink = LlrSink(path, hold)
    run(sink, llrs, [tag(at, "erasure", value) for at, value in sorted(edges.items())], chunk)
    digest = sink.close()
    mask = erased(200, sorted(edges.items()), hold)
    np.testing.assert_array_equal(np.fromfile(path, np.float32), np.where(mask, 0, llrs))
    assert sink.count == 200 and sink.erased == mask.sum() == sum(count for _, count in sink.erasures)
    covered = np.zeros(200, bool)
    for first, count in sink.erasures:
        assert not covered[first : first + count].any()
        covered[first : first + count] = True
    np.testing.assert_array_equal(covered, mask)
    assert digest == hashlib.sha512(path.read_bytes()).hexdigest()


def test_llrs_say_how_often_they_are_wrong(tmp_path):
    llrs = RNG.normal(0, 5, 5000).astype(np.float32)
    sink = LlrSink(tmp_path / "llr", 0)
    run(sink, llrs, [tag(1000, "locked", True), tag(3000, "locked", False)])
    assert sink.sums.errors == pytest.approx(np.sum(soft_bit(-np.abs(llrs))), rel=1e-5)
    assert sink.sums.magnitude == pytest.approx(np.sum(np.abs(llrs), dtype=np.float64), rel=1e-6)
    assert sink.locked_sums.errors == pytest.approx(np.sum(soft_bit(-np.abs(llrs[1000:3000]))), rel=1e-5)
    assert (sink.sums.count, sink.locked_sums.count) == (5000, 2000)
    np.testing.assert_array_equal(sink.sample.items, llrs[1000:3000])
    np.testing.assert_array_equal(sink.unlocked.items, np.concatenate((llrs[:1000], llrs[3000:])))


@pytest.mark.parametrize("esn0_db", [5, 15])
@pytest.mark.parametrize("name", ["bpsk", "qpsk", "16qam"])
def test_noise_over_time(tmp_path, name, esn0_db):
    points, noise_var = Constellation.from_name(name).points, 10 ** (-esn0_db / 10)
    count = 40_000
    noise = (RNG.normal(size=count) + 1j * RNG.normal(size=count)) * np.sqrt(noise_var / 2)
    noise[count // 2 :] *= np.sqrt(0.5)  # 3 dB less in the second half
    symbols = (points[RNG.integers(0, len(points), count)] + noise).astype(np.complex64)
    sink = SymbolSink(tmp_path / "symbols", 0, points, 1000)
    run(sink, symbols, [])
    at, estimate, locked = sink.noise.items.T
    esn0 = -10 * np.log10(estimate)
    np.testing.assert_array_equal(at, 256 + 1000 * np.arange(40))
    assert not locked.any()
    tolerance = 0.5 if (name, esn0_db) != ("16qam", 5) else 1.5
    assert np.median(esn0[:20]) == pytest.approx(esn0_db, abs=tolerance)
    assert np.median(esn0[20:]) == pytest.approx(esn0_db + 3.01, abs=tolerance)


@pytest.mark.parametrize("chunk", [0, 7])
def test_lock(tmp_path, chunk):
    symbols = np.ones(1000, np.complex64)
    sink = SymbolSink(tmp_path / "symbols", 0, Constellation.bpsk().points, 512)
    run(sink, symbols, [tag(100, "locked", True), tag(400, "locked", False), tag(900, "locked", True)], chunk)
    assert sink.locked == 400 and sink.lock_changes == [(100, True), (400, False), (900, True)] and sink.knows_lock


def test_items_behind_the_end_are_dropped(tmp_path):
    sink = LlrSink(tmp_path / "llr", 0)
    sink.close()
    run(sink, np.ones(10, np.float32), [])
    assert sink.count == 0 and (tmp_path / "llr").read_bytes() == b""


def test_snapshots_are_evenly_spread():
    samples = np.arange(100 * 10).astype(np.complex64)
    sink, top = SnapshotSink(10, 8), gr.top_block()
    vectors = blocks.stream_to_vector(gr.sizeof_gr_complex, 10)
    top.connect(blocks.vector_source_c(samples.tolist()), vectors, sink)
    top.run()
    np.testing.assert_array_equal(sink.blocks.items[:, 0].real, np.arange(0, 1000, 10 * sink.blocks.stride))
    assert len(sink.blocks) <= 8


def test_status():
    def message(**fields: object) -> object:
        made = pmt.make_dict()
        for key, value in fields.items():
            made = pmt.dict_add(made, pmt.intern(key), pmt.to_pmt(value))
        return made

    sink = StatusSink()
    for each in (
        message(block="a", severity="info", reason="locked", locked=True, esn0_db=9.5),
        message(block="a", severity="warning", reason="too loud"),
        message(block="a", severity="warning", reason="too loud"),
        pmt.intern("not a dictionary"),
        message(locked=False),
    ):
        sink._handle(each)
    assert sink.latest["locked"] is False and sink.latest["esn0_db"] == 9.5
    assert sink.complaints == ["a: too loud"]
