# SPDX-License-Identifier: GPL-3.0-or-later
"""window_tap from Python; what it cuts is tested beside the kernel and in qa_training_tap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gnuradio import softmod

from flowgraph import run


def test_windows_wait_for_whoever_takes_them() -> None:
    tap = softmod.window_tap(length=8, period=100, history=64, queue=3)
    run(tap, np.arange(1000).astype(np.complex64), outputs="", tags=[(150, "rx_freq", 5.0)])
    for k in range(3):
        window = tap.take(0)
        assert (window["sequence"], window["first"], window["id"]) == (k, 100 * k, 0)
        assert np.array_equal(window["iq"], np.arange(100 * k, 100 * k + 8))
        assert window["llr"].size == 0 and window["time"] is None and math.isnan(window["rate"])
        assert (window["frequency"] == 5.0) == (k == 2)
    assert tap.take(0) is None
    assert tap.counts() == {"cut": 10, "queue_full": 7, "too_late": 0, "too_many_asked": 0}
    assert (tap.written(), tap.period()) == (1000, 100)


def test_the_past_can_be_asked_for() -> None:
    tap = softmod.window_tap(length=8, history=64)
    run(tap, np.arange(1000).astype(np.complex64), outputs="")
    assert tap.ask(940, 50, 7) == "" and tap.ask(5, 8, 8) == "too_late" and tap.ask(990, 65, 9) == "too_long"
    window = tap.take(0)
    assert window["id"] == 7 and np.array_equal(window["iq"], np.arange(940, 990))


@pytest.mark.parametrize("arguments", [{"length": 0}, {"queue": 0}, {"history": 4}, {"llrs_per_sample": 17}])
def test_arguments_are_checked(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        softmod.window_tap(**{"length": 8} | arguments)
