# SPDX-License-Identifier: GPL-3.0-or-later
"""equalizer_cc: opens eyes over three paths, follows setters and messages, keeps tags with their signal, faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run
from gr_softmod.constellation import Constellation

PATHS = np.array([1.0, 0.25 + 0.2j, -0.1 + 0.12j])
QAM16 = Constellation.qam(16)


def link(
    count: int, constellation: Constellation = QAM16, noise_var: float = 0.003, samples_per_symbol: int = 1
) -> tuple[NDArray[np.complex128], NDArray[np.complex64]]:
    """Symbols, and samples behind three paths and noise."""
    rng = np.random.default_rng(1)
    sent = constellation.points[rng.integers(0, constellation.order, count)]
    samples = np.zeros(count * samples_per_symbol, complex)
    samples[::samples_per_symbol] = sent
    if samples_per_symbol > 1:
        samples = np.convolve(samples, np.hanning(2 * samples_per_symbol + 1)[1:-1])[samples_per_symbol - 1 :]
    samples = np.convolve(samples, PATHS)[: count * samples_per_symbol]
    noise = rng.normal(size=(len(samples), 2)) @ [1, 1j] * np.sqrt(noise_var / 2)
    return sent, (samples + noise).astype(np.complex64)


def error(sent: NDArray[np.complex128], symbols: NDArray[np.complex64], last: int = 4000) -> float:
    """Mean square error of the last symbols, at the delay of the least."""
    return min(
        float(np.mean(np.abs(symbols[-last:] - sent[len(sent) - last - delay : len(sent) - delay]) ** 2))
        for delay in range(12)
    )


@pytest.mark.parametrize("method", ["likelihood", "decision"])
@pytest.mark.parametrize("name", ["qpsk", "8psk", "16qam"])
def test_the_paths_are_undone(method: str, name: str) -> None:
    sent, samples = link(25_000, Constellation.from_name(name))
    assert error(sent, samples) > 0.1
    block = softmod.equalizer_cc(name, method=method)
    assert error(sent, run(block, samples, outputs="c").outputs[0]) < 0.008
    assert block.error_power() < 0.012 and len(block.taps()) == 11


def test_the_constant_modulus_needs_no_phase() -> None:
    sent, samples = link(25_000, Constellation.qpsk())
    block = softmod.equalizer_cc("qpsk", method="modulus", step=0.003)
    symbols = run(block, samples * np.complex64(np.exp(0.7j)), outputs="c").outputs[0]
    assert np.std(np.abs(symbols[-4000:])) < 0.1


def test_several_samples_a_symbol() -> None:
    sent, samples = link(25_000, samples_per_symbol=2)
    block = softmod.equalizer_cc("16qam", taps=16, samples_per_symbol=2, step=0.02)
    symbols = run(block, samples, outputs="c").outputs[0]
    assert abs(len(symbols) - len(sent)) <= 1 and error(sent, symbols) < 0.01


def test_a_middle_tap_of_one_delays_and_tags_go_with_the_signal() -> None:
    _, samples = link(500)
    block = softmod.equalizer_cc("16qam", taps=11, adapting=False)
    result = run(block, samples, outputs="c", tags=[(100, "here", 1)])
    np.testing.assert_allclose(result.outputs[0][5:], samples[:-5], atol=1e-6)
    assert result.tagged("here") == [(105, 1)]


@pytest.mark.parametrize("chunk", [7, 100])
def test_how_the_stream_is_cut_makes_no_difference(chunk: int) -> None:
    _, samples = link(3000)
    whole = run(softmod.equalizer_cc("16qam", acquisition=500), samples, outputs="c").outputs[0]
    pieces = run(softmod.equalizer_cc("16qam", acquisition=500), samples, outputs="c", chunk=chunk).outputs[0]
    np.testing.assert_array_equal(whole, pieces)


def test_setters_and_messages() -> None:
    block = softmod.equalizer_cc("qpsk")
    block.set_constellation("16qam")
    block.set_step(0.25)
    block.set_method("decision")
    block.set_noise_var(0.125)
    block.set_adapting(False)
    assert (block.step(), block.method(), block.noise_var(), block.adapting()) == (0.25, "decision", 0.125, False)
    np.testing.assert_allclose(block.constellation(), QAM16.points, atol=1e-6)
    post = [("noise_var", pmt.from_double(0.5)), ("constellation", softmod.constellation_message("8psk"))]
    run(block, link(100)[1], outputs="c", post=post)
    assert block.noise_var() == 0.5 and len(block.constellation()) == 8
    block.set_noise_var(0)
    block.set_adapting(True)
    run(block, link(100)[1], outputs="c")
    assert block.taps()[5] != 1
    block.reset()
    assert block.taps()[5] == 1 and block.noise_var() == 0


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"constellation": "17qam"}, "17qam"),
        ({"constellation": [1, 2, 3]}, "2, 4, 8"),
        ({"taps": 0}, "0 taps"),
        ({"taps": 2000}, "2000 taps"),
        ({"samples_per_symbol": 0}, "samples_per_symbol is 0"),
        ({"step": 0.0}, "step is 0"),
        ({"step": 1.5}, "step is 1.5"),
        ({"step": float("nan")}, "step is nan"),
        ({"method": "guess"}, "method is 'guess'"),
        ({"noise_var": -1.0}, "noise_var is -1"),
        ({"noise_var": float("inf")}, "noise_var is inf"),
    ],
    ids=str,
)
def test_what_is_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.equalizer_cc(**{"constellation": "qpsk", **arguments})
    block = softmod.equalizer_cc("qpsk")
    for name, value in arguments.items():
        if hasattr(block, f"set_{name}"):
            with pytest.raises(ValueError, match=match):
                getattr(block, f"set_{name}")(value)
    assert (block.step(), block.method(), block.noise_var()) == (pytest.approx(0.01), "likelihood", 0)


@pytest.mark.parametrize(
    ("port", "message", "reason"),
    [
        ("noise_var", pmt.from_double(0.0), "noise_var is 0"),
        ("noise_var", pmt.intern("1"), "must be a real number"),
        ("constellation", pmt.from_double(1.0), "must be a c32vector"),
        ("constellation", pmt.init_c32vector(3, [1, 2, 3]), "3 points"),
    ],
    ids=str,
)
def test_a_bad_message_changes_nothing_and_is_told(port: str, message: Any, reason: str) -> None:
    block = softmod.equalizer_cc("qpsk", noise_var=0.5)
    result = run(block, link(100)[1], outputs="c", messages=["status"], post=[(port, message)])
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and reason in status["reason"] and status["block"] == block.alias()
    assert block.noise_var() == 0.5 and len(block.constellation()) == 4 and len(result.outputs[0]) == 100


def test_samples_that_are_not_finite_do_no_harm() -> None:
    sent, samples = link(25_000)
    samples[[500, 9000]] = [complex("nan"), complex(0, np.inf)]
    block = softmod.equalizer_cc("16qam")
    result = run(block, samples, outputs="c", messages=["status"])
    assert np.isfinite(result.outputs[0]).all() and error(sent, result.outputs[0]) < 0.008
    assert block.invalid_count() >= 2 and result.messages["status"][0]["count"] >= 1
