# SPDX-License-Identifier: GPL-3.0-or-later
"""`softmod receive` as it is used: real and made recordings, streams, faults, and being stopped."""

import itertools
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
from gr_softmod.recording import open_recording

TESTS = Path(__file__).parent
ALWAYS = sorted(set(NAMES) - {"frames.jsonl"})


@pytest.fixture
def softmod(monkeypatch, capfd):
    """Runs the command in this process; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["softmod", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code or 0, *capfd.readouterr())

    return run


def bpsk(path: Path, symbols: int = 4000, noise: float = 0.05, seed: int = 3) -> np.ndarray:
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
    assert sorted(path.name for path in out.iterdir()) == ALWAYS
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


def test_two_runs_agree(softmod, tmp_path):
    """To rounding: GNU Radio's filters sum in an order that follows how the scheduler cuts the stream."""
    bpsk(tmp_path / "x.cf32")
    for name in ("a", "b"):
        assert softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / name)[0] == 0
    llr = [np.fromfile(tmp_path / name / "llr.sigmf-data", np.float32) for name in ("a", "b")]
    symbols = [np.fromfile(tmp_path / name / "symbols.sigmf-data", np.complex64) for name in ("a", "b")]
    assert np.array_equal(llr[0] > 0, llr[1] > 0)
    np.testing.assert_allclose(symbols[0], symbols[1], atol=1e-2)


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


def test_a_second_job_clears_what_the_first_left(softmod, tmp_path):
    bpsk(tmp_path / "x.cf32")
    run = ["receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out", "--overwrite"]
    assert softmod(*run, "--decode", "ax25")[0] == 0
    assert (tmp_path / "out" / "frames.jsonl").read_text() == ""
    assert softmod(*run)[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ALWAYS


def test_bit_errors_are_counted(softmod, tmp_path):
    bits = bpsk(tmp_path / "x.cf32", 20_000, noise=0.8)
    bits.astype(np.uint8).tofile(tmp_path / "bits")
    code, stdout, _ = softmod(
        "receive", tmp_path / "x.cf32", *BPSK, "--reference", tmp_path / "bits", "-o", tmp_path / "o"
    )
    errors = report_of(tmp_path / "o")["bit_errors"]
    # Eb/N0 of 4 samples of pulse energy over 2 * 0.8^2: 4.94 dB, and its BPSK error rate.
    assert code == 0 and "wrong bits" in stdout and errors["bits"] > 10_000
    assert errors["interval_95"][0] / 1.5 < 0.0062 < errors["interval_95"][1] * 1.5


def test_a_nan_filled_part_is_an_erasure(softmod, tmp_path):
    bits = bpsk(tmp_path / "x.cf32", 20_000)
    samples = np.fromfile(tmp_path / "x.cf32", np.complex64)
    samples[40_000:48_000] = np.nan
    samples.tofile(tmp_path / "x.cf32")
    assert softmod("receive", tmp_path / "x.cf32", *BPSK, "-o", tmp_path / "out")[0] == 0
    report, llr = report_of(tmp_path / "out"), np.fromfile(tmp_path / "out" / "llr.sigmf-data", np.float32)
    assert report["input"]["invalid_samples"] == 8000 and "8000 samples were NaN" in report["warnings"][0]
    assert 2000 <= report["output"]["erased_llrs"] == np.count_nonzero(llr == 0) < 2120
    meta = sigmffile.fromfile(str(tmp_path / "out" / "llr.sigmf-meta"))
    (annotation,) = meta.get_annotations()
    first, count = annotation["core:sample_start"], annotation["core:sample_count"]
    assert annotation["core:label"] == "erasure" and count == report["output"]["erased_llrs"]
    np.testing.assert_array_equal(llr[first : first + count], 0)
    assert abs(first - 10_000) < 40
    # What lies behind is received as if nothing had been.
    assert agreement(llr[first + count + 1000 :], bits) > 0.99 and agreement(llr[3000:first], bits) > 0.99


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


# --- real recordings and the demonstration ---------------------------------------------------------------------------

PICSAT = ["-c", "bpsk", "-r", "9600", "--decode", "ax25"]


def frames_of(folder: Path) -> list[str]:
    return [json.loads(line)["hex"] for line in (folder / "frames.jsonl").read_text().splitlines()]


def test_frames_of_a_real_recording(softmod, tmp_path, recordings):
    code, stdout, _ = softmod(
        "receive", recordings / "picsat_9k6.wav", *PICSAT, "--center", "12000", "-o", tmp_path / "o"
    )
    assert code == 0 and "57 AX.25 frames" in stdout
    assert len(frames_of(tmp_path / "o")) == report_of(tmp_path / "o")["frames"]["count"] == 57


@pytest.fixture
def dongle(tmp_path, recordings):
    """Starts an rtl_tcp server that plays the recording around 50 kHz; gives its process and the source's options."""
    wave = open_recording(recordings / "picsat_9k6.wav").read(0, 1 << 20)
    play(as_rtl_sdr(wave, 48_000, 12_000, 240_000, 50_000), tmp_path / "x.cu8")
    processes = []

    def start(*options: str) -> tuple[subprocess.Popen, str, list[str]]:
        command = [sys.executable, TESTS / "rtl_tcp_emulator.py", tmp_path / "x.cu8", *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        address = f"127.0.0.1:{processes[-1].stdout.readline().strip()}"
        return processes[-1], address, ["-s", "240000", "--center", "50000", "--frequency", "435000000"]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_live_frames_are_those_of_the_file(softmod, tmp_path, recordings, dongle):
    process, address, options = dongle()
    code, stdout, _ = softmod("receive", f"rtl_tcp={address}", *options, *PICSAT, "-o", tmp_path / "live")
    assert code == 0 and "ended: end of stream" in stdout
    assert json.loads(process.stdout.readline())["frequency"] == 435_000_000
    softmod("receive", recordings / "picsat_9k6.wav", *PICSAT, "--center", "12000", "-o", tmp_path / "file")
    assert len(frames_of(tmp_path / "live")) == 57
    assert frames_of(tmp_path / "live") == frames_of(tmp_path / "file")
    capture = sigmffile.fromfile(str(tmp_path / "live" / "llr.sigmf-meta")).get_captures()[0]
    assert capture["core:frequency"] == 435_050_000 and "core:datetime" in capture


def test_a_driver_that_cannot_be_stopped(tmp_path, dongle):
    # gr-osmosdr's client waits inside the driver for samples that never come, where nothing can wake it.
    _, address, options = dongle("--ending", "none")
    running = Running(
        "receive", f"osmosdr=rtl_tcp={address}", *options, *PICSAT, "-o", tmp_path / "o", "--timeout", "3"
    )
    code, stdout = running.end()
    assert code == 0 and "ended: no samples for 3 s" in stdout and "the device could not be stopped" in stdout
    assert len(frames_of(tmp_path / "o")) == 57


def as_rtl_sdr(wave: np.ndarray, rate: int, center: int, new_rate: int, new_center: int) -> np.ndarray:
    """A real signal's band around `center` as complex samples at a higher rate, around another frequency."""
    spectrum = np.fft.fft(wave.real)
    spectrum[len(spectrum) // 2 :] = 0  # the analytic signal
    count = len(wave) * new_rate // rate
    wide = np.fft.ifft(np.concatenate((spectrum, np.zeros(count - len(spectrum)))))
    return wide * np.exp(2j * np.pi * (new_center - center) / new_rate * np.arange(count))


def play(samples: np.ndarray, path: Path) -> None:
    """Write samples as a dongle would deliver them: 8 bits, unsigned."""
    parts = samples.astype(np.complex64).view(np.float32)
    (127.5 + parts / np.max(np.abs(parts)) * 120).round().astype(np.uint8).tofile(path)


def test_the_demonstration(softmod, tmp_path):
    made = tmp_path / "made.sigmf-meta"
    subprocess.run([sys.executable, TESTS.parent / "examples" / "demo_transmitter.py", made], check=True)
    signal_ = ["-c", "qpsk", "--differential", "-r", "16000", "--center", "18000", "--decode", "ax25"]
    code, *_ = softmod("receive", made, *signal_, "--reference", made.with_suffix(".bits"), "-o", tmp_path / "out")
    report = report_of(tmp_path / "out")
    assert code == 0 and report["warnings"] == []
    assert report["frames"]["count"] >= 235 and report["bit_errors"]["bit_error_rate"] < 5e-4
    assert abs(report["signal"]["frequency_offset_hz"] - 137) < 5 and 11 < report["signal"]["esn0_db"] < 12.5
    assert report["signal"]["locked_share"] > 0.9
    numbers = [int(json.loads(line)["text"][:3]) for line in (tmp_path / "out" / "frames.jsonl").open()]
    assert numbers == sorted(set(numbers))


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
    "roll-off": ("x.cf32", "good", [*BPSK, "--rolloff", "7"], "excess_bandwidth"),
    "reference": ("x.cf32", "good", [*BPSK, "--reference", "prbs8"], "the known sequence 'prbs8'"),
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
    messages = itertools.cycle(data[at : at + 8000] for at in range(0, len(data), 8000))
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
                server.send(next(messages))

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
    running = Running("receive", address, *BPSK, "-o", tmp_path / "out", "--timeout", "2")
    running.wait_for(r"[1-9][0-9,]* symbols")
    pause()
    code, _ = running.end()
    assert code == 0
    assert_whole(tmp_path / "out", "no samples for 2 s")


def test_a_stream_for_a_while(tmp_path, endless):
    running = Running("receive", endless[0], *BPSK, "-o", tmp_path / "out", "--duration", "20")
    code, _ = running.end()
    assert code == 0
    assert_whole(tmp_path / "out", "duration reached")
    assert report_of(tmp_path / "out")["input"]["samples"] == 80_000


def assert_whole(folder: Path, ended: str) -> None:
    """The results are complete and agree with each other."""
    assert sorted(path.name for path in folder.iterdir()) == ALWAYS
    report = report_of(folder)
    assert report["ended"] == ended
    for name, key in (("llr", "llrs"), ("symbols", "symbols")):
        meta = sigmffile.fromfile(str(folder / f"{name}.sigmf-meta"))  # compares the SHA-512
        assert meta.sample_count == report["output"][key] > 0
