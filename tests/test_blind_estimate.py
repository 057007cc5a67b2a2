# SPDX-License-Identifier: GPL-3.0-or-later
"""BlindEstimator from Python: known signals anywhere in the band, the same for every cut, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shaped_signal import shaped_signal

LENGTH = 16_384


def estimator(length: int = LENGTH) -> Any:
    return pytest.importorskip("gr_softmod.bindings._kernels").BlindEstimator(length)


@given(
    constellation=st.sampled_from(["bpsk", "qpsk", "16qam", "64qam"]),
    samples_per_symbol=st.floats(2.5, 16),
    frequency=st.floats(-0.5, 0.5),
    rolloff=st.floats(0.2, 0.5),
    level=st.sampled_from([1e-6, 1.0, 1e6]),
)
@settings(max_examples=30)
def test_rate_and_carrier_wherever_the_signal_is(
    constellation: str, samples_per_symbol: float, frequency: float, rolloff: float, level: float
) -> None:
    samples = shaped_signal(constellation, LENGTH, samples_per_symbol, 18, frequency, rolloff)
    found = estimator().estimate(level * samples)
    symbols = LENGTH / samples_per_symbol
    assert abs(found["symbol_rate"] * samples_per_symbol - 1) < 0.3 / symbols
    assert found["carrier_order"] == (2 if constellation == "bpsk" else 4)
    off = (found["carrier"] - frequency + 0.5) % 1 - 0.5
    assert abs(off) * samples_per_symbol < 1e-4
    assert abs(found["snr_db"] - 18) < 2


@pytest.mark.parametrize("seed", range(5))
def test_noise_in_a_band_with_sharp_edges_has_no_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gauss = rng.normal(size=(LENGTH, 2)) @ [1, 1j]
    spectrum = np.fft.fft(gauss)
    spectrum[np.abs(np.fft.fftfreq(LENGTH)) > 0.1] = 0
    found = estimator().estimate((np.fft.ifft(spectrum) + 0.001 * gauss).astype(np.complex64))
    assert found["symbol_rate"] == 0 and found["carrier_order"] == 0
    assert found["bandwidth"] == pytest.approx(0.2, abs=0.02)


def test_symbols_are_those_of_the_signal() -> None:
    """In time and behind a matched filter: nothing but the carrier turns them off the points."""
    samples = shaped_signal("qpsk", LENGTH, 4.7, 25, 0.03)
    found = estimator().estimate(samples, symbols=True)
    power = found["symbols"].astype(complex) ** 4
    line = np.fft.fft(power, 1 << 16)
    assert np.abs(line).max() / len(power) > 0.9
    assert abs(np.mean(np.abs(found["symbols"]) ** 2) - 1) < 1e-5
    assert len(found["symbols"]) == pytest.approx(LENGTH / 4.7, abs=4)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="length is 5000"):
        estimator(5000)
    with pytest.raises(ValueError, match="4095 samples"):
        estimator().estimate(np.ones(4095, np.complex64))
