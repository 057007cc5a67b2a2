# SPDX-License-Identifier: GPL-3.0-or-later
"""ber_meter: what is counted, at any cut of the stream; messages; GNU Radio's own generators; faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, digital, gr, softmod
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flowgraph import run

KEYS = {
    "bits", "errors", "ber", "ber_low", "ber_high", "frames", "frame_errors", "fer", "fer_low", "fer_high", "synced",
    "inverted", "slips",
}  # fmt: skip


def sent(name: str, count: int, rate: float = 0.0, skip: int = 0, seed: int = 1) -> tuple[NDArray, NDArray]:
    """Bits with errors, and which are wrong."""
    wrong = np.random.default_rng(seed).random(count) < rate
    return softmod.prbs(name, count, skip) ^ wrong, wrong


def as_llr(bits: NDArray, seed: int = 2) -> NDArray[np.float32]:
    size = np.random.default_rng(seed).exponential(3, len(bits)) + 1e-3
    return ((2.0 * bits - 1) * size).astype(np.float32)


@pytest.mark.parametrize("name", ["prbs9", "prbs15", "prbs23", "prbs31"])
@pytest.mark.parametrize("soft", [True, False], ids=["soft", "bytes"])
@pytest.mark.parametrize("inverted", [False, True], ids=["plain", "inverted"])
def test_counts_are_exact(name: str, soft: bool, inverted: bool) -> None:
    bits, wrong = sent(name, 50_000, 0.02, skip=1234)
    received = bits ^ inverted
    meter = softmod.ber_meter(name, soft, frame_bits=100)
    result = run(meter, as_llr(received) if soft else received.astype(np.uint8), outputs="", messages=["ber"])
    counts = meter.counts()
    assert set(counts) == KEYS and all(set(message) == KEYS for message in result.messages["ber"])
    assert counts["bits"] > 45_000 and counts["synced"] and counts["inverted"] == inverted and counts["slips"] == 0
    assert counts["errors"] == wrong[-counts["bits"] :].sum()
    frames = wrong[-counts["bits"] :][: counts["frames"] * 100].reshape(-1, 100)
    assert counts["frames"] == counts["bits"] // 100 and counts["frame_errors"] == frames.any(axis=1).sum()
    assert counts["ber"] == counts["errors"] / counts["bits"]
    assert counts["ber_low"] < counts["ber"] < counts["ber_high"]
    assert counts["ber_low"] < 0.02 < counts["ber_high"]
    assert counts["fer_low"] < 1 - 0.98**100 < counts["fer_high"]


def test_intervals_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    bits, _ = sent("prbs15", 30_000, 0.003)
    meter = softmod.ber_meter("prbs15", frame_bits=500)
    run(meter, as_llr(bits), outputs="")
    counts = meter.counts()
    for rate, events, trials in (("ber", "errors", "bits"), ("fer", "frame_errors", "frames")):
        expected = stats.binomtest(counts[events], counts[trials]).proportion_ci(method="wilson")
        assert (counts[f"{rate}_low"], counts[f"{rate}_high"]) == pytest.approx((expected.low, expected.high))


@given(
    chunk=st.sampled_from([None, 1, 37, 1000]),
    period=st.sampled_from([100, 999, 10_000]),
    rate=st.sampled_from([0.0, 0.05]),
)
@settings(max_examples=20, deadline=None)
def test_counts_and_messages_do_not_depend_on_how_the_stream_is_cut(
    chunk: int | None, period: int, rate: float
) -> None:
    bits, _ = sent("prbs9", 6000, rate)
    whole, pieces = softmod.ber_meter("prbs9", False, 50), softmod.ber_meter("prbs9", False, 50, period)
    run(whole, bits.astype(np.uint8), outputs="")
    result = run(pieces, bits.astype(np.uint8), outputs="", chunk=chunk, messages=["ber"])
    assert pieces.counts() == whole.counts()
    bits_told = [message["bits"] for message in result.messages["ber"]]
    assert len(bits_told) >= 6000 // period and bits_told == sorted(bits_told)


@pytest.mark.parametrize("kind", ["array", "list", "file"])
def test_given_bits(kind: str, tmp_path: Path) -> None:
    known = np.random.default_rng(7).integers(0, 2, 2000).astype(np.uint8)
    sequence: Any = known if kind == "array" else known.tolist()
    if kind == "file":
        sequence = tmp_path / "known.bits"
        known.tofile(sequence)
    stream = np.tile(known, 30)[777:]
    stream[[20_000, 20_001, 40_500]] ^= 1
    meter = softmod.ber_meter(sequence, False)
    run(meter, stream, outputs="")
    counts = meter.counts()
    assert (counts["errors"], counts["frames"], counts["frame_errors"], counts["slips"]) == (3, 29, 2, 0)


@pytest.mark.parametrize(("degree", "mask"), [(9, 0x110), (15, 0x6000), (23, 0x420000), (31, 0x48000000)])
def test_the_in_tree_generator_is_found(degree: int, mask: int) -> None:
    """digital.glfsr_source_b with the mask of the polynomial: bit i of the mask is the term x^(i + 1)."""
    tb = gr.top_block()
    source, head = digital.glfsr_source_b(degree, True, mask, 1), blocks.head(1, 20_000)
    meter = softmod.ber_meter(f"prbs{degree}", False)
    tb.connect(source, head, meter)
    tb.run()
    assert meter.counts()["errors"] == 0 and meter.counts()["bits"] > 15_000


def test_a_slip_is_told_and_not_counted_as_errors() -> None:
    bits = np.concatenate([sent("prbs23", 30_000)[0], sent("prbs23", 30_000, skip=30_005)[0]])
    meter = softmod.ber_meter("prbs23", True, frame_bits=1000)
    result = run(meter, as_llr(bits), outputs="", messages=["status"])
    counts = meter.counts()
    assert (counts["slips"], counts["errors"], counts["frame_errors"]) == (1, 0, 1)
    reasons = [status["reason"] for status in result.messages["status"]]
    assert [reason.split(" near")[0] for reason in reasons] == [
        "synchronised", "synchronisation lost", "synchronised",
    ]  # fmt: skip


def test_noise_is_not_taken_for_the_sequence() -> None:
    noise = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
    meter = softmod.ber_meter("prbs9")
    result = run(meter, noise, outputs="", messages=["ber"])
    counts = meter.counts()
    assert not counts["synced"] and counts["bits"] == 0 and np.isnan(counts["ber"])
    assert (counts["ber_low"], counts["ber_high"]) == (0, 1)
    assert result.messages["ber"][0]["bits"] == 0


def test_reset_by_message_and_by_call() -> None:
    bits, _ = sent("prbs9", 10_000)
    meter = softmod.ber_meter("prbs9", False)
    run(meter, bits.astype(np.uint8), outputs="")
    assert meter.counts()["bits"] > 0
    meter.reset()
    assert meter.counts()["bits"] == 0 and not meter.counts()["synced"]
    run(meter, bits.astype(np.uint8), outputs="", post=[("reset", pmt.PMT_T)])
    assert 9000 < meter.counts()["bits"] <= 10_000


def test_nan_counts_as_0_and_is_told() -> None:
    bits, _ = sent("prbs9", 20_000)
    llr = as_llr(bits)
    ones = np.flatnonzero(bits)[-500::100]
    llr[ones] = np.nan
    meter = softmod.ber_meter("prbs9")
    result = run(meter, llr, outputs="", messages=["status"])
    assert meter.counts()["errors"] == len(ones)
    assert any("not finite" in status["reason"] for status in result.messages["status"])


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("prbs7",), ValueError, "prbs7"),
        (("no/such/file",), ValueError, "no/such/file"),
        (([],), ValueError, "no bits"),
        (([0, 1, 2],), ValueError, "item 2 of the known sequence is not 0 or 1"),
        (([0, 0.5],), ValueError, "item 1"),
        ((None,), TypeError, "NoneType"),
        (([0, 1] * 500, True, 300), ValueError, "frame_bits is 300"),
        (("prbs9", True, 0, 0), ValueError, "period is 0"),
    ],
    ids=str,
)
def test_what_is_refused(arguments: tuple, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        softmod.ber_meter(*arguments)


def test_setters() -> None:
    meter = softmod.ber_meter("prbs9")
    meter.set_period(17)
    assert meter.period() == 17
    with pytest.raises(ValueError, match="period is 0"):
        meter.set_period(0)


def test_prbs_bits_follow_their_polynomial() -> None:
    for name, a, b in (("prbs9", 9, 5), ("prbs15", 15, 14), ("prbs23", 23, 18), ("prbs31", 31, 28)):
        bits = softmod.prbs(name, 1000)
        np.testing.assert_array_equal(bits[a:], bits[: 1000 - a] ^ bits[a - b : 1000 - b])
        np.testing.assert_array_equal(softmod.prbs(name, 100, skip=50), bits[50:150])
    with pytest.raises(ValueError, match="prbs10"):
        softmod.prbs("prbs10", 10)
