# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph compiles, runs without a screen and shows what it should."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from gnuradio import softmod
from gnuradio.filter import firdes

from classifier_models import small_model
from flowgraph import until

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


def identifier(example: Path) -> str:
    """02_ber.grc makes softmod_ber.py: a number orders the files, and no Python name begins with one."""
    number, _, name = example.stem.partition("_")
    assert number.isdigit(), f"{example.name} has no number"
    return f"softmod_{name}"


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_compiles(compiled: Path, example: Path) -> None:
    text = yaml.safe_load(example.read_text())
    name = identifier(example)
    assert text["metadata"]["file_format"] == 1 and text["options"]["parameters"]["id"] == name
    source = (compiled / f"{name}.py").read_text()
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


def test_the_table_of_bit_error_rates_agrees_with_theory(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module: Any = module_of(compiled / "softmod_ber.py")
    graph = module.softmod_ber(count=300_000, constellation="16qam")
    graph.run()
    for ebn0_db, meter in zip(graph.grid, (graph.meter_low, graph.meter_middle, graph.meter_high), strict=True):
        counts = meter.counts()
        assert counts["synced"] and counts["bits"] > 290_000
        assert counts["ber"] == pytest.approx(gray_16qam_ber(ebn0_db + 10 * math.log10(4)), rel=0.1, abs=1e-4)
    module.snippets_main_after_stop(graph)
    header, *rows = capsys.readouterr().out.splitlines()
    assert "16qam" in header and len(rows) == 3 and "to" in rows[0]


def test_a_recording_is_classified(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(small_model().to_bytes())
    noise = np.random.default_rng(1).normal(size=(10_000, 2)).astype(np.float32)
    meta = {"global": {"core:datatype": "cf32_le", "core:version": "1.0.0", "core:sample_rate": 1e3}, "captures": []}
    (tmp_path / "noise.sigmf-meta").write_text(json.dumps(meta | {"annotations": []}))
    noise.tofile(tmp_path / "noise.sigmf-data")
    make: Any = module_of(compiled / "softmod_classify_recording.py").softmod_classify_recording
    graph = make(model=str(tmp_path / "model"), recording=str(tmp_path / "noise.sigmf-meta"), hop=100)
    graph.run()
    assert graph.classifier.counts()["classified"] == (10_000 - 64) // 100 + 1


def test_soft_bits_are_decoded(compiled: Path) -> None:
    """At 5.5 dB, where hard decisions of 16-QAM leave LDPC frames wrong (docs/fec.md: they need 6.7)."""
    graph: Any = module_of(compiled / "softmod_soft_fec.py").softmod_soft_fec(count=45_100, ebn0_db=5.5)
    graph.run()
    counts = graph.meter.counts()
    assert counts["synced"] and counts["bits"] > 42_000 and counts["errors"] <= 500  # gr-fec may give up one frame


def test_what_is_captured_says_what_it_is(compiled: Path) -> None:
    from gr_softmod.hooks.stream import Inlet

    make: Any = module_of(compiled / "softmod_capture.py").softmod_capture
    graph = make(address="tcp://127.0.0.1:*", label="QPSK", samp_rate=1e6)
    inlet = Inlet(graph.tap.address())
    graph.start()
    try:
        window = until_some(lambda: inlet.receive(0.1))
    finally:
        graph.stop()
        graph.wait()
        inlet.close()
        graph.tap.close()
    strongest = window.labels[0]
    assert (strongest.key, strongest.value) == ("modulation", "QPSK") and window.sample_rate == 1e6
    assert len(window.arrays["iq"]) == 1024 and window.sample_index % 16384 == 0


def test_a_model_is_pushed_into_the_running_classifier(compiled: Path, tmp_path: Path) -> None:
    from gr_softmod.hooks.seal import model_message
    from gr_softmod.hooks.swap import push
    from test_hooks_swap import model

    make: Any = module_of(compiled / "softmod_hot_swap.py").softmod_hot_swap
    graph = make(address="tcp://127.0.0.1:*", folder=str(tmp_path / "models"), samp_rate=1e6)
    before, other = graph.classifier.model(), model()
    graph.start()
    try:
        assert push(graph.updater.address(), model_message(other, "classifier", 1)).accepted
        until_some(lambda: graph.classifier.model() != before)
        # Its frames are shorter; those that lie ready when it comes count as skipped if the graph stops first.
        done = graph.classifier.counts()["classified"]
        until_some(lambda: graph.classifier.counts()["classified"] > done)
    finally:
        graph.stop()
        graph.wait()
        graph.updater.close()
    counts = graph.classifier.counts()
    assert counts["skipped"] == counts["invalid"] == 0 and counts["classified"] > 0


def until_some(get: Callable[[], Any]) -> Any:
    """What ``get`` gives, when it gives something."""
    found: list[Any] = []

    def got() -> bool:
        found.append(get())
        return bool(found[-1])

    until(got, 60)
    return found[-1]


def shown(compiled: Path, code: str) -> str:
    """Output of a flowgraph with windows, run without a screen in a process of its own: Qt wants the main thread."""
    pytest.importorskip("PyQt5", reason="flowgraphs with windows need PyQt5")
    search = os.pathsep.join([str(compiled), *map(os.path.abspath, filter(None, sys.path))])
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": search}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_a_live_receiver_takes_a_dongle_and_shows_what_it_hears(compiled: Path, tmp_path: Path) -> None:
    """QPSK at 8 samples a symbol from an rtl_tcp server: LLRs in the file, symbols and class in the window."""
    qpsk, taps = softmod.Constellation.from_name("qpsk"), firdes.root_raised_cosine(1.0, 8, 1, 0.35, 89)
    labels = np.random.default_rng(1).integers(0, 4, 20_000)
    samples = np.convolve(np.kron(qpsk.points[labels], np.eye(8)[0]), taps)
    samples = 60 * samples / np.abs(samples).std() + np.random.default_rng(2).normal(0, 3, (len(samples), 2)) @ [1, 1j]
    values = np.rint(127.5 + np.stack([samples.real, samples.imag], -1)).clip(0, 255).astype(np.uint8)
    values.tofile(tmp_path / "x.cu8")
    emulator = [sys.executable, str(ROOT / "tests/rtl_tcp_emulator.py"), str(tmp_path / "x.cu8"), "--ending", "repeat"]
    with subprocess.Popen(emulator, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        code = f"""
import sys, time
from PyQt5 import Qt
from softmod_live_receiver import softmod_live_receiver
app = Qt.QApplication(sys.argv)
graph = softmod_live_receiver(
    address="rtl_tcp=127.0.0.1:{int(process.stdout.readline())}", symbol_rate=30e3, output={str(tmp_path / "llr.f32")!r}
)
seen = []
look = graph.view.snapshot
graph._view_win._look = lambda: seen.append(look()) or seen[-1]
graph.start()
graph.show()
end = time.monotonic() + 120
while not (seen and len(seen[-1].symbols) and any(s.reports for s in seen)) and time.monotonic() < end:
    app.processEvents()
graph.grab()
graph.stop()
graph.wait()
print(len(seen[-1].symbols), sum(len(s.reports) for s in seen))
"""
        try:
            symbols, reports = map(int, shown(compiled, code).split()[-2:])
        finally:
            process.kill()
    llrs = np.fromfile(tmp_path / "llr.f32", np.float32)
    assert symbols == 1024 and reports > 0
    assert len(llrs) > 20_000 and np.quantile(np.abs(llrs), 0.1) > 5


def test_the_histogram_shows_and_follows_its_slider(compiled: Path) -> None:
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
    shown(compiled, code)


def test_the_adaptive_receiver_finds_and_follows_what_it_is_told_nothing_of(
    compiled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph: Any = module_of(compiled / "softmod_adaptive_receiver.py").softmod_adaptive_receiver(count=60_000)
    graph.run()
    printed = capfd.readouterr().out
    assert "(class . qpsk)" in printed and "(class . 16qam)" in printed
    assert graph.receiver.constellation() == "qpsk", "the third part of three"
    assert 59_000 < graph.symbols.nitems_read(0) < 61_000
    assert 2 * 59_000 + 2 * 20_000 < graph.llrs.nitems_read(0) < 2 * 61_000 + 2 * 27_000
