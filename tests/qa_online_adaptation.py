# SPDX-License-Identifier: GPL-3.0-or-later
"""The example that adapts a receiver while it runs: its parts, and all of it in its quick form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "online_adaptation"


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    sys.path.insert(0, str(EXAMPLE))
    yield
    sys.path.remove(str(EXAMPLE))


@pytest.fixture(scope="module")
def link(importable: None) -> ModuleType:
    import link

    return link


def transmitted(link: ModuleType, numbers: range, gain: complex = 1.0) -> Any:
    """Samples behind the matched filter."""
    symbols = np.concatenate([link.frame(number) for number in numbers])
    return gain * np.convolve(np.kron(symbols, link.PULSE), link.PULSE).astype(np.complex64)


@pytest.mark.parametrize("chunk", [1000, 3917, 50_000])
@pytest.mark.parametrize("lead", [0, 1, 2500])
def test_every_frame_is_found_whatever_its_phase_and_place(link: ModuleType, chunk: int, lead: int) -> None:
    from frames import Frames

    numbers, rng = range(40, 46), np.random.default_rng(lead)
    samples = np.concatenate([np.zeros(lead), transmitted(link, numbers, 0.3 * np.exp(2j)), np.zeros(9000)])
    noise = rng.normal(scale=0.01, size=(len(samples), 2)) @ [1, 1j]
    finder, found = Frames(), []
    for start in range(0, len(samples), chunk):
        found += finder.push((samples + noise).astype(np.complex64)[start : start + chunk])
    assert [frame.number for frame in found] == list(numbers)
    for frame in found:
        sent = link.constellation(link.modulation(frame.number)).modulate(link.payload_bits(frame.number))
        assert np.abs(frame.payload - sent).max() < 0.25
    assert {b.first - a.first for a, b in zip(found, found[1:], strict=False)} == {4 * link.FRAME}


def test_noise_alone_has_no_frame(link: ModuleType) -> None:
    from frames import Frames

    noise = np.random.default_rng(1).normal(size=(40_000, 2)) @ [1, 1j]
    assert Frames().push(noise.astype(np.complex64)) == []


def test_the_channel_follows_the_sample_and_not_the_pieces(link: ModuleType) -> None:
    from channel import DriftingChannel
    from settings import Drift

    x = transmitted(link, range(2))
    drift = Drift(1000, 5000, 3000)
    whole = DriftingChannel(drift, 0.02, 1)(x)
    channel = DriftingChannel(drift, 0.02, 1)
    pieces = [channel(x[start : start + 700]) for start in range(0, len(x), 700)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


def test_the_channel_begins_as_white_noise_and_keeps_its_power(link: ModuleType) -> None:
    from channel import DriftingChannel, amplified
    from settings import Drift

    x = np.full(200_000, 0.5, np.complex64)
    still = Drift(10**9, 10**9 + 1, 10**9, phase_degrees=(0.0, 1.0))
    noise = DriftingChannel(still, 0.04, 1)(x) - x
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.04, rel=0.02)
    symbols = link.constellation("16qam").points
    for beta in (-0.03 + 0.2j, 0.1 + 0j):
        assert np.mean(np.abs(amplified(symbols, np.full(16, beta))) ** 2) == pytest.approx(1, abs=1e-3)


def test_equivalent_ebn0_is_that_of_theory(link: ModuleType) -> None:
    from report import equivalent_ebn0_db

    from gr_softmod import theory

    for ebn0_db in (0.0, 7.3, 11.0):
        ber = float(theory.ber(link.constellation("16qam"), ebn0_db))
        assert equivalent_ebn0_db(ber) == pytest.approx(ebn0_db, abs=1e-3)


def test_the_loop_wins_back_what_the_drift_costs_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), "--quick", "--out", str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["lost"].values()) == {0} and report["samples"] > 1_190_000
    assert report["swaps"]["demapper"] >= 2 and not report["refused"]
    assert report["drift_costs_db"] > 3 and report["won_back"] > 0.6
    assert (tmp_path / "adaptation.png").stat().st_size > 10_000
