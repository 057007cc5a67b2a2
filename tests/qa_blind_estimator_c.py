# SPDX-License-Identifier: GPL-3.0-or-later
"""blind_estimator_c: what it finds in known signals and real recordings, which blocks it looks at, tags, faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, filter, gr, softmod
from gnuradio.filter import firdes
from numpy.typing import NDArray

from flowgraph import Messages, run, until
from shaped_signal import shaped_signal

RATE = 48_000.0
LENGTH = 16_384


def signal(samples: int = LENGTH, constellation: str = "qpsk", **how: Any) -> NDArray[np.complex64]:
    return shaped_signal(constellation, samples, **{"samples_per_symbol": 5.0, "esn0_db": 15, "frequency": 0.1} | how)


def heard(block: Any, samples: NDArray[np.complex64], port: str = "estimate", **more: Any) -> list[dict[str, Any]]:
    return run(block, samples, outputs="", messages=[port], **more).messages[port]


def estimates(samples: NDArray[np.complex64], *arguments: Any, **more: Any) -> list[dict[str, Any]]:
    return run(
        softmod.blind_estimator_c(RATE, LENGTH, *arguments), samples, outputs="", messages=["estimate"], **more
    ).messages["estimate"]


def test_frequencies_are_in_hertz() -> None:
    (found,) = estimates(signal())
    assert found["symbol_rate"] == pytest.approx(9600, rel=1e-4)
    assert found["carrier"] == pytest.approx(4800, abs=1) and found["carrier_order"] == 4
    assert found["center"] == pytest.approx(4800, abs=0.05 * 9600)
    assert found["bandwidth"] == pytest.approx(9600, rel=0.15)
    assert found["snr_db"] == pytest.approx(15, abs=1)
    assert found["rate_quality_db"] > 20 and found["carrier_quality_db"] > 15 and found["active"] == 1
    assert (found["sample_index"], found["length"]) == (0, LENGTH)


@pytest.mark.parametrize("chunk", [None, 1000])
@pytest.mark.parametrize("period", [0, LENGTH, 20_000, 40_000])
def test_a_block_every_period(period: int, chunk: int | None) -> None:
    samples = signal(100_000)
    found = estimates(samples, period, chunk=chunk)
    firsts = list(range(0, len(samples) - LENGTH + 1, period or LENGTH))
    assert [message["sample_index"] for message in found] == firsts
    kernel = softmod_kernel(samples, firsts[-1])
    assert found[-1]["symbol_rate"] == pytest.approx(kernel["symbol_rate"] * RATE, rel=1e-12)
    assert found[-1]["carrier"] == pytest.approx(kernel["carrier"] * RATE, rel=1e-12)


def softmod_kernel(samples: NDArray[np.complex64], first: int) -> dict[str, Any]:
    from gr_softmod.bindings._kernels import BlindEstimator

    return BlindEstimator(LENGTH).estimate(samples[first : first + LENGTH])


def test_nothing_is_said_of_noise_and_silence() -> None:
    rng = np.random.default_rng(1)
    noise = (rng.normal(size=(2 * LENGTH, 2)) @ [1, 1j]).astype(np.complex64)
    block = softmod.blind_estimator_c(RATE, LENGTH)
    samples = np.concatenate([np.zeros(LENGTH, np.complex64), signal(), noise[:LENGTH]])
    found = heard(block, samples)
    assert any(message["sample_index"] == LENGTH for message in found)
    assert all(message["symbol_rate"] == 0 for message in found if message["sample_index"] != LENGTH)
    counts = block.counts()
    assert counts["estimated"] == len(found) and counts["estimated"] + counts["without_signal"] == 3


def test_tags_tell_rate_frequency_and_time() -> None:
    tags = [
        (0, "rx_rate", 1e6),
        (0, "rx_freq", 435e6),
        (100, "rx_time", pmt.make_tuple(pmt.from_uint64(7), pmt.from_double(0.5))),
        (LENGTH + 5, "rx_freq", 436e6),
    ]
    block = softmod.blind_estimator_c(0, LENGTH)
    first, second, third = run(block, signal(3 * LENGTH), tags=tags, outputs="", messages=["estimate"]).messages[
        "estimate"
    ]
    assert first["symbol_rate"] == pytest.approx(200e3, rel=1e-4)
    assert "rx_time" not in first  # it came behind the block's first sample
    seconds, fraction = second["rx_time"]
    assert seconds + fraction == pytest.approx(7.5 + (LENGTH - 100) / 1e6)
    assert (second["rx_freq"], third["rx_freq"]) == (435e6, 436e6)


def test_a_live_source_never_waits() -> None:
    """Every block is estimated or counted as skipped."""
    block = softmod.blind_estimator_c(RATE, LENGTH, 0, True)
    heard(block, signal(50 * LENGTH))
    until(lambda: sum(block.counts().values()) == 50)
    assert block.counts()["estimated"] >= 1


def test_it_can_run_again() -> None:
    block = softmod.blind_estimator_c(RATE, LENGTH)
    top, messages = gr.top_block(), Messages()
    source = blocks.vector_source_c(signal(LENGTH + 100).tolist())
    top.connect(source, block)
    top.msg_connect(block, "estimate", messages, "in")
    for _ in range(2):
        source.rewind()
        top.run()
    assert [message["symbol_rate"] for message in messages.received] == pytest.approx([9600, 9600], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((-1.0,), "sample_rate is -1"),
        ((float("nan"),), "sample_rate is nan"),
        ((1.0, 1000), "length is 1000"),
        ((1.0, 10_000), "length is 10000"),
        ((1.0, 4096, 4095), "period is 4095"),
    ],
)
def test_what_is_refused(arguments: tuple[Any, ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.blind_estimator_c(*arguments)


def test_setters() -> None:
    block = softmod.blind_estimator_c(1.0, 4096)
    assert block.period() == 4096
    block.set_period(5000)
    assert block.period() == 5000
    with pytest.raises(ValueError, match="period is 7"):
        block.set_period(7)
    assert block.period() == 5000


def test_a_bad_tag_is_told() -> None:
    block = softmod.blind_estimator_c(0, 4096)
    (status,) = heard(block, signal(8192), "status", tags=[(0, "rx_rate", pmt.intern("x"))])
    assert "rx_rate" in status["reason"]


@pytest.mark.parametrize(
    ("name", "symbol_rate", "center"),
    [("picsat_9k6", 9570, 12_190), ("entrysat", 9570, 12_000), ("by701", 9600, 11_500), ("ao73", 1202, 1085)],
)
def test_real_recordings(recordings: Path, name: str, symbol_rate: float, center: float) -> None:
    """The clocks of picsat and entrysat are 0.3 % slow, as every receiver of these recordings finds."""
    source = softmod.iq_source(str(recordings / f"{name}.wav"))
    block, messages, top = softmod.blind_estimator_c(source.sample_rate, 65536), Messages(), gr.top_block()
    taps = firdes.complex_band_pass(1, source.sample_rate, 100, source.sample_rate / 2 - 100, 400)
    top.connect(source, filter.fir_filter_ccc(1, taps), block)  # the samples are real: away with the mirror image
    top.msg_connect(block, "estimate", messages, "in")
    top.run()
    found = [message for message in messages.received if message["symbol_rate"]]
    assert len(found) >= 2
    for message in found:
        assert message["symbol_rate"] == pytest.approx(symbol_rate, rel=5e-4)
        assert message["center"] == pytest.approx(center, abs=0.1 * symbol_rate)
        if message["carrier_order"]:
            assert message["carrier_order"] == 2
