# SPDX-License-Identifier: GPL-3.0-or-later
"""receiver: bit error rate and calibration against theory at every rate, differential bits, lock messages, faults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "receiver"))
from link import SETTLING, SYMBOL_RATE, Channel, aligned, ebn0_grid, ebn0_of, impaired, link, receive

from gr_softmod import theory
from gr_softmod.constellation import Constellation

#: What the receiver may lose to ideal detection.
LOSS_DB = 0.5
CARRIER = Channel().carrier


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
    run = link(name, 16_000)
    assert run.loss_db < LOSS_DB
    assert abs(run.block.frequency() - CARRIER * SYMBOL_RATE) < 0.002 * SYMBOL_RATE
    assert_calibrated(run.llr, run.bits)
    first = run.received.status[0]
    assert first["reason"] == "locked" and first["locked"] is True and first["severity"] == "info"
    assert abs(first["frequency"] - CARRIER * SYMBOL_RATE) < 0.005 * SYMBOL_RATE
    assert first["esn0_db"] == pytest.approx(-10 * np.log10(first["noise_var"]))


@pytest.mark.parametrize("samples_per_symbol", [2, 2.37, 3.999, 5, 10.3, 50])
def test_any_sample_rate(samples_per_symbol: float) -> None:
    count = 14_000 if samples_per_symbol < 20 else 9_000
    assert link("qpsk", count, samples_per_symbol=samples_per_symbol).loss_db < LOSS_DB


def test_max_log_and_the_equaliser_lose_little() -> None:
    assert link("16qam", 16_000, method="maxlog", equalizer_taps=7).loss_db < 2 * LOSS_DB


@pytest.mark.parametrize("carrier", [-0.8, 0.4, 1.0])
def test_a_carrier_far_off_is_found(carrier: float) -> None:
    run = link("qpsk", 14_000, carrier=carrier, max_offset=SYMBOL_RATE)
    assert run.loss_db < LOSS_DB
    assert abs(run.block.frequency() - carrier * SYMBOL_RATE) < 0.002 * SYMBOL_RATE


@pytest.mark.parametrize("name", ["bpsk", "qpsk"])
def test_differential_bits_need_no_phase(name: str) -> None:
    """Coherent detection of differential bits: p(1 - p) * 2 for the bit error rate p of each of two symbols."""
    made, esn0_db, count = Constellation.from_name(name), {"bpsk": 5.0, "qpsk": 8.0}[name], 16_000
    labels = np.random.default_rng(2).integers(made.order, size=count)
    sent = made.points[0] * np.cumprod(made.points[labels] / made.points[0])
    received = receive(
        softmod.receiver(name, 4 * SYMBOL_RATE, SYMBOL_RATE, differential=True),
        impaired(sent, Channel(esn0_db=esn0_db)),
    )
    bits = made.bits[labels]
    part = slice(SETTLING, len(received.llr) - 100)
    llr = received.llr[part]
    lag, ber = min(
        ((n, float(np.mean((llr > 0) != bits[part.start + n : part.stop + n]))) for n in range(-40, 41)),
        key=lambda found: found[1],
    )
    single = theory.ber(made, ebn0_grid() - 10 * np.log10(made.bits_per_symbol))  # over Es/N0
    assert esn0_db - ebn0_of(ber, 2 * single * (1 - single)) < LOSS_DB
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
    burst = impaired(rng.choice(made.points, 5000), Channel(esn0_db=12))
    pause = (1e-3 * rng.normal(size=(30_000, 2)) @ [1, 1j]).astype(np.complex64)
    received = receive(
        softmod.receiver("qpsk", 4 * SYMBOL_RATE, SYMBOL_RATE), np.concatenate([pause, burst, pause, burst, pause])
    )
    changes = [message["reason"] for message in received.status if message["reason"] != "tracking"]
    assert changes == ["locked", "lock lost"] * 2
    assert all("noise_var" not in message for message in received.status if not message["locked"])


def test_samples_that_are_not_finite_do_no_lasting_harm() -> None:
    sent = np.random.default_rng(6).choice(Constellation.from_name("qpsk").points, 12_000)
    samples = impaired(sent, Channel(esn0_db=12))
    samples[8000:8010], samples[9000] = np.nan, np.inf
    block = softmod.receiver("qpsk", 4 * SYMBOL_RATE, SYMBOL_RATE)
    received = receive(block, samples)
    part, there = aligned(received, sent, 4)
    assert np.isfinite(received.llr).all() and block.locked()
    assert np.mean(np.abs(received.symbols[part] - there) ** 2) < 10 ** (-11 / 10)


def test_center_is_where_the_signal_is_and_may_be_changed() -> None:
    sent = np.random.default_rng(7).choice(Constellation.from_name("qpsk").points, 6000)
    samples = impaired(sent, Channel(8, esn0_db=12, center=20e3))
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
