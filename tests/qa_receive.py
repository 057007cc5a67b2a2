# SPDX-License-Identifier: GPL-3.0-or-later
"""`softmod receive` as it is used: real and made recordings, streams, faults, and being stopped."""

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq
from sigmf import SigMFFile, sigmffile

from gr_softmod import cli
from gr_softmod.receive.outputs import NAMES

PICSAT = ["-c", "bpsk", "-r", "9600", "--center", "12000"]


@pytest.fixture
def softmod(monkeypatch, capfd):
    """Runs the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softmod", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code or 0, *capfd.readouterr())

    return run


def bpsk(path: Path, symbols: int = 4000, rate: float = 4.0, noise: float = 0.05, seed: int = 3) -> np.ndarray:
    """Writes a BPSK recording of 1000 Bd as raw cf32 at 4 kHz; gives the bits."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, symbols)
    impulses = np.zeros(symbols * 4)
    impulses[::4] = 1 - 2 * bits
    t = np.arange(-32, 33) / 4 + 1e-9
    pulse = (np.sin(np.pi * t * 0.65) + 4 * 0.35 * t * np.cos(np.pi * t * 1.35)) / (
        np.pi * t * (1 - (4 * 0.35 * t) ** 2)
    )
    wave = np.convolve(impulses, pulse, "same") * np.exp(1j * 0.4)
    wave = wave + noise * (rng.normal(size=len(wave)) + 1j * rng.normal(size=len(wave)))
    wave.astype(np.complex64).tofile(path)
    return bits


BPSK = ["-c", "bpsk", "-r", "1000", "-s", "4000"]


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text())


def agreement(llr: np.ndarray, bits: np.ndarray) -> float:
    """Share of equal bits at the best delay, whichever way round the carrier was found."""
    a, b = np.sign(llr), 1 - 2.0 * bits
    size = 1 << int(np.ceil(np.log2(len(a) + len(b))))
    correlation = np.fft.ifft(np.fft.fft(a, size) * np.conj(np.fft.fft(b, size))).real
    return (1 + np.max(np.abs(correlation)) / min(len(a), len(b))) / 2


# --- what comes out --------------------------------------------------------------------------------------------------


def test_everything_is_written(softmod, tmp_path):
    bits = bpsk(tmp_path / "x.cf32")
    out = tmp_path / "out"
    code, stdout, stderr = softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", out)
    assert (code, stderr) == (0, "") and "end of file" in stdout
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)
    llr = np.fromfile(out / "llr.sigmf-data", np.float32)
    symbols = np.fromfile(out / "symbols.sigmf-data", np.complex64)
    assert agreement(llr, bits) > 0.9
    report = report_of(out)
    assert report["output"]["llrs"] == len(llr) and report["output"]["symbols"] == len(symbols)
    assert report["input"]["samples"] == 16000 and report["input"]["invalid_samples"] == 0
    assert (out / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_metadata_is_valid_sigmf_and_says_what_the_llrs_are(softmod, tmp_path):
    samples = tmp_path / "x.sigmf-data"
    bpsk(samples)
    source = SigMFFile(data_file=samples, global_info={"core:datatype": "cf32_le", "core:sample_rate": 4000})
    source.add_capture(0, {"core:frequency": 145.9e6, "core:datetime": "2026-01-02T03:04:05Z"})
    source.tofile(tmp_path / "x.sigmf-meta")
    assert softmod("receive", tmp_path / "x.sigmf-meta", *BPSK[:4], "-o", tmp_path / "out")[0] == 0
    for name, datatype in (("llr", "rf32_le"), ("symbols", "cf32_le")):
        meta = sigmffile.fromfile(str(tmp_path / "out" / f"{name}.sigmf-meta"))  # compares the SHA-512 too
        meta.validate()
        info = meta.get_global_info()
        assert info["core:datatype"] == datatype and info["core:sample_rate"] == 1000
        assert info["softmod:conventions_version"] == 1 and info["softmod:constellation"]["name"] == "bpsk"
        assert info["softmod:symbol_rate"] == 1000
        assert meta.get_captures() == [
            {"core:sample_start": 0, "core:frequency": 145.9e6, "core:datetime": "2026-01-02T03:04:05Z"}
        ]


def test_two_runs_give_the_same_bytes(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    for name in ("a", "b"):
        assert softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / name)[0] == 0
    for name in ("llr.sigmf-data", "symbols.sigmf-data"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_results_are_replaced_only_when_asked(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    run = ["receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out"]
    assert softmod(*run)[0] == 0
    before = (tmp_path / "out" / "report.json").read_bytes()
    code, _, stderr = softmod(*run, "-s", "8000")
    assert code == 2 and "pass --overwrite" in stderr
    assert (tmp_path / "out" / "report.json").read_bytes() == before
    assert softmod(*run, "-s", "8000", "--overwrite")[0] == 0
    assert report_of(tmp_path / "out")["input"]["sample_rate_hz"] == 8000


def test_duration(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    assert softmod("receive", tmp_path / "x.cf32", *BPSK, "--duration", "1", "-o", tmp_path / "out")[0] == 0
    report = report_of(tmp_path / "out")
    assert report["ended"] == "duration reached" and report["input"]["samples"] == 4000


def test_quiet(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    assert softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out", "-q") == (0, "", "")


@pytest.mark.parametrize("samples", [2, 10, 100, 1000])
def test_a_very_short_file(softmod, tmp_path, samples):
    bpsk(tmp_path / "x.cf32")
    (tmp_path / "x.cf32").write_bytes((tmp_path / "x.cf32").read_bytes()[800 : 800 + 8 * samples])
    assert softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out")[0] == 0
    assert report_of(tmp_path / "out")["input"]["samples"] == samples


# --- faults: one line, exit code 2, nothing left behind --------------------------------------------------------------

FAULTS = {
    "absent": ("gone.wav", None, BPSK, "there is no file"),
    "empty": ("x.cf32", b"", BPSK, "x.cf32 is empty"),
    "truncated": ("x.cf32", "cut", BPSK, "truncated or not cf32_le"),
    "mislabelled": ("x.wav", "good", BPSK, "is not a WAV file"),
    "wrong type": ("x.cf32", bytes(range(256)) * 64, BPSK, "does not hold cf32_le"),
    "NaN": ("x.cf32", np.full(5000, np.nan, np.complex64).tobytes(), BPSK, "holds no finite sample"),
    "zeros": ("x.cf32", bytes(8000), BPSK, "every sample is 0"),
    "no rate": ("x.cf32", "good", BPSK[:4], "does not say its sample rate"),
    "rate 0": ("x.cf32", "good", [*BPSK[:4], "-s", "0"], "the sample rate is 0 Hz"),
    "rate negative": ("x.cf32", "good", [*BPSK[:4], "-s", "-5"], "the sample rate is -5 Hz"),
    "rate NaN": ("x.cf32", "good", [*BPSK[:4], "-s", "nan"], "the sample rate is nan Hz"),
    "symbol rate 0": ("x.cf32", "good", ["-c", "bpsk", "-r", "0", "-s", "4000"], "the symbol rate is 0 Hz"),
    "symbol rate NaN": ("x.cf32", "good", ["-c", "bpsk", "-r", "nan", "-s", "4000"], "the symbol rate is nan Hz"),
    "symbol rate above": ("x.cf32", "good", ["-c", "bpsk", "-r", "5000", "-s", "4000"], "is above the sample rate"),
    "symbol rate near": ("x.cf32", "good", ["-c", "bpsk", "-r", "3900", "-s", "4000"], "symbol"),
    "centre": ("x.cf32", "good", [*BPSK, "--center", "2001"], "lies outside the band"),
    "constellation": ("x.cf32", "good", ["-c", "7qam", "-r", "1", "-s", "9"], "no constellation '7qam'"),
    "format": ("x.cf32", "good", [*BPSK, "--format", "cf31"], "the sample type 'cf31_le' is unknown"),
    "out is a file": ("x.cf32", "good", [*BPSK, "-o", "x.cf32"], "is not a folder"),
    "out cannot be made": ("x.cf32", "good", [*BPSK, "-o", "x.cf32/a"], "x.cf32"),
    "no server": ("rtl_tcp=127.0.0.1:1", None, BPSK, "nothing answers at 127.0.0.1:1"),
    "no device": ("soapy=driver=nonsense", None, BPSK, "soapy=driver=nonsense cannot be opened"),
    "no osmosdr device": ("osmosdr=rtl=77", None, BPSK, "osmosdr=rtl=77 cannot be opened"),
    "silent device": ("zmq=tcp://127.0.0.1:9", None, [*BPSK, "--timeout", "0.3"], "delivered no sample"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_faults(softmod, tmp_path, monkeypatch, fault):
    name, content, options, words = fault
    monkeypatch.chdir(tmp_path)
    if isinstance(content, str):
        bpsk(Path(name), 500)
        if content == "cut":
            Path(name).write_bytes(Path(name).read_bytes()[:-3])
    elif content is not None:
        Path(name).write_bytes(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    code, stdout, stderr = softmod("receive", name, *options, *([] if "-o" in options else ["-o", "a/b"]))
    assert code == 2 and stdout == ""
    assert words in stderr and stderr.startswith("softmod: ") and stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_full_disk_is_one_line(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        code, _, stderr = softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert code == 2 and "File too large" in stderr and stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


# --- streams, and being stopped --------------------------------------------------------------------------------------


class Running:
    """The command in a process of its own, its stderr a terminal."""

    def __init__(self, *arguments: object) -> None:
        self.terminal, slave = pty.openpty()
        command = [sys.executable, "-m", "gr_softmod", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm", "NO_COLOR": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True, env=environment)
        os.close(slave)
        self.shown = ""

    def wait_for(self, pattern: str) -> None:
        """Read the terminal until it shows the pattern."""
        while not re.search(pattern, self.shown):
            try:
                self.shown += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:
                raise AssertionError(f"ended without showing {pattern!r}: {self.shown[-500:]}") from None

    def end(self) -> tuple[int, str]:
        """Exit code and stdout."""
        reader = threading.Thread(target=self._drain)
        reader.start()
        stdout, _ = self.process.communicate(timeout=60)
        reader.join()
        os.close(self.terminal)
        return self.process.returncode, stdout

    def _drain(self) -> None:
        try:
            while data := os.read(self.terminal, 4096):
                self.shown += data.decode(errors="replace")
        except OSError:
            pass


@pytest.fixture
def endless(tmp_path):
    """Address of a ZMQ server that sends a BPSK signal over and over, and `pause()`, which makes it silent."""
    bpsk(tmp_path / "stream.cf32")
    data = (tmp_path / "stream.cf32").read_bytes()
    (tmp_path / "stream.cf32").unlink()
    context = zmq.Context()
    server = context.socket(zmq.PUSH)
    server.set_hwm(4)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    ended, silent = threading.Event(), threading.Event()

    def play() -> None:
        while not ended.is_set():
            if silent.is_set() or not server.poll(50, zmq.POLLOUT):
                ended.wait(0.02)
            else:
                server.send(data)

    player = threading.Thread(target=play)
    player.start()
    yield f"zmq_pull=tcp://127.0.0.1:{port}", silent.set
    ended.set()
    player.join()
    context.destroy(linger=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_whole_results(tmp_path, endless, number):
    running = Running("receive", endless[0], *BPSK, "-o", tmp_path / "out")
    running.wait_for(r"[1-9][0-9,]* symbols")
    running.process.send_signal(number)
    code, stdout = running.end()
    assert code == 0 and "ended: interrupted" in stdout
    assert_whole(tmp_path / "out", "interrupted")


def test_a_file_shows_a_bar(tmp_path):
    bpsk(tmp_path / "x.cf32")
    running = Running("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out")
    code, _ = running.end()
    assert code == 0 and re.search(r"receiving.*100%.*symbols", running.shown)


def test_a_device_that_falls_silent_is_over(tmp_path, endless):
    address, pause = endless
    running = Running("receive", address, *BPSK, "-o", tmp_path / "out", "--timeout", "0.5")
    running.wait_for(r"[1-9][0-9,]* symbols")
    pause()
    code, _ = running.end()
    assert code == 0
    assert_whole(tmp_path / "out", "no samples for 0.5 s")


def test_a_stream_for_a_while(tmp_path, endless):
    running = Running("receive", endless[0], *BPSK, "-o", tmp_path / "out", "--duration", "20")
    code, _ = running.end()
    assert code == 0
    assert_whole(tmp_path / "out", "duration reached")
    assert report_of(tmp_path / "out")["input"]["samples"] == 80_000


def assert_whole(folder: Path, ended: str) -> None:
    """The results are complete and agree with each other."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    report = report_of(folder)
    assert report["ended"] == ended
    for name, key in (("llr", "llrs"), ("symbols", "symbols")):
        meta = sigmffile.fromfile(str(folder / f"{name}.sigmf-meta"))  # compares the SHA-512
        assert meta.sample_count == report["output"][key] > 0
