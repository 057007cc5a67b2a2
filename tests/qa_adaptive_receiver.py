# SPDX-License-Identifier: GPL-3.0-or-later
"""adaptive_receiver: unknown bursts become soft bits as good as theory's; phase ambiguity; states; faults."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "adaptive"))
from bursts import SAMPLE_RATE, Received, Recording, outcomes, receive, recording

from gr_softmod import theory
from gr_softmod.constellation import Constellation

NAMES = ("bpsk", "qpsk", "8psk", "16qam", "64qam")


@pytest.fixture(scope="module")
def five() -> tuple[Recording, Received]:
    sent = recording(NAMES, 9000, (3.3, 5.0, 4.0, 2.7, 5.0), (20.0,) * 5, 5000, 5)
    return sent, receive(sent.samples)


def test_each_burst_is_recognised_locked_and_received_as_well_as_theory_has_it(
    five: tuple[Recording, Received],
) -> None:
    sent, received = five
    for outcome in outcomes(sent, received):
        assert outcome.recognised, outcome.name
        assert outcome.locked_after is not None and outcome.locked_after < 1000, "of 20000 that were asked for"
        assert outcome.bits > 4000 * Constellation.from_name(outcome.name).bits_per_symbol
        assert outcome.error_db == pytest.approx(-20, abs=0.5)
        made = Constellation.from_name(outcome.name)
        at_most = theory.ber(made, 20 - 0.5 - 10 * math.log10(made.bits_per_symbol))
        assert outcome.errors <= outcome.bits * at_most + 4 * math.sqrt(outcome.bits * at_most) + 1


def test_states_follow_the_bursts(five: tuple[Recording, Received]) -> None:
    sent, received = five
    states = received.messages["state"]
    locked = [state for state in states if state["state"] == "locked"]
    assert [state["class"] for state in locked] == list(NAMES)
    for state, burst in zip(locked, sent.bursts, strict=True):
        assert state["symbol_rate"] == pytest.approx(SAMPLE_RATE / burst.samples_per_symbol, rel=1e-3)
        assert state["carrier"] == pytest.approx(burst.carrier * SAMPLE_RATE, abs=2e-3 * state["symbol_rate"])
        assert 18 < state["snr_db"] < 22 or burst is sent.bursts[0] or state["snr_db"] > 4
    assert states[-1]["state"] == "lost"
    assert {"class", "probability", "sample_index"} <= set(received.messages["classification"][0])
    assert len(received.llr) == int(received.bits_per_symbol().sum())


def test_without_a_classifier_symbols_alone_decide() -> None:
    sent = recording(("16qam",), 8000, (4.0,), (20.0,), 3000, 8)
    received = receive(sent.samples, model="")
    (outcome,) = outcomes(sent, received)
    assert outcome.recognised and outcome.error_db == pytest.approx(-20, abs=0.5)
    assert received.messages["classification"] == []


@pytest.mark.parametrize("name", ["gmsk", "fm"])
def test_what_has_no_constellation_is_named_and_never_locked(name: str) -> None:
    rng = np.random.default_rng(1)
    moves = rng.normal(size=120_000) if name == "fm" else np.repeat(rng.choice([-1, 1], 24_000), 5) * np.pi / 2
    width = 40 if name == "fm" else 5
    turns = np.cumsum(np.convolve(moves, np.ones(width) / width, "same")) * (0.8 if name == "fm" else 0.2)
    noise = rng.normal(size=(len(turns), 2)) @ [1, 1j] * 0.1
    received = receive((np.exp(1j * turns) + noise).astype(np.complex64))
    assert "locked" not in [state["state"] for state in received.messages["state"]]
    assert name in [state.get("class") for state in received.messages["state"]]


def hear(samples: NDArray[np.complex64], **options: Any) -> NDArray[np.float32]:
    block, sink, tb = softmod.adaptive_receiver(SAMPLE_RATE, **options), blocks.vector_sink_f(), gr.top_block()
    tb.connect(blocks.vector_source_c(samples.tolist()), block, sink)
    tb.connect((block, 1), blocks.null_sink(gr.sizeof_gr_complex))
    tb.run()
    return np.array(sink.data(), np.float32)


def bit_errors(llr: NDArray, bits: NDArray, m: int) -> int:
    """Where these bits fit best into the LLRs, in whole symbols."""
    hard = (llr > 0).astype(np.int8) * 2 - 1
    sent = bits.astype(np.int8) * 2 - 1
    size = 1 << int(np.ceil(np.log2(len(hard) + len(sent))))
    fit = np.fft.irfft(np.fft.rfft(hard, size) * np.conj(np.fft.rfft(sent, size)), size)[: len(hard) : m]
    return round((len(sent) - fit.max()) / 2)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["qpsk", "16qam"])
def test_a_known_word_tells_the_turn(name: str, seed: int) -> None:
    made = Constellation.from_name(name)
    sent = recording((name,), 7000, (4.0,), (20.0,), 3000, seed)
    bits = made.bits[made.nearest(sent.bursts[0].symbols)].reshape(-1)
    word = bits[3000 * made.bits_per_symbol :][:64]
    llr = hear(sent.samples, constellations=("qpsk", "16qam"), model="", ambiguity="known_word", word=word.tolist())
    part = bits[1000 * made.bits_per_symbol : 6000 * made.bits_per_symbol]
    assert bit_errors(llr, part, made.bits_per_symbol) < 10


def test_differential_bits_need_no_turn() -> None:
    sent = recording(("qpsk",), 7000, (4.0,), (20.0,), 3000, 4)
    symbols, made = sent.bursts[0].symbols, Constellation.from_name("qpsk")
    turns = made.bits[made.nearest(symbols[1:] * np.conj(symbols[:-1]) * made.points[0])].reshape(-1)
    llr = hear(sent.samples, constellations=("bpsk", "qpsk", "8psk"), model="", ambiguity="differential")
    assert bit_errors(llr, turns[2000:12000], 2) < 10


def test_other_messages_than_a_classifiers_are_ignored() -> None:
    sent = recording(("qpsk",), 6000, (4.0,), (20.0,), 3000, 9)
    block, tb = softmod.adaptive_receiver(SAMPLE_RATE, ("qpsk",), ""), gr.top_block()
    tb.connect(blocks.vector_source_c(sent.samples.tolist()), block, blocks.null_sink(gr.sizeof_float))
    tb.connect((block, 1), blocks.null_sink(gr.sizeof_gr_complex))
    for message in (pmt.PMT_NIL, pmt.intern("qpsk"), pmt.make_dict()):
        for port in ("status", "estimate"):
            block.control._post(pmt.intern(port), message)
    tb.run()
    assert block.state().state in ("locked", "lost") and block.constellation() == "qpsk" and not block.locked()


def test_silence_and_nan_become_nothing_and_the_flowgraph_lives() -> None:
    sent = recording(("qpsk",), 6000, (4.0,), (20.0,), 3000, 9)
    quiet = np.zeros(30000, np.complex64)
    samples = np.concatenate((quiet, np.full(30000, np.nan, np.complex64), sent.samples))
    received = receive(samples)
    assert [state["class"] for state in received.messages["state"] if state["state"] == "locked"] == ["qpsk"]
    assert np.isfinite(received.llr).all()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"sample_rate": 0.0}, "sample_rate is 0"),
        ({"constellations": ()}, "constellations are empty"),
        ({"constellations": ("64qan",)}, "64qan"),
        ({"constellations": ("16qam",), "ambiguity": "differential"}, "PSK"),
        ({"model": "absent.safetensors"}, "absent.safetensors"),
        ({"model": b"no model"}, "model"),
        ({"ambiguity": "guess"}, "ambiguity is 'guess'"),
        ({"ambiguity": "known_word", "word": [0, 1] * 8}, "the word has 16 bits; 4 symbols of"),
        ({"min_confidence": 2.0}, "min_confidence is 2"),
        ({"agreeing": 0}, "agreeing is 0"),
        ({"length": 1000}, "length"),
        ({"window": 1000}, "window is 1000"),
        ({"method": "quick"}, "quick"),
        ({"symbol_rates": (2.0, 1.0)}, "symbol rates from"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    options = {"sample_rate": 1e6, "constellations": ("qpsk", "64qam"), "model": ""} | bad
    with pytest.raises(ValueError, match=sentence):
        softmod.adaptive_receiver(**options)
