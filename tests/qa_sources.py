# SPDX-License-Identifier: GPL-3.0-or-later
"""iq_source: the same samples, and the right tags, from every kind of source."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pmt
import pytest
import zmq
from gnuradio import blocks, gr, softmod

from gr_softmod.blocks.recording_source import unix_time
from gr_softmod.recording import Datatype

RNG = np.random.default_rng(2)
IQ = (RNG.uniform(-0.9, 0.9, 300_000) + 1j * RNG.uniform(-0.9, 0.9, 300_000)).astype(np.complex64)
EMULATOR = Path(__file__).with_name("rtl_tcp_emulator.py")


def run(source: gr.basic_block, head: int | None = None) -> tuple[np.ndarray, list[tuple[int, str, object]]]:
    """Samples and tags of a source that ends, or of its first `head` samples."""
    tb = gr.top_block()
    sink = blocks.vector_sink_c()
    tb.connect(source, *([] if head is None else [blocks.head(gr.sizeof_gr_complex, head)]), sink)
    tb.run()
    tags = [(tag.offset, pmt.symbol_to_string(tag.key), pmt.to_python(tag.value)) for tag in sink.tags()]
    return np.array(sink.data(), np.complex64), sorted(tags, key=lambda tag: tag[:2])


def sigmf(folder: Path, samples: np.ndarray = IQ, **extra: object) -> Path:
    meta = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 1e6},
        "captures": [{"core:sample_start": 0}],
        "annotations": [],
    } | extra
    path = folder / "x.sigmf-meta"
    path.write_text(json.dumps(meta))
    samples.astype(np.complex64).tofile(path.with_suffix(".sigmf-data"))
    return path


def test_a_recording_comes_out_whole_with_its_metadata_as_tags(tmp_path):
    captures = [
        {"core:sample_start": 0, "core:frequency": 145.9e6, "core:datetime": "2026-01-02T03:04:05.25Z"},
        {"core:sample_start": 200_000, "core:frequency": 146e6},
    ]
    annotation = {"core:sample_start": 150_000, "core:sample_count": 20, "core:label": "burst"}
    source = softmod.iq_source(str(sigmf(tmp_path, captures=captures, annotations=[annotation])))
    samples, tags = run(source)
    np.testing.assert_array_equal(samples, IQ)
    assert tags == [
        (0, "rx_freq", 145.9e6),
        (0, "rx_rate", 1e6),
        (0, "rx_time", (1767323045, 0.25)),
        (150_000, "annotation", annotation),
        (200_000, "rx_freq", 146e6),
    ]
    assert source.sample_rate == 1e6 and source.produced() == len(IQ) and source.replaced() == 0


def test_a_repeated_recording_brings_its_tags_again(tmp_path):
    captures = [{"core:sample_start": 10, "core:frequency": 1e6}]
    source = softmod.iq_source(str(sigmf(tmp_path, IQ[:1000], captures=captures)), repeat=True)
    samples, tags = run(source, head=2500)
    np.testing.assert_array_equal(samples, np.tile(IQ[:1000], 3)[:2500])
    assert [tag[0] for tag in tags if tag[1] == "rx_freq"] == [10, 1010, 2010]


@pytest.mark.parametrize("datatype", ["cf32", "ci16", "cu8", "rf32", "ri16_be", "cf64_be", "cu32"])
def test_raw_types(tmp_path, datatype):
    path = tmp_path / "x.bin"
    parts = IQ.view(np.float32) if datatype[0] == "c" else IQ.real
    name = Datatype.parse(datatype)
    dtype = f"{'>' if name.name.endswith('be') else '<'}{name.kind}{name.bits // 8}"
    scaled = parts if name.kind == "f" else parts.astype(np.float64) * 2.0 ** (name.bits - 1)
    (scaled + (2.0 ** (name.bits - 1) - 0.5 if name.kind == "u" else 0)).astype(dtype).tofile(path)
    samples, _ = run(softmod.iq_source(str(path), 1e6, datatype))
    expected = IQ if datatype[0] == "c" else IQ.real
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-6 if name.kind == "f" else 2.0 ** (2 - name.bits))


def test_invalid_samples_are_tagged_and_counted(tmp_path):
    samples = IQ[:5000].copy()
    samples[1000:1500] = np.nan
    samples[4000] = np.inf
    source = softmod.iq_source(str(sigmf(tmp_path, samples)), hold=100)
    output, tags = run(source)
    np.testing.assert_array_equal(output, np.where(np.isfinite(samples), samples, 0))
    assert [(at, value) for at, key, value in tags if key == "erasure"] == [
        (1000, True), (1600, False), (4000, True), (4101, False)
    ]  # fmt: skip
    assert source.replaced() == 501


def test_a_file_that_shrinks_ends_the_stream_and_says_so(tmp_path):
    path = sigmf(tmp_path)
    source = softmod.iq_source(str(path))
    with path.with_suffix(".sigmf-data").open("r+b") as file:
        file.truncate(1_000_000)
    run(source)
    assert "became shorter" in str(source.error())


@pytest.mark.parametrize(
    ("iso", "expected"),
    [
        ("1970-01-01T00:00:00Z", (0, 0.0)),
        ("2026-01-02T03:04:05.25Z", (1767323045, 0.25)),
        ("2026-01-02T03:04:05.123456789Z", (1767323045, 0.123456789)),
    ],
)
def test_time(iso, expected):
    assert unix_time(iso) == expected


@pytest.mark.parametrize("kind", ["zmq", "zmq_pull"])
def test_zmq(kind):
    context = zmq.Context()
    server = context.socket(zmq.XPUB if kind == "zmq" else zmq.PUSH)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    done = threading.Event()

    def play() -> None:
        if kind == "zmq":
            server.recv()  # the subscription: nothing is lost after it
        for part in np.split(IQ, 30):
            server.send(part.tobytes())
        while not done.wait(0.02):  # a chain whose end is full stops when more comes
            if server.poll(0, zmq.POLLOUT):
                server.send(IQ[:10_000].tobytes())

    player = threading.Thread(target=play)
    player.start()
    samples, _ = run(softmod.iq_source(f"{kind}=tcp://127.0.0.1:{port}", 1e6), head=len(IQ))
    done.set()
    player.join()
    context.destroy(linger=0)
    np.testing.assert_array_equal(samples, IQ)


def test_osmosdr_file_driver(tmp_path):
    IQ.tofile(tmp_path / "x.cfile")
    arguments = f"file={tmp_path / 'x.cfile'},rate=1e6,freq=0,repeat=false,throttle=false"
    samples, _ = run(softmod.iq_source(f"osmosdr={arguments}", 1e6))
    np.testing.assert_array_equal(samples, IQ)


@pytest.fixture
def emulator(tmp_path):
    """Starts an rtl_tcp server that plays bytes; the function gives its port, and then what commands it got."""
    processes = []

    def start(values: np.ndarray, *options: str) -> tuple[int, subprocess.Popen]:
        values.astype(np.uint8).tofile(tmp_path / "x.cu8")
        command = [sys.executable, str(EMULATOR), str(tmp_path / "x.cu8"), *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return int(processes[-1].stdout.readline()), processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


BYTES = RNG.integers(0, 256, 2 * 200_000, np.uint8)


def test_rtl_tcp(emulator):
    port, process = emulator(BYTES)
    source = softmod.iq_source(f"rtl_tcp=127.0.0.1:{port}", 250e3, frequency=100e6, gain=19.7)
    samples, _ = run(source)
    np.testing.assert_array_equal(samples, Datatype("cu8").decode(BYTES.tobytes()))
    assert json.loads(process.communicate()[0]) == {
        "sample_rate": 250_000, "frequency": 100_000_000, "gain_mode": 1, "agc": 0, "gain": 197
    }  # fmt: skip


def test_rtl_tcp_through_gr_osmosdr(emulator):
    """More than the recording holds: the server goes on, so that all of it fills the driver's buffers."""
    port, _ = emulator(BYTES, "--ending", "repeat")
    source = softmod.iq_source(f"osmosdr=rtl_tcp=127.0.0.1:{port}", 250e3, frequency=100e6, gain=20)
    samples, _ = run(source, head=250_000)
    expected = np.resize(Datatype("cu8").decode(BYTES.tobytes()), 250_000)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=0.02)


def test_gr_osmosdr_ends_with_the_connection(emulator):
    """Reset, not closed in good order: there its client asks for more, for ever."""
    port, _ = emulator(BYTES, "--ending", "reset")
    samples, _ = run(softmod.iq_source(f"osmosdr=rtl_tcp=127.0.0.1:{port}", 250e3))
    assert len(samples) > 190_000  # the driver drops what does not fill its last buffer
    expected = Datatype("cu8").decode(BYTES.tobytes())[: len(samples)]
    np.testing.assert_allclose(samples, expected, rtol=0, atol=0.02)


def test_rtl_tcp_that_is_silent_can_be_stopped(emulator):
    port, process = emulator(BYTES, "--silent")
    tb = gr.top_block()
    source = softmod.iq_source(f"rtl_tcp=127.0.0.1:{port}", 250e3)
    tb.connect(source, blocks.null_sink(gr.sizeof_gr_complex))
    tb.start()
    tb.stop()
    tb.wait()
    assert json.loads(process.communicate()[0])["agc"] == 1


def test_what_is_not_rtl_tcp_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.0 200 OK\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ValueError, match="is not an rtl_tcp server"):
            softmod.iq_source(f"rtl_tcp=127.0.0.1:{port}", 1e6)
        thread.join()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


FAULTS = {
    "no file": (["gone.wav"], "there is no file 'gone.wav'"),
    "no such kind": (["usrp=addr", 1e6], "there is no file 'usrp=addr'"),
    "no argument": (["rtl_tcp=", 1e6], "names no device"),
    "no rate": (["zmq=tcp://127.0.0.1:1"], "needs a sample rate"),
    "rate 0": (["zmq=tcp://127.0.0.1:1", 0], "must be positive and finite"),
    "rate NaN": (["soapy=driver=null", float("nan")], "must be positive and finite"),
    "frequency NaN": (["rtl_tcp=127.0.0.1:1", 1e6, None, float("nan")], "frequency is nan"),
    "gain infinite": (["rtl_tcp=127.0.0.1:1", 1e6, None, 1e8, float("inf")], "gain is inf"),
    "no server": ([f"rtl_tcp=127.0.0.1:{closed_port()}", 1e6], "cannot be opened: nothing answers at 127"),
    "no port": (["rtl_tcp=localhost", 1e6], "'localhost' is not HOST:PORT"),
    "no server for gr-osmosdr": ([f"osmosdr=rtl_tcp=127.0.0.1:{closed_port()}", 1e6], "can't open TCP connection"),
    "no soapy device": (["soapy=driver=nonsense", 1e6], "cannot be opened: SoapySDR"),
    "no osmosdr device": (["osmosdr=rtl=77", 1e6], "cannot be opened: "),
    "zmq address": (["zmq=nonsense", 1e6], "cannot be opened: "),
    "zmq protocol": (["zmq=abc://127.0.0.1:1", 1e6], "cannot be opened: "),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_faults(fault):
    arguments, words = fault
    with pytest.raises((ValueError, OSError)) as error:
        softmod.iq_source(*arguments)
    assert words in str(error.value) and "\n" not in str(error.value)
