# SPDX-License-Identifier: GPL-3.0-or-later
"""blind_receiver_cc: symbols of a signal of which nothing is known; tags and messages; faults."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "adaptive"))
from bursts import SAMPLE_RATE, Recording, recording

from flowgraph import run
from gr_softmod.constellation import Constellation

NAMES = ("bpsk", "qpsk", "8psk", "16qam")


@pytest.fixture(scope="module")
def two_bursts() -> Recording:
    return recording(("qpsk", "16qam"), 8000, (3.3, 5.0), (20.0, 20.0), 4000, 2)


def test_symbols_tags_and_messages_of_two_signals(two_bursts: Recording) -> None:
    block = softmod.blind_receiver_cc(NAMES, SAMPLE_RATE)
    result = run(block, two_bursts.samples, outputs="c", messages=["status", "estimate"])
    (symbols,) = result.outputs
    locks = [message for message in result.messages["status"] if message["reason"] == "locked"]
    assert [lock["constellation"] for lock in locks] == ["qpsk", "16qam"] and block.constellation() == "16qam"
    for lock, burst in zip(locks, two_bursts.bursts, strict=True):
        assert lock["symbol_rate"] == pytest.approx(SAMPLE_RATE / burst.samples_per_symbol, rel=1e-4)
        assert lock["frequency"] == pytest.approx(burst.carrier * SAMPLE_RATE, abs=1e-3 * lock["symbol_rate"])
        assert lock["sample_index"] < burst.first + 100 * burst.samples_per_symbol
        points = Constellation.from_name(burst.name).points
        part = symbols[lock["symbol"] + 2048 :][:4096]
        error = np.abs(part[:, None] - points).min(axis=1)
        assert 10 * np.log10(np.mean(error**2)) < -19
    tagged = [len(points) for _, points in result.tagged("constellation")]
    assert tagged == [4, 16]
    assert [offset for offset, locked in result.tagged("locked") if locked] == [lock["symbol"] for lock in locks]
    assert len(result.tagged("symbol_rate")) == len(result.tagged("center")) == 2
    looks = result.messages["estimate"]
    assert len(looks) == len(two_bursts.samples) // 8192 - 1
    assert set(looks[0]) == {
        "sample_index", "symbol_rate", "rate_quality_db", "center", "carrier", "bandwidth", "snr_db",
    }  # fmt: skip


def test_the_output_does_not_depend_on_how_the_stream_is_cut(two_bursts: Recording) -> None:
    part = two_bursts.samples[:40000]
    whole, pieces = (
        run(softmod.blind_receiver_cc(NAMES, 1.0), part, outputs="c", chunk=size, input_chunk=size)
        for size in (None, 999)
    )
    np.testing.assert_array_equal(whole.outputs[0], pieces.outputs[0])
    assert list(map(str, whole.tags[0])) == list(map(str, pieces.tags[0]))


def test_samples_that_are_not_finite_count_as_zero_and_are_told(two_bursts: Recording) -> None:
    samples = two_bursts.samples[:34000].copy()
    samples[20000:20010] = np.nan
    block = softmod.blind_receiver_cc(NAMES, SAMPLE_RATE)
    result = run(block, samples, outputs="c", messages=["status"])
    assert block.invalid_count() == 10 and np.isfinite(result.outputs[0]).all()
    assert any("not finite" in message["reason"] for message in result.messages["status"])
    assert "locked" in [message["reason"] for message in result.messages["status"]]


@pytest.mark.parametrize(
    "samples", [np.zeros(50_000, np.complex64), np.full(50_000, np.nan, np.complex64)], ids=["silence", "nan"]
)
def test_no_signal_becomes_no_symbols(samples: np.ndarray) -> None:
    block = softmod.blind_receiver_cc(NAMES, SAMPLE_RATE)
    assert len(run(block, samples, outputs="c").outputs[0]) == 0
    assert not block.locked() and block.constellation() == "" and block.without_signal() == len(samples)


def priors(**values: float) -> Any:
    message = pmt.make_dict()
    for name, value in values.items():
        message = pmt.dict_add(message, pmt.intern(name), pmt.from_double(value))
    return message


def test_priors_rule_candidates_out(two_bursts: Recording) -> None:
    post = [("log_priors", priors(bpsk=-math.inf))]
    result = run(softmod.blind_receiver_cc(NAMES, 1.0), two_bursts.samples, outputs="c", messages=["status"], post=post)
    assert "locked" not in [message["reason"] for message in result.messages["status"]]


@pytest.mark.parametrize(
    "message", [pmt.PMT_T, pmt.from_double(1.0), priors(qpsk=1.0), priors(qpsk=math.nan),
                pmt.dict_add(pmt.make_dict(), pmt.intern("qpsk"), pmt.intern("much"))], ids=str
)  # fmt: skip
def test_bad_priors_change_nothing_and_are_told(two_bursts: Recording, message: Any) -> None:
    samples = two_bursts.samples[:34000]
    result = run(
        softmod.blind_receiver_cc(NAMES, 1.0), samples, outputs="c", messages=["status"], post=[("log_priors", message)]
    )
    reasons = [status["reason"] for status in result.messages["status"]]
    assert any("message ignored" in reason for reason in reasons) and "locked" in reasons


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"constellations": ()}, "there are no candidates"),
        ({"constellations": ("qpsk", "qpsk")}, "'qpsk' is there twice"),
        ({"constellations": ("qpsk", "nothing")}, "nothing"),
        ({"sample_rate": 0.0}, "sample_rate is 0"),
        ({"sample_rate": math.nan}, "sample_rate is nan"),
        ({"excess_bandwidth": 0.0}, "excess_bandwidth is 0"),
        ({"lowest_symbol_rate": 0.9}, "symbol rates from"),
        ({"timing_bandwidth": 0.5}, "loop_bandwidth is 0.5"),
        ({"carrier_bandwidth": 0.0}, "loop_bandwidth is 0"),
        ({"length": 5000}, "length"),
        ({"window": 1000}, "window is 1000"),
        ({"margin": -1.0}, "margin is -1"),
        ({"agreeing": 0}, "agreeing is 0"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        softmod.blind_receiver_cc(**({"constellations": ("qpsk",), "sample_rate": 1.0} | bad))
