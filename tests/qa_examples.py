# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph compiles; those of the blocks run and show what they should."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from classifier_models import small_model

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
GRCC = shutil.which("grcc")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the Python files that grcc makes of all examples."""
    if GRCC is None:
        pytest.skip("grcc is absent")
    folder = tmp_path_factory.mktemp("examples")
    done = subprocess.run(
        [GRCC, "-o", str(folder), *map(str, EXAMPLES)],
        env=os.environ | {"GRC_BLOCKS_PATH": str(ROOT / "grc")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "rror" not in done.stderr, done.stdout + done.stderr
    return folder


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_compiles(compiled: Path, example: Path) -> None:
    text = yaml.safe_load(example.read_text())
    assert text["metadata"]["file_format"] == 1 and text["options"]["parameters"]["id"] == example.stem
    source = (compiled / f"{example.stem}.py").read_text()
    compile(source, example.stem, "exec")
    assert "softmod." in source


def gray_16qam_ber(esn0_db: float) -> float:
    """K. Cho, D. Yoon, "On the general BER expression of one- and two-dimensional amplitude modulations", 2002."""
    a = math.sqrt(10 ** (esn0_db / 10) / 5)
    q = [0.5 * math.erfc(k * a / math.sqrt(2)) for k in (1, 3, 5)]
    return (3 * q[0] + 2 * q[1] - q[2]) / 4


@pytest.mark.parametrize("esn0_db", [9.0, 13.0])
def test_the_loopback_runs_to_its_end_and_counts_what_theory_says(compiled: Path, esn0_db: float) -> None:
    graph: Any = module_of(compiled / "softmod_loopback.py").softmod_loopback(count=400_000, esn0_db=esn0_db)
    graph.run()
    counts = graph.ber_meter.counts()
    assert counts["synced"] and counts["slips"] == 0 and counts["bits"] > 390_000
    assert counts["ber"] == pytest.approx(gray_16qam_ber(esn0_db), rel=0.06)
    assert graph.noise_estimator.esn0_db() == pytest.approx(esn0_db, abs=0.5)


def test_a_trained_link_errs_less_than_64_qam_through_the_same_impairments(compiled: Path) -> None:
    pytest.importorskip("torch")
    module: Any = module_of(compiled / "softmod_neural_demapper.py")
    graph = module.softmod_neural_demapper(count=900_000, ebn0_db=16.0)
    graph.run()
    plain, trained = graph.plain_meter.counts(), graph.trained_meter.counts()
    assert plain["synced"] and trained["synced"] and trained["bits"] > 890_000
    assert trained["ber"] == pytest.approx(1.15e-3, rel=0.2)
    assert plain["ber"] > 4 * trained["ber"]


def test_a_recording_is_classified(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(small_model().to_bytes())
    noise = np.random.default_rng(1).normal(size=(10_000, 2)).astype(np.float32)
    meta = {"global": {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": 1e3}, "captures": []}
    (tmp_path / "noise.sigmf-meta").write_text(json.dumps(meta | {"annotations": []}))
    noise.tofile(tmp_path / "noise.sigmf-data")
    make: Any = module_of(compiled / "classify_recording.py").classify_recording
    graph = make(model=str(tmp_path / "model"), recording=str(tmp_path / "noise.sigmf-meta"), hop=100)
    graph.run()
    assert graph.classifier.counts()["classified"] == (10_000 - 64) // 100 + 1


def test_the_histogram_shows_and_follows_its_slider(compiled: Path) -> None:
    """With windows that are not shown, in a process of its own: Qt wants the main thread."""
    pytest.importorskip("PyQt5")
    code = """
import sys, time
from PyQt5 import Qt
from softmod_llr_histogram import softmod_llr_histogram
app = Qt.QApplication(sys.argv)
graph = softmod_llr_histogram()
graph.start()
graph.show()
def until(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        app.processEvents()
    assert condition(), graph.noise_estimator.esn0_db()
near = lambda value: abs(graph.noise_estimator.esn0_db() - value) < 1
until(lambda: near(15))
graph.set_esn0_db(20.0)
until(lambda: near(20))
picture = graph.grab()
graph.stop()
graph.wait()
assert picture.width() > 100 and graph.ber_meter.counts()["synced"]
"""
    search = os.pathsep.join([str(compiled), *map(os.path.abspath, filter(None, sys.path))])
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": search}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
