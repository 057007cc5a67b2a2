# SPDX-License-Identifier: GPL-3.0-or-later
"""receiver: bit error rate and calibration against theory at every rate, differential bits, lock messages, faults.

The transmitter is numpy alone: root raised cosine pulses summed at the instants of the samples, so any rate and any
clock error are exact.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from gnuradio import blocks, gr, softmod
from numpy.typing import NDArray

from flowgraph import Messages
from gr_softmod.constellation import Constellation
from gr_softmod.modem import theory

ROLL_OFF = 0.35
SYMBOL_RATE = 9600.0
#: What the receiver may lose to ideal detection, and symbols left out at the start, where its loops settle.
LOSS_DB, SETTLING = 0.5, 4096
CARRIER, CLOCK = 0.02, 50e-6  # offsets over the symbol rate
HARDEST_BER = 1e-2
GRID_DB = np.linspace(-5, 25, 3001)


def pulse(t: NDArray) -> NDArray:
    """Root raised cosine of unit energy at t symbols."""
    a, at = ROLL_OFF, np.where(np.abs(t) < 1e-9, 1e-9, t)
    edge = np.abs(np.abs(4 * a * at) - 1) < 1e-7
    at = np.where(edge, at * (1 + 1e-6), at)
    return (np.sin(np.pi * at * (1 - a)) + 4 * a * at * np.cos(np.pi * at * (1 + a))) / (
        np.pi * at * (1 - (4 * a * at) ** 2)
    )


def waveform(symbols: NDArray, samples_per_symbol: float, span: int = 12) -> NDArray:
    """Complex samples, of power 1 / samples_per_symbol per unit of energy a symbol, times samples_per_symbol."""
    t = np.arange(int(len(symbols) * samples_per_symbol)) / samples_per_symbol
    whole = np.floor(t).astype(int)
    padded = np.pad(symbols, span)
    fine = pulse_table(t - whole, span)
    return sum(padded[whole - k + span] * values for k, values in fine)


def pulse_table(fraction: NDArray, span: int) -> list[tuple[int, NDArray]]:
    return [(k, pulse(fraction + k)) for k in range(1 - span, span + 1)]


def impaired(
    symbols: NDArray, esn0_db: float, samples_per_symbol: float, level: float = 0.01, center: float = 0.0
) -> NDArray[np.complex64]:
    """What an antenna gives: pulses with a clock and a carrier that are off, noise, and a level of its own."""
    rng = np.random.default_rng(11)
    clean = waveform(symbols, samples_per_symbol * (1 + CLOCK))
    carrier = (CARRIER + center / SYMBOL_RATE) / samples_per_symbol
    noise = rng.normal(size=(len(clean), 2)) @ [1, 1j] * np.sqrt(0.5 * samples_per_symbol * 10 ** (-esn0_db / 10))
    return (level * (clean * np.exp(2j * np.pi * carrier * np.arange(len(clean)) + 0.3j) + noise)).astype(np.complex64)


@dataclass
class Received:
    llr: NDArray[np.float64]  # [symbols, bits]
    symbols: NDArray[np.complex64]
    status: list[dict[str, Any]]


def receive(block: Any, samples: NDArray[np.complex64]) -> Received:
    tb, llr, symbols, status = gr.top_block(), blocks.vector_sink_f(), blocks.vector_sink_c(), Messages()
    tb.connect(blocks.vector_source_c(samples.tolist()), block)
    tb.connect((block, 0), llr)
    tb.connect((block, 1), symbols)
    tb.msg_connect((block, "status"), (status, "in"))
    tb.run()
    return Received(
        np.array(llr.data()).reshape(-1, block.bits_per_symbol),
        np.array(symbols.data(), np.complex64),
        status.received,
    )


def aligned(received: Received, sent: NDArray, symmetry: int) -> tuple[slice, NDArray]:
    """The settled part of what was received, and the sent symbols there at the turn that fits best."""
    middle = received.symbols[SETTLING : SETTLING + 4096]
    lags = range(-40, 41)
    lag = max(lags, key=lambda n: abs(np.vdot(sent[SETTLING + n : SETTLING + n + len(middle)], middle)))
    part = slice(SETTLING, min(len(received.symbols), len(sent) - lag) - 64)
    there = sent[part.start + lag : part.stop + lag]
    turns = [there * cmath.rect(1, 2 * np.pi * k / symmetry) for k in range(symmetry)]
    return part, min(turns, key=lambda turned: float(np.mean(np.abs(received.symbols[part] - turned) ** 2)))


def ebn0_of(ber: float, curve: NDArray) -> float:
    """Eb/N0 in decibels at which theory has this bit error rate."""
    return float(np.interp(-np.log(ber), -np.log(curve), GRID_DB))


def link(name: str, samples_per_symbol: float, count: int, **options: Any) -> tuple[NDArray, NDArray, float, Received]:
    """LLRs and bits [symbols, bits] behind the receiver, and how much Eb/N0 it lost, at HARDEST_BER."""
    made = Constellation.from_name(name)
    curve = theory.ber(made, GRID_DB)
    ebn0_db = ebn0_of(HARDEST_BER, curve)
    sent = made.points[np.random.default_rng(1).integers(made.order, size=count)]
    samples = impaired(sent, ebn0_db + 10 * np.log10(made.bits_per_symbol), samples_per_symbol)
    block = softmod.receiver(name, samples_per_symbol * SYMBOL_RATE, SYMBOL_RATE, **options)
    received = receive(block, samples)
    part, there = aligned(received, sent, block.symmetry())
    llr, bits = received.llr[part], made.bits[made.nearest(there)]
    loss = ebn0_db - ebn0_of(float(np.mean((llr > 0) != bits)), curve)
    assert abs(block.frequency() - CARRIER * SYMBOL_RATE) < 0.002 * SYMBOL_RATE
    return llr, bits, loss, received


def assert_calibrated(llr: NDArray, bits: NDArray) -> None:
    """In each band of LLRs the share of ones is the mean of sigmoid(llr), within 0.04 and 4 standard errors."""
    edges = [-np.inf, -4, -2, -1, 0, 1, 2, 4, np.inf]
    for low, high in zip(edges, edges[1:], strict=False):
        chosen = (llr >= low) & (llr < high)
        assert chosen.sum() > 30, f"no LLRs from {low} to {high}"
        claimed = 1 / (1 + np.exp(-llr[chosen]))
        allowed = 0.04 + 4 * np.sqrt(np.sum(claimed * (1 - claimed))) / chosen.sum()
        assert abs(bits[chosen].mean() - claimed.mean()) < allowed, f"LLRs from {low} to {high}"


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "16qam", "64qam"])
def test_bit_errors_and_calibration_are_those_of_theory(name: str) -> None:
    llr, bits, loss, received = link(name, 4, 16_000)
    print(f"{name}: {loss:.2f} dB")
    assert loss < LOSS_DB
    assert_calibrated(llr, bits)
    first = received.status[0]
    assert first["reason"] == "locked" and first["locked"] is True and first["severity"] == "info"
    assert abs(first["frequency"] - CARRIER * SYMBOL_RATE) < 0.005 * SYMBOL_RATE
    assert first["esn0_db"] == pytest.approx(-10 * np.log10(first["noise_var"]))


@pytest.mark.parametrize("samples_per_symbol", [2, 2.37, 3.999, 5, 10.3, 50])
def test_any_sample_rate(samples_per_symbol: float) -> None:
    _, _, loss, _ = link("qpsk", samples_per_symbol, 14_000 if samples_per_symbol < 20 else 9_000)
    print(f"{samples_per_symbol}: {loss:.2f} dB")
    assert loss < LOSS_DB


def test_max_log_and_the_equaliser_lose_little() -> None:
    _, _, loss, _ = link("16qam", 4, 16_000, method="maxlog", equalizer_taps=7)
    assert loss < 2 * LOSS_DB


@pytest.mark.parametrize("name", ["bpsk", "qpsk"])
def test_differential_bits_need_no_phase(name: str) -> None:
    """Coherent detection of differential bits: p(1 - p) * 2 for the bit error rate p of each of two symbols."""
    made, esn0_db, count = Constellation.from_name(name), {"bpsk": 5.0, "qpsk": 8.0}[name], 16_000
    labels = np.random.default_rng(2).integers(made.order, size=count)
    sent = made.points[0] * np.cumprod(made.points[labels] / made.points[0])
    received = receive(
        softmod.receiver(name, 4 * SYMBOL_RATE, SYMBOL_RATE, differential=True), impaired(sent, esn0_db, 4)
    )
    bits = made.bits[labels]
    part = slice(SETTLING, len(received.llr) - 100)
    llr = received.llr[part]
    lag, ber = min(
        ((n, float(np.mean((llr > 0) != bits[part.start + n : part.stop + n]))) for n in range(-40, 41)),
        key=lambda found: found[1],
    )
    single = theory.ber(made, GRID_DB - 10 * np.log10(made.bits_per_symbol))  # over Es/N0
    loss = esn0_db - ebn0_of(ber, 2 * single * (1 - single))
    print(f"{name}: {loss:.2f} dB")
    assert loss < LOSS_DB
    assert_calibrated(llr, bits[part.start + lag : part.stop + lag])


def test_noise_alone_gives_no_lock_and_no_confidence() -> None:
    rng = np.random.default_rng(4)
    block = softmod.receiver("qpsk", 4 * SYMBOL_RATE, SYMBOL_RATE)
    received = receive(block, (rng.normal(size=(60_000, 2)) @ [1, 1j]).astype(np.complex64))
    assert not block.locked() and not any(message["locked"] for message in received.status)
    assert np.abs(received.llr).max() < 1


def test_lock_is_lost_and_found_with_the_signal() -> None:
    rng = np.random.default_rng(5)
    made = Constellation.from_name("qpsk")
    burst = impaired(rng.choice(made.points, 5000), 12, 4)
    pause = (1e-3 * rng.normal(size=(30_000, 2)) @ [1, 1j]).astype(np.complex64)
    received = receive(
        softmod.receiver("qpsk", 4 * SYMBOL_RATE, SYMBOL_RATE), np.concatenate([pause, burst, pause, burst, pause])
    )
    changes = [message["reason"] for message in received.status if message["reason"] != "tracking"]
    assert changes == ["locked", "lock lost"] * 2
    assert all("noise_var" not in message for message in received.status if not message["locked"])


def test_samples_that_are_not_finite_do_no_lasting_harm() -> None:
    sent = np.random.default_rng(6).choice(Constellation.from_name("qpsk").points, 12_000)
    samples = impaired(sent, 12, 4)
    samples[8000:8010], samples[9000] = np.nan, np.inf
    block = softmod.receiver("qpsk", 4 * SYMBOL_RATE, SYMBOL_RATE)
    received = receive(block, samples)
    part, there = aligned(received, sent, 4)
    assert np.isfinite(received.llr).all() and block.locked()
    assert np.mean(np.abs(received.symbols[part] - there) ** 2) < 10 ** (-11 / 10)


def test_center_is_where_the_signal_is_and_may_be_changed() -> None:
    sent = np.random.default_rng(7).choice(Constellation.from_name("qpsk").points, 6000)
    samples = impaired(sent, 12, 8, center=20e3)
    block = softmod.receiver("qpsk", 8 * SYMBOL_RATE, SYMBOL_RATE, center=-20e3)
    block.set_center(20e3)
    receive(block, samples)
    assert block.locked() and abs(block.frequency() - CARRIER * SYMBOL_RATE) < 0.005 * SYMBOL_RATE
    assert abs(-10 * np.log10(block.noise_var()) - 12) < 1


def test_setters_check() -> None:
    block = softmod.receiver("qpsk", 40e3, 10e3)
    for setter, good, bad in [
        (block.set_center, -20e3, 20.1e3),
        (block.set_timing_bandwidth, 0.1, 0.11),
        (block.set_carrier_bandwidth, 0.2, 0.21),
    ]:
        setter(good)
        for value in (bad, float("nan")):
            with pytest.raises(ValueError, match="must be"):
                setter(value)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"constellation": "qqpsk"}, "qqpsk"),
        ({"constellation": "oqpsk"}, "delays Q"),
        ({"constellation": "16qam", "differential": True}, "PSK"),
        ({"sample_rate": 0.0}, "sample_rate is 0; it must be above 0"),
        ({"sample_rate": float("nan")}, "sample_rate is nan"),
        ({"sample_rate": 13e3}, "sample_rate 13000 is too low"),
        ({"symbol_rate": -1.0}, "symbol_rate is -1; it must be above 0"),
        ({"center": 20.1e3}, "center is 20100; it must be within half the sample_rate 40000"),
        ({"excess_bandwidth": 0.0}, "excess_bandwidth is 0; it must be above 0 and at most 1"),
        ({"excess_bandwidth": 1.1}, "excess_bandwidth is 1.1"),
        ({"timing_bandwidth": 0.2}, "timing_bandwidth is 0.2; it must be above 0 and at most 0.1"),
        ({"carrier_bandwidth": 0.0}, "carrier_bandwidth is 0; it must be above 0 and at most 0.2"),
        ({"equalizer_taps": 2}, "equalizer_taps is 2; it must be odd"),
        ({"acquisition": 100}, "acquisition is 100; it must be 0 or a power of two"),
        ({"method": "best"}, "best"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    good: dict[str, Any] = {"constellation": "qpsk", "sample_rate": 40e3, "symbol_rate": 10e3}
    with pytest.raises(ValueError, match=sentence):
        softmod.receiver(**(good | bad))
