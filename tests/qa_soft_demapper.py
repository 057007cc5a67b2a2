# SPDX-License-Identifier: GPL-3.0-or-later
"""soft_demapper_cf and soft_demapper_cb: the vectors, calibration, tags and messages at their places, faults."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import digital, softmod
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowgraph import Staged, Tag, run, until
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import soft_bit
from oracle import assert_llr_close, brute_force_llr

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))
NAN = complex("nan")
QPSK, QAM16, PSK8 = Constellation.qpsk(), Constellation.qam(16), Constellation.psk(8)


def noisy(count: int, seed: int = 1) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=count) + 1j * rng.normal(size=count)).astype(np.complex64)


def c32vector(constellation: Constellation) -> Any:
    return pmt.cdr(softmod.constellation_message(constellation))


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors(path: Path) -> None:
    vector = json.loads(path.read_text())
    points, symbols = (np.array(vector[key]) @ [1, 1j] for key in ("points", "symbols"))
    symbols = symbols.astype(np.complex64)
    for case in vector["cases"]:
        noise_var = np.broadcast_to(case["noise_var"], symbols.shape)
        tags: list[Tag] = [(i, "noise_var", float(v)) for i, v in enumerate(noise_var)]
        inputs = [symbols] if case["priors"] is None else [symbols, np.array(case["priors"], np.float32)]
        for method in ("exact", "maxlog"):
            block = softmod.soft_demapper_cf(points, 1.0, method)
            assert_llr_close(run(block, *inputs, tags=tags).outputs[0], case[method], symbols, noise_var)


@pytest.mark.parametrize("constellation", ["bpsk", "8psk", "64qam", "32apsk"])
@pytest.mark.parametrize("scale", [0.5, 8.0])
def test_int8_is_the_rounded_saturated_float(constellation: str, scale: float) -> None:
    symbols = noisy(2000)
    expected = brute_force_llr(Constellation.from_name(constellation), symbols, 0.05)
    llr = run(softmod.soft_demapper_cb(constellation, 0.05, scale), symbols, outputs="b").outputs[0]
    assert llr.dtype == np.int8
    exact = np.clip(expected * scale, -127, 127)
    assert np.max(np.abs(llr - exact)) <= 0.5 + 1e-3
    assert scale < 1 or np.max(np.abs(llr)) == 127


@pytest.mark.parametrize("constellation", ["bpsk", "qpsk", "8psk", "16qam", "16apsk"])
def test_calibration(constellation: str) -> None:
    """Of the bits with LLRs near x, the share that is 1 is sigmoid(x): sign, scale and noise are right together."""
    c = Constellation.from_name(constellation)
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2, 60_000 * c.bits_per_symbol)
    esn0 = 2.0 * c.order**0.5
    noise = rng.normal(size=(60_000, 2)) @ [1, 1j] * np.sqrt(0.5 / esn0)
    received = (c.modulate(bits) + noise).astype(np.complex64)
    llr = run(softmod.soft_demapper_cf(c, 1 / esn0), received).outputs[0].astype(np.float64)
    edges = np.linspace(-6, 6, 13)
    for low, high in zip(edges, edges[1:], strict=False):
        inside = (llr >= low) & (llr < high)
        count, expected = np.count_nonzero(inside), soft_bit(llr[inside])
        if count > 100:
            spread = np.sqrt(np.sum(expected * (1 - expected)))
            assert abs(bits[inside].sum() - expected.sum()) < 5 * spread


# -- changes while running ---------------------------------------------------------------------------------------------


def expected_with_tags(start: tuple[Constellation, float], symbols: NDArray, tags: list[Tag]) -> tuple[NDArray, list]:
    """LLRs, and the output offset of each tag, from the definition: one symbol after the other."""
    (constellation, noise_var), llrs, offsets = start, [], []
    produced = 0
    for i, symbol in enumerate(symbols):
        for offset, key, value in tags:
            if offset == i:
                constellation = value if key == "constellation" else constellation
                noise_var = value if key == "noise_var" else noise_var
                offsets.append(produced)
        llrs.append(brute_force_llr(constellation, [symbol], noise_var))
        produced += constellation.bits_per_symbol
    return np.concatenate(llrs), offsets


TAG = st.one_of(
    st.tuples(st.integers(0, 59), st.just("noise_var"), st.sampled_from([0.01, 0.3, 5.0])),
    st.tuples(st.integers(0, 59), st.just("constellation"), st.sampled_from([QPSK, QAM16, PSK8])),
    st.tuples(st.integers(0, 59), st.just("other"), st.integers(0, 9)),
)


@given(
    tags=st.lists(TAG, max_size=12),
    chunk=st.sampled_from([None, 4, 5, 13]),
    input_chunk=st.sampled_from([None, 1, 7]),
    priors=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_tags_act_at_their_symbol_however_the_stream_is_cut(
    tags: list[Tag], chunk: int | None, input_chunk: int | None, priors: bool
) -> None:
    tags = sorted(tags, key=lambda tag: tag[0])
    symbols = noisy(60)
    expected, offsets = expected_with_tags((QPSK, 1.0), symbols, tags)
    sent = [(at, key, c32vector(value) if key == "constellation" else value) for at, key, value in tags]
    inputs = [symbols] + ([np.zeros(len(expected), np.float32)] if priors else [])
    result = run(softmod.soft_demapper_cf(QPSK, 1.0), *inputs, tags=sent, chunk=chunk, input_chunk=input_chunk)
    np.testing.assert_allclose(result.outputs[0], expected, rtol=1e-4, atol=1e-4)
    assert [tag[0] for tag in result.tags[0]] == sorted(offsets)


def test_tags_of_the_priors_stay_at_their_bit() -> None:
    tags = {0: [(3, "a", 1)], 1: [(5, "b", 2), (7, "noise_var", 9.0)]}
    block = softmod.soft_demapper_cf(QPSK, 0.5)
    result = run(block, noisy(8), np.zeros(16, np.float32), tags=tags)
    assert result.tags[0] == [(5, "b", 2), (6, "a", 1), (7, "noise_var", 9.0)]
    assert block.noise_var() == 0.5


def test_priors_turn_the_output_into_the_a_posteriori() -> None:
    symbols, rng = noisy(500), np.random.default_rng(3)
    priors = rng.normal(size=2000).astype(np.float32) * 3
    for chunk in (None, 4, 9):
        llr = run(softmod.soft_demapper_cf(QAM16, 0.2), symbols, priors, chunk=chunk).outputs[0]
        assert_llr_close(llr, brute_force_llr(QAM16, symbols, 0.2, priors=priors))


@pytest.mark.parametrize(
    "message",
    [pmt.from_double(0.25), pmt.cons(pmt.intern("noise_var"), pmt.from_double(0.25)), pmt.to_pmt({"noise_var": 0.25})],
    ids=["number", "pair", "dictionary"],
)
def test_noise_var_message_before_the_start(message: Any) -> None:
    symbols = noisy(100)
    llr = run(softmod.soft_demapper_cf(QPSK, 1.0), symbols, post=[("noise_var", message)]).outputs[0]
    assert_llr_close(llr, brute_force_llr(QPSK, symbols, 0.25))


@pytest.mark.parametrize("new", ["bpsk", "qpsk", "8psk", "4096qam"])
def test_messages_in_the_middle_of_a_stream(new: str) -> None:
    """What came before the messages is demapped as before, what comes after as they say; no LLR is lost."""
    after = Constellation.from_name(new)
    symbols = [noisy(3001), noisy(500, seed=2)]
    block = softmod.soft_demapper_cf(QAM16, 0.5)

    def act() -> None:
        basic = block.to_basic_block()
        basic._post(pmt.intern("constellation"), softmod.constellation_message(after))
        basic._post(pmt.intern("noise_var"), pmt.from_double(0.125))
        until(lambda: block.noise_var() == 0.125)

    source = Staged(symbols, [act], lambda sent: block.nitems_written(0) == 4 * sent)
    llr = run(block, source).outputs[0]
    expected = [brute_force_llr(QAM16, symbols[0], 0.5), brute_force_llr(after, symbols[1], 0.125)]
    assert_llr_close(llr[: len(expected[0])], expected[0])
    assert_llr_close(llr[len(expected[0]) :], expected[1], symbols[1], 0.125)
    assert block.bits_per_symbol() == after.bits_per_symbol


def test_setters_from_another_thread_while_running() -> None:
    """Every LLR is that of the one or of the other setting, and a change comes between two symbols."""
    symbols, stop = noisy(200_000), threading.Event()
    block = softmod.soft_demapper_cf("16qam", 0.5)

    def hammer() -> None:
        while not stop.is_set():
            block.set_noise_var(0.125)
            block.set_constellation("16qam-dvb")
            block.set_noise_var(0.5)
            block.set_constellation("16qam")

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        llr = run(block, symbols, chunk=512).outputs[0].reshape(-1, 4)
    finally:
        stop.set()
        thread.join()
    expected = [
        brute_force_llr(Constellation.from_name(name), symbols, noise_var).reshape(-1, 4)
        for name in ("16qam", "16qam-dvb")
        for noise_var in (0.5, 0.125)
    ]
    right = [np.isclose(llr, one, rtol=1e-3, atol=1e-3).all(axis=1) for one in expected]
    assert np.logical_or.reduce(right).all()


def test_setters_while_stopped() -> None:
    symbols = noisy(300)
    block = softmod.soft_demapper_cf("bpsk", 1.0)
    block.set_constellation("16qam")
    block.set_noise_var(0.25)
    block.set_method("maxlog")
    assert (block.bits_per_symbol(), block.noise_var(), block.method()) == (4, 0.25, "maxlog")
    assert_llr_close(run(block, symbols).outputs[0], brute_force_llr(QAM16, symbols, 0.25, method="maxlog"))
    scaled = softmod.soft_demapper_cb(QAM16, 1.0, 8.0)
    scaled.set_scale(2.0)
    assert scaled.scale() == 2.0


# -- constellation arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("16qam", QAM16),
        (QAM16, QAM16),
        (QAM16.points, QAM16),
        ((QAM16.points * 7).tolist(), QAM16),
        (digital.constellation_qpsk(), Constellation.from_gnuradio(digital.constellation_qpsk())),
        (digital.constellation_8psk().base(), Constellation.from_gnuradio(digital.constellation_8psk())),
        ([1, -1], Constellation.bpsk()),
    ],
    ids=["name", "Constellation", "array", "list in another scale", "gnuradio", "gnuradio base", "real list"],
)
def test_what_a_constellation_may_be(argument: Any, expected: Constellation) -> None:
    block = softmod.soft_demapper_cf(argument)
    np.testing.assert_allclose(block.constellation(), expected.points, atol=1e-6)
    block.set_constellation(argument)
    np.testing.assert_allclose(block.constellation(), expected.points, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("17qam",), ValueError, "17qam"),
        (([1, 2, 3],), ValueError, "2, 4, 8"),
        (([1, NAN],), ValueError, "finite"),
        (([0, 0],), ValueError, "0"),
        ((5,), TypeError, "got a int"),
        ((None,), TypeError, "got a NoneType"),
        (("pi4-qpsk",), ValueError, "turns by 0.7854"),
        (("oqpsk",), ValueError, "delays Q by 0.5"),
        (("qpsk", 0.0), ValueError, "noise_var is 0"),
        (("qpsk", -1.0), ValueError, "noise_var is -1"),
        (("qpsk", float("nan")), ValueError, "noise_var is nan"),
        (("qpsk", float("inf")), ValueError, "noise_var is inf"),
        (("qpsk", 1.0, "map"), ValueError, "method is 'map'"),
    ],
    ids=str,
)
def test_what_is_refused_at_construction(arguments: tuple, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        softmod.soft_demapper_cf(*arguments)


def test_setters_refuse_and_keep_what_was() -> None:
    block = softmod.soft_demapper_cb(QAM16, 0.5, 4.0)
    for call, value in [
        (block.set_noise_var, 0.0),
        (block.set_scale, 0.0),
        (block.set_scale, float("inf")),
        (block.set_method, "best"),
        (block.set_constellation, [1, 2, 3]),
    ]:
        with pytest.raises(ValueError):
            call(value)
    assert (block.noise_var(), block.scale(), block.method(), block.bits_per_symbol()) == (0.5, 4.0, "exact", 4)


# -- faults ------------------------------------------------------------------------------------------------------------

BAD_MESSAGES = [
    ("noise_var", pmt.from_double(0.0), "noise_var is 0"),
    ("noise_var", pmt.from_double(-1.0), "noise_var is -1"),
    ("noise_var", pmt.from_double(float("nan")), "noise_var is nan"),
    ("noise_var", pmt.from_double(1e60), "noise_var is 1e"),
    ("noise_var", pmt.from_double(1e-60), "noise_var is 1e"),
    ("noise_var", pmt.intern("0.5"), "must be a real number"),
    ("noise_var", pmt.from_complex(0.5, 0), "must be a real number"),
    ("noise_var", pmt.PMT_T, "must be a real number"),
    ("noise_var", pmt.PMT_NIL, "must be a real number"),
    ("noise_var", pmt.to_pmt({"snr": 1.0}), "must be a real number"),
    ("noise_var", pmt.cons(pmt.intern("esn0_db"), pmt.from_double(5)), "must be a real number"),
    ("constellation", pmt.from_double(1.0), "must be a c32vector"),
    ("constellation", pmt.init_f32vector(2, [1, -1]), "must be a c32vector"),
    ("constellation", pmt.to_pmt([1 + 0j, -1 + 0j]), "must be a c32vector"),
    ("constellation", pmt.init_c32vector(3, [1, 2, 3]), "3 points"),
    ("constellation", pmt.init_c32vector(0, []), "0 points"),
    ("constellation", pmt.init_c32vector(2, [1, NAN]), "point 1 is"),
    ("constellation", pmt.init_c32vector(2, [0, 0]), "no energy"),
]


@pytest.mark.parametrize(("port", "message", "reason"), BAD_MESSAGES, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("way", ["message", "tag"])
def test_a_bad_setting_changes_nothing_and_is_told(port: str, message: Any, reason: str, way: str) -> None:
    symbols = noisy(200)
    block = softmod.soft_demapper_cf(QAM16, 0.5)
    given_by = {"post": [(port, message)]} if way == "message" else {"tags": [(3, port, message)]}
    result = run(block, symbols, messages=["status"], **given_by)
    assert_llr_close(result.outputs[0], brute_force_llr(QAM16, symbols, 0.5))
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and status["block"] == block.alias()
    assert reason in status["reason"] and way in status["reason"]


def test_samples_that_are_not_finite_give_zeros_and_are_counted() -> None:
    symbols = noisy(1000)
    bad = [0, 17, 18, 999]
    symbols[bad] = [NAN, complex(0, np.inf), complex(-np.inf, np.nan), complex(0, np.nan)]
    block = softmod.soft_demapper_cf(QAM16, 0.5)
    result = run(block, symbols, messages=["status"])
    assert_llr_close(result.outputs[0], brute_force_llr(QAM16, symbols, 0.5))
    assert not result.outputs[0].reshape(-1, 4)[bad].any()
    assert block.invalid_count() == 4
    assert result.messages["status"][0]["severity"] == "warning"
    assert 1 <= result.messages["status"][0]["count"] <= 4


def test_reports_of_bad_samples_do_not_flood() -> None:
    block = softmod.soft_demapper_cf("qpsk", 1.0)
    result = run(block, np.full(5000, NAN, np.complex64), messages=["status"], chunk=2)
    assert block.invalid_count() == 5000
    assert len(result.messages["status"]) < 50  # one a second, and this runs for less than that many


@pytest.mark.parametrize("count", [0, 1, 2])
def test_streams_that_end_at_once(count: int) -> None:
    assert len(run(softmod.soft_demapper_cf("64qam"), noisy(count)).outputs[0]) == 6 * count


def test_priors_that_end_early_end_the_output() -> None:
    assert len(run(softmod.soft_demapper_cf("16qam"), noisy(100), np.zeros(42, np.float32)).outputs[0]) == 40
