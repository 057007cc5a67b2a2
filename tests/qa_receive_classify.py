# SPDX-License-Identifier: GPL-3.0-or-later
"""`softmod receive --classify-only`: lines for people and for pipes, the signal-to-noise ratio, faults."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from classifier_models import sign_model, small_model
from gr_softmod import cli
from gr_softmod.receive.snr import snr_db

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


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    sign_model().write(path)
    return path


def narrow(count: int, ratio_db: float, seed: int = 0) -> np.ndarray:
    """White noise in an eighth of the band, off its middle, and white noise in all of it."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(2, count, 2)) @ [1, 1j]
    spectrum = np.fft.fft(white[0])
    spectrum[count // 4 : -count // 8] = 0
    spectrum[: count // 8] = 0
    signal = np.fft.ifft(spectrum)
    signal *= np.sqrt(10 ** (ratio_db / 10) * np.mean(np.abs(white[1]) ** 2) / np.mean(np.abs(signal) ** 2))
    return (signal + white[1]).astype(np.complex64)


@pytest.mark.parametrize("ratio_db", [0, 10, 30])
def test_snr_is_that_of_signal_and_noise(ratio_db: float) -> None:
    for level in (1e-6, 1e6):
        assert snr_db(np.complex64(level) * narrow(16384, ratio_db)) == pytest.approx(ratio_db, abs=1)


def test_snr_of_nothing() -> None:
    assert snr_db(np.zeros(4096, np.complex64)) is None
    noise = snr_db(narrow(16384, -100))
    assert noise is None or noise < -5
    with pytest.raises(ValueError, match="at least 1024"):
        snr_db(np.zeros(100, np.complex64))


def test_lines_of_json_follow_the_signal(softmod: Command, model: Path, tmp_path: Path) -> None:
    np.repeat([1, 1j], 64 * 160).astype(np.complex64).tofile(tmp_path / "x.cf32")
    code, out, err = softmod(
        "receive", tmp_path / "x.cf32", "-s", "6400", "--classify-only", "--model", model, "--json"
    )  # fmt: skip
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and "320 classified, 0 squelched, 0 invalid, 0 skipped; ended: end of file" in err
    assert [line["time_s"] for line in lines] == pytest.approx(np.arange(20) * 0.16)
    assert [line["class"] for line in lines] == ["I"] * 11 + ["Q"] * 9  # of 16 frames, of which the last is named
    assert all(sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-3) for line in lines)


def test_a_table_with_the_ratio(softmod: Command, tmp_path: Path) -> None:
    small_model().write(tmp_path / "model")
    narrow(65536, 20).tofile(tmp_path / "x.cf32")
    code, out, _ = softmod(
        "receive", tmp_path / "x.cf32", "-s", "1e6", "--classify-only", "--model", tmp_path / "model", "--average", "64"
    )
    head, first, *lines = out.splitlines()
    assert code == 0 and len(lines) == 15 and "SNR" in head and "-" in first
    for line in lines:
        assert "class " in line and abs(float(line.split()[-2]) - 20) < 2


def test_duration_ends_it(softmod: Command, model: Path, tmp_path: Path) -> None:
    narrow(64 * 100, 10).tofile(tmp_path / "x.cf32")
    options = ("-s", "6400", "--classify-only", "--model", model, "--duration", "0.5")
    _, _, err = softmod("receive", tmp_path / "x.cf32", *options)
    assert "0.500 s of signal, frames: 50 classified" in err and "ended: duration reached" in err


def test_a_live_source_that_falls_silent(softmod: Command, model: Path, tmp_path: Path) -> None:
    """It delivers faster than in reality, so frames may be skipped: each is classified or counted."""
    samples = narrow(1 << 18, 10)
    parts = np.stack([samples.real, samples.imag], 1)
    np.clip(np.rint(30 * parts + 127.5), 0, 255).astype(np.uint8).tofile(tmp_path / "x.cu8")
    emulator = Path(__file__).parent / "rtl_tcp_emulator.py"
    with subprocess.Popen(
        [sys.executable, emulator, tmp_path / "x.cu8", "--ending", "none"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        source = f"rtl_tcp=127.0.0.1:{process.stdout.readline().strip()}"
        options = ("-s", "240000", "--frequency", "435e6", "--classify-only", "--model", model, "--json")
        code, out, err = softmod("receive", source, *options, "--duration", "1")
        process.kill()
    lines = [json.loads(line) for line in out.splitlines()]
    found = re.search(r"(\d+) classified, 0 squelched, 0 invalid, (\d+) skipped; ended: duration reached", err)
    assert code == 0 and found is not None and sum(map(int, found.groups())) == 240_000 // 64
    assert lines and {line["rx_freq"] for line in lines} == {435e6}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "/nowhere/model"], "/nowhere/model: cannot be read"),
        (["--model", "MODEL", "--average", "0"], "average is over 0 frames"),
        (["--model", "MODEL", "--duration", "-1"], "duration is -1 s"),
        (["--model", "MODEL", "--timeout", "-1"], "timeout is -1 s"),
        (["--model", "x.cf32"], "x.cf32: "),
    ],
)
def test_a_fault_is_one_line(
    options: list[str], words: str, softmod: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    narrow(640, 10).tofile("x.cf32")
    options = [str(model) if option == "MODEL" else option for option in options]
    code, out, err = softmod("receive", "x.cf32", "-s", "6400", "--classify-only", *options)
    assert code == 2 and not [line for line in out.splitlines() if "sure" not in line]
    assert err.startswith("softmod: ") and err.count("\n") == 1 and words in err
