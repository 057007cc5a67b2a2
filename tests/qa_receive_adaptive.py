# SPDX-License-Identifier: GPL-3.0-or-later
"""`softmod receive` with nothing told: a recording that changes, a real one, a live stream, noise, faults."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr_softmod import cli
from gr_softmod.receive.adaptive import AdaptiveSettings, receive_anything
from gr_softmod.receive.adaptive_console import cells
from shaped_signal import shaped_signal

from gr_softmod.blocks.models import shipped_model  # isort: skip

MODEL = shipped_model("field")
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def softmod(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softmod", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capfd.readouterr())

    return run


def example() -> Any:
    spec = importlib.util.spec_from_file_location("changing_modulation", EXAMPLES / "changing_modulation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_recording_that_changes_four_times(tmp_path: Path) -> None:
    """Each modulation found, demodulated from its first symbol to its last, with hardly more errors than ideal."""
    module = example()
    recording = tmp_path / "changing.sigmf-meta"
    module.make(recording)
    lines: list[dict[str, Any]] = []
    result = receive_anything(AdaptiveSettings(str(recording), MODEL, out=tmp_path / "out"), lines.append)
    segments = result.report["segments"]
    assert [segment["constellation"] for segment in segments] == list(module.NAMES)
    for segment in segments:
        assert segment["symbol_rate_hz"] == pytest.approx(module.SYMBOL_RATE, rel=1e-4)
        assert segment["carrier_hz"] == pytest.approx(module.CARRIER, abs=10)
        assert segment["esn0_db"] == pytest.approx(module.ESN0_DB, abs=0.7)
    for number, found in enumerate(module.check(recording, tmp_path / "out")):
        assert found["symbols"] >= module.SYMBOLS - 64, (number, found)
        assert found["errors"] <= 12 + 1.25 * found["ideal"] * found["symbols"] * (number + 1 if number < 4 else 6)
    assert [line["time_s"] for line in lines] == pytest.approx(
        np.arange(len(lines)) * 16384 / module.SAMPLE_RATE, abs=1e-6
    )
    assert all(line["confirmed"] for line in lines)


def test_metadata_tell_the_segments(tmp_path: Path) -> None:
    from gr_softmod.constellation import Constellation

    samples = np.concatenate(
        [
            shaped_signal("qpsk", 80_000, 4.0, 18, 0.05, seed=1),
            shaped_signal("16qam", 80_000, 6.5, 22, -0.1, seed=2),
        ]
    )
    samples.tofile(tmp_path / "x.cf32")
    settings = AdaptiveSettings(str(tmp_path / "x.cf32"), MODEL, out=tmp_path / "out", sample_rate=1e6)
    report = receive_anything(settings).report
    assert [segment["constellation"] for segment in report["segments"]] == ["qpsk", "16qam"]
    for name, item, key in (("llr", np.float32, "llrs"), ("symbols", np.complex64, "symbols")):
        meta = json.loads((tmp_path / "out" / f"{name}.sigmf-meta").read_text())
        count = len(np.fromfile(tmp_path / "out" / f"{name}.sigmf-data", item))
        assert count == report["output"][key] == sum(note["core:sample_count"] for note in meta["annotations"])
        assert [note["core:label"] for note in meta["annotations"]] == ["QPSK", "16QAM"]
        first, second = meta["annotations"]
        assert first["core:sample_start"] == 0 and second["core:sample_start"] == first["core:sample_count"]
        assert first["softmod:symbol_rate_hz"] == pytest.approx(250e3, rel=1e-4)
        assert second["softmod:carrier_hz"] == pytest.approx(-100e3, abs=500)
        assert Constellation.from_dict(second["softmod:constellation"]) == Constellation.qam(16)
    assert (tmp_path / "out" / "report.png").stat().st_size > 20_000
    assert not list((tmp_path / "out").glob("part*"))


def test_a_real_recording_with_no_parameter(softmod: Command, recordings: Path, tmp_path: Path) -> None:
    code, out, err = softmod("receive", recordings / "picsat_9k6.wav", "--decode", "ax25", "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert code == 0 and err == ""
    (segment,) = report["segments"]
    assert segment["constellation"] == "bpsk" and segment["symbol_rate_hz"] == pytest.approx(9570, abs=2)
    assert report["frames"]["count"] >= 50 and "PICSAT-2 > PICSAT" in out


def test_a_live_stream(softmod: Command, tmp_path: Path) -> None:
    samples = shaped_signal("qpsk", 240_000, 8.0, 20, 0.08)
    parts = np.stack([samples.real, samples.imag], 1)
    np.clip(np.rint(40 * parts + 127.5), 0, 255).astype(np.uint8).tofile(tmp_path / "x.cu8")
    emulator = Path(__file__).parent / "rtl_tcp_emulator.py"
    with subprocess.Popen(
        [sys.executable, emulator, tmp_path / "x.cu8", "--ending", "none"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        source = f"rtl_tcp=127.0.0.1:{process.stdout.readline().strip()}"
        options = ("-s", "240000", "--frequency", "435e6", "--duration", "0.8", "-o", tmp_path / "out", "--json")
        code, out, err = softmod("receive", source, *options)
        process.kill()
    assert code == 0, err
    *windows, last = [json.loads(line) for line in out.splitlines()]
    assert last["segment"]["constellation"] == "qpsk"
    assert last["segment"]["symbol_rate_hz"] == pytest.approx(30_000, rel=1e-3)
    assert last["segment"]["symbols"] > 15_000
    assert {line["class"] for line in windows} == {"QPSK"}
    assert not (tmp_path / "out" / "samples.cf32").exists()


def test_noise_is_told_and_nothing_demodulated(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    (rng.normal(size=(100_000, 2)) @ [1, 1j]).astype(np.complex64).tofile(tmp_path / "x.cf32")
    lines: list[dict[str, Any]] = []
    settings = AdaptiveSettings(str(tmp_path / "x.cf32"), MODEL, out=tmp_path / "out", sample_rate=1e6)
    report = receive_anything(settings, lines.append).report
    assert report["segments"] == [] and report["output"] == {"symbols": 0, "llrs": 0}
    assert "nothing was found that can be demodulated" in report["warnings"]
    assert len(lines) == 6 and not any(line["confirmed"] for line in lines)
    assert (tmp_path / "out" / "llr.sigmf-data").stat().st_size == 0


def test_samples_that_are_not_finite_do_no_harm(tmp_path: Path) -> None:
    samples = shaped_signal("qpsk", 100_000, 4.0, 18, 0.05)
    samples[40_000:40_100] = np.nan
    samples.tofile(tmp_path / "x.cf32")
    settings = AdaptiveSettings(str(tmp_path / "x.cf32"), MODEL, out=tmp_path / "out", sample_rate=1e6)
    report = receive_anything(settings).report
    assert {segment["constellation"] for segment in report["segments"]} == {"qpsk"}
    assert report["input"]["invalid_samples"] == 100
    assert report["output"]["symbols"] > 20_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--center", "5"], "--center needs --constellation"),
        (["--reference", "prbs9"], "--reference needs --constellation"),
        (["--decode", "morse"], "no decoder 'morse'"),
        (["--model", "absent"], "absent"),
        (["--duration", "-1"], "duration is -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused(softmod: Command, tmp_path: Path, options: list[str], message: str) -> None:
    shaped_signal("qpsk", 20_000, 4.0, 18).tofile(tmp_path / "x.cf32")
    code, out, err = softmod("receive", tmp_path / "x.cf32", "-s", "1e6", "-o", tmp_path / "out", *options)
    assert code == 2 and message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_cells_for_people() -> None:
    line = {"time_s": 1.5, "class": "GMSK", "probability": 0.7, "confirmed": False, "snr_db": None}
    line |= {"symbol_rate_hz": None, "carrier_hz": 12.25}
    assert cells(line) == ("1.500 s", "(GMSK)", "70%", "-", "-", "+12.2 Hz")
