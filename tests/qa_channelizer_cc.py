# SPDX-License-Identifier: GPL-3.0-or-later
"""channelizer_cc: the channels of a band, beside the in-tree channelizer and by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod
from gnuradio.filter import pfb

RNG = np.random.default_rng(1)


def channels_of(split: Any, channels: int, x: np.ndarray, tags: Any = ()) -> tuple[np.ndarray, list[Any]]:
    """Samples [channels, n], and the tags of the last channel."""
    tb = gr.top_block()
    tb.connect(blocks.vector_source_c(x.tolist(), False, 1, tags), split)
    sinks = [blocks.vector_sink_c() for _ in range(channels)]
    for channel, sink in enumerate(sinks):
        tb.connect((split, channel), sink)
    tb.run()
    return np.array([sink.data() for sink in sinks], np.complex64), sinks[-1].tags()


def noise(n: int) -> np.ndarray:
    return (RNG.normal(size=(n, 2)) @ [1, 1j]).astype(np.complex64)


@pytest.mark.parametrize("channels", [2, 8, 64])
def test_gives_what_the_in_tree_one_gives(channels: int) -> None:
    """But for the phase of each channel and where the first sample is taken."""
    taps, x = softmod.multichannel_classifier.taps(channels), noise(channels * 700)
    mine, _ = channels_of(softmod.channelizer_cc(channels, taps), channels, x)
    theirs, _ = channels_of(pfb.channelizer_ccf(channels, taps), channels, x)
    assert mine.shape == (channels, 700)
    alike = []
    for delay in (-1, 0, 1):
        a, b = mine[:, 50 + delay : 650 + delay], theirs[:, 50:650]
        turn = np.sum(a * b.conj(), 1, keepdims=True)
        alike.append(np.abs(a * (turn / np.abs(turn)).conj() - b).max() / np.abs(b).max())
    assert min(alike) < 1e-4, alike


@pytest.mark.parametrize("channel", [0, 1, 8, 15])
def test_a_carrier_is_in_its_channel_alone(channel: int) -> None:
    frequency = (channel - 16 if channel >= 8 else channel) / 16 + 0.1 / 16
    x = np.exp(2j * np.pi * frequency * np.arange(16 * 400)).astype(np.complex64)
    y, _ = channels_of(softmod.channelizer_cc(16, softmod.multichannel_classifier.taps(16)), 16, x)
    power = 10 * np.log10(np.mean(np.abs(y[:, 100:]) ** 2, 1) + 1e-12)
    assert abs(power[channel]) < 0.1 and np.delete(power, channel).max() < -55
    turn = np.angle(np.mean(y[channel, 101:] * y[channel, 100:-1].conj())) / (2 * np.pi)
    assert abs(turn - 0.1) < 1e-3  # of the channel's rate


def test_tags_come_along() -> None:
    tag = gr.python_to_tag((80, pmt.intern("rx_freq"), pmt.from_double(1e6), pmt.PMT_F))
    _, tags = channels_of(softmod.channelizer_cc(8, [1.0]), 8, noise(160), [tag])
    assert [(t.offset, pmt.to_python(t.key)) for t in tags] == [(10, "rx_freq")]


def test_a_stream_that_ends_within_a_sample_of_the_channels() -> None:
    y, _ = channels_of(softmod.channelizer_cc(8, [1.0] * 8), 8, np.ones(8 * 5 + 7, np.complex64))
    np.testing.assert_allclose(y, np.outer([8, 0, 0, 0, 0, 0, 0, 0], np.ones(5)), atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "taps", "match"),
    [(6, [1.0], "channels is 6"), (-1, [1.0], "channels is -1"), (4, [], "0 taps"), (4, [float("nan")], "finite")],
)
def test_refuses(channels: int, taps: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.channelizer_cc(channels, taps)
