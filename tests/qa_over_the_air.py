# SPDX-License-Identifier: GPL-3.0-or-later
"""The flowgraph that a constellation learns through: it is the channel it says it is; and the example as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from demapper_models import qpsk_model
from gr_softmod import theory
from gr_softmod.constellation import Constellation

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "over_the_air_training"


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def test_the_flowgraph_is_the_channel_of_torch() -> None:
    """Amplifier and spread of the phase, at every amplitude; symbol for symbol in its place; again and again."""
    from air import BETA, Air, TorchAir

    rng = np.random.default_rng(1)
    sent = (rng.choice([0.3, 0.8, 1.3], 40_000) * np.exp(2j * np.pi * rng.random(40_000))).astype(np.complex64)
    air, generator = Air(), torch.Generator().manual_seed(1)
    for noise_var in (0.01, 1e-6):
        over_the_air = air.send(sent, noise_var)
        modelled = TorchAir()(torch.from_numpy(sent), noise_var, generator).numpy()
        for amplitude in (0.3, 0.8, 1.3):
            chosen = np.isclose(np.abs(sent), amplitude)
            a, b = (received[chosen] / sent[chosen] for received in (over_the_air, modelled))
            assert np.abs(np.abs(a).mean() - np.abs(b).mean()) < 0.01
            assert np.std(np.angle(a)) == pytest.approx(np.std(np.angle(b)), rel=0.1)
    assert np.abs(a).mean() == pytest.approx(1 + BETA * 1.3**2, abs=2e-3)
    assert air.symbols == 80_000


def test_counted_errors_are_those_of_theory_without_impairments(monkeypatch: pytest.MonkeyPatch) -> None:
    import air

    monkeypatch.setattr(air, "BETA", 0.0)
    monkeypatch.setattr(air, "PHASE_NOISE_DB", -200.0)
    errors, bits = air.count_errors(Constellation.qpsk().points, qpsk_model().to_bytes(), 10 ** (-0.7), 100_000, 1)
    expected = float(theory.ber(Constellation.qpsk(), 7 - 10 * np.log10(2)))
    assert errors / bits == pytest.approx(expected, rel=0.1)


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "--out", str(tmp_path), "--steps", "20", "--symbols", "5000"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "over_the_air.json").read_text())
    assert set(report["curves"]) == {"fixed", "policy", "backpropagation"}
    assert report["symbols_through_the_flowgraph"] > 20 * 8192
    assert (tmp_path / "over_the_air.png").stat().st_size > 10_000
