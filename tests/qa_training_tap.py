# SPDX-License-Identifier: GPL-3.0-or-later
"""training_tap in flowgraphs: which windows go out with which labels, and that nothing holds the flowgraph up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod
from numpy.typing import NDArray

from flowgraph import Messages, Staged, make_tag, until
from gr_softmod.blocks.training_tap import iso_time
from gr_softmod.constellation import Constellation
from gr_softmod.framing import hdlc
from gr_softmod.framing.ax25 import recover_frames
from gr_softmod.framing.known_bits import ax25_channel_bits
from gr_softmod.hooks.stream import Inlet
from gr_softmod.hooks.wire import Message
from gr_softmod.recording import open_recording

LOCAL = "tcp://127.0.0.1:*"


def ramp(n: int) -> NDArray[np.complex64]:
    """Sample k is k."""
    return np.arange(n).astype(np.complex64)


class Rig:
    """A tap with a consumer, fed by arrays; before each array but the first, acts."""

    def __init__(self, **arguments: Any) -> None:
        self.tap = softmod.training_tap(LOCAL, **arguments)
        self.inlet = Inlet(self.tap.address())
        self.status = Messages()
        self.got: list[Message] = []

    def run(self, stages: list[NDArray], act: list[Any] = (), llr: Any = None, tags: Any = ()) -> list[Message]:  # type: ignore[assignment]
        self.tb = tb = gr.top_block()
        acts = [self.joined, *act]
        first = Staged([np.zeros(0, np.complex64), *stages], acts, lambda total: self.tap.cutter.written() >= total)
        self.stage = first
        tb.connect(first, self.tap)
        if llr is not None:
            tb.connect(llr, (self.tap, 1))
        tb.msg_connect(self.tap, "status", self.status, "in")
        tb.run()
        while (message := self.inlet.receive(0.3)) is not None:
            self.got.append(message)
        return self.got

    def joined(self) -> None:
        """Waits until the consumer is served."""

        def served() -> int:
            assert self.inlet.receive(0.005) is None
            return self.tap.counts()["consumers"]

        until(served)

    def post(self, port: str, message: Any) -> None:
        """Send a message to the tap, and wait until it has been handled."""
        handled = len(self.seen)
        self.tap.control._post(pmt.intern(port), message if isinstance(message, pmt.pmt_base) else pmt.to_pmt(message))
        self.tap.control._post(pmt.intern("tap_status"), pmt.to_pmt({"reason": f"marker {handled}"}))
        until(lambda: len(self.seen) > handled)

    @property
    def seen(self) -> list[Any]:
        return [said for said in self.status.received if str(said.get("reason", "")).startswith("marker")]

    def reasons(self) -> str:
        return "\n".join(str(said.get("reason")) for said in self.status.received)

    def close(self) -> None:
        self.inlet.close()
        self.tap.close()


@pytest.fixture
def rig(request: Any) -> Iterator[Any]:
    made: list[Rig] = []

    def make(**arguments: Any) -> Rig:
        made.append(Rig(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def assert_window(message: Message, first: int, length: int) -> None:
    assert message.sample_index == first
    assert np.array_equal(message.arrays["iq"], ramp(first + length)[first:])


def label(message: Message) -> tuple[str, str] | None:
    found = message.label()
    return (found.value, found.source) if found else None


def test_a_window_each_period_with_all_that_is_known(rig: Any) -> None:
    r = rig(length=16, period=100, label="QPSK", sample_rate=1000.0, frequency=7e6)
    got = r.run([ramp(1000)])
    assert [m.sequence for m in got] == list(range(10))
    for k, message in enumerate(got):
        assert_window(message, 100 * k, 16)
        assert (message.sample_rate, message.frequency) == (1000.0, 7e6)
        assert label(message) == ("QPSK", "parameter") and message.fields == {"policy": "every", "dropped": 0}
    times = [np.datetime64(message.time.rstrip("Z")) for message in got if message.time]
    assert set(np.diff(times)) == {np.timedelta64(100_000_000, "ns")}
    assert r.tap.counts() == {"cut": 10, "sent": 10, "consumers": 1}


def test_tags_say_time_frequency_and_rate() -> None:
    tags = [
        make_tag(100, "rx_time", pmt.make_tuple(pmt.from_uint64(1_700_000_000), pmt.from_double(0.25))),
        make_tag(100, "rx_freq", 433e6), make_tag(200, "rx_rate", 2e3), make_tag(300, "rx_freq", pmt.intern("high")),
        make_tag(400, "rx_rate", -1.0), make_tag(450, "rx_time", 3.0),
    ]  # fmt: skip
    tap, tb, status = (
        softmod.training_tap(LOCAL, 16, period=100, sample_rate=1e3, frequency=5.0),
        gr.top_block(),
        Messages(),
    )
    with closing(Inlet(tap.address())) as inlet, closing(tap):
        tb.connect(blocks.vector_source_c(ramp(1000).tolist(), False, 1, tags), blocks.head(8, 1000), tap)
        tb.msg_connect(tap, "status", status, "in")
        windows = []
        tap.control.outlet.send = windows.append
        tb.run()
        assert inlet.receive(0) is None
    by_start = {m.sample_index: m for m in windows}
    assert [by_start[k].frequency for k in (0, 100, 500)] == [5.0, 433e6, 433e6]
    assert [by_start[k].sample_rate for k in (0, 100, 200, 900)] == [1e3, 1e3, 2e3, 2e3]
    assert by_start[100].time == "2023-11-14T22:13:20.250000000Z"
    assert by_start[300].time == "2023-11-14T22:13:20.350000000Z"  # 200 samples at 2000 a second
    assert "tag at item 300 ignored" in "\n".join(str(s.get("reason")) for s in status.received)


def test_times_are_to_the_nanosecond() -> None:
    assert iso_time(1_700_000_000, 0.123456789) == "2023-11-14T22:13:20.123456789Z"
    assert iso_time(1_700_000_000, 3600.9999999999) == "2023-11-14T23:13:21.000000000Z"


def test_llrs_go_with_their_samples(rig: Any) -> None:
    values = np.arange(2000, dtype=np.float32).reshape(-1, 2)
    r = rig(length=10, period=50, llrs_per_sample=2)
    llr = blocks.vector_source_f(values.ravel().tolist(), False, 2)
    for message in r.run([ramp(1000)], llr=llr):
        first = message.sample_index
        assert np.array_equal(message.arrays["llr"], values[first : first + 10].ravel())


def answer(first: int, name: str, probability: float, **more: Any) -> dict[str, Any]:
    return {"sample_index": first, "class": name, "probability": probability, "frame_length": 16, **more}


def test_windows_on_low_confidence_and_on_change(rig: Any) -> None:
    answers = [answer(0, "BPSK", 0.9), answer(32, "BPSK", 0.5, model_hash="ab" * 32), answer(64, "QPSK", 0.8),
               answer(96, "QPSK", 0.3)]  # fmt: skip
    for policy, firsts in (("confidence", [32, 96]), ("change", [64])):
        r = rig(length=16, policy=policy, threshold=0.6)
        got = r.run([ramp(200), ramp(1)], [lambda r=r: [r.post("classification", a) for a in answers]])
        assert [m.sample_index for m in got] == firsts
        for message in got:
            assert_window(message, message.sample_index, 16)
            assert message.fields["policy"] == policy
            assert label(message) == ("QPSK" if message.sample_index > 32 else "BPSK", "classifier")
        if policy == "confidence":
            assert got[0].model_hash == "ab" * 32 and got[0].label().confidence == 0.5


def test_labels_come_from_messages_where_they_hold(rig: Any) -> None:
    r = rig(length=16, period=20)
    said = pmt.dict_add(
        pmt.to_pmt({"modulation": "8PSK", "snr_db": 12.5}), pmt.intern("sample_index"), pmt.from_long(70)
    )
    got = r.run(
        [ramp(40), np.arange(40, 100).astype(np.complex64), np.arange(100, 140).astype(np.complex64)],
        [lambda: (r.post("label", pmt.intern("QPSK")), r.post("label", said)), lambda: r.post("label", pmt.PMT_NIL)],
    )
    by_start = {m.sample_index: m for m in got}
    assert label(by_start[40]) == ("QPSK", "message")
    assert label(by_start[60]) is None  # it changed within
    assert label(by_start[80]) == ("8PSK", "message") and by_start[80].label("snr_db").value == "12.5"
    assert label(by_start[100]) is None and label(by_start[120]) is None


def test_windows_on_message_and_what_cannot_be_cut(rig: Any) -> None:
    r = rig(length=16, policy="message", history=128)

    def ask() -> None:
        r.post("cut", {"sample_index": 900, "length": 40})
        r.post("cut", pmt.PMT_NIL)  # the latest
        r.post("cut", {"sample_index": 995})  # not there yet
        for bad in ({"sample_index": 5}, {"length": 1000}, {"sample_index": -1}, {"sample_index": "x"}, {"length": 0}):
            r.post("cut", bad)
        for port in ("classification", "label", "known_bits"):
            for bad in (
                pmt.intern("x") if port != "label" else pmt.from_long(3),
                {"class": 3},
                {"bits": [2]},
                {"a": 1},
            ):
                r.post(port, bad)

    got = r.run([ramp(1000), np.arange(1000, 1100).astype(np.complex64)], [ask])
    for message, (first, length) in zip(got, [(900, 40), (984, 16), (995, 16)], strict=True):
        assert_window(message, first, length)
    reasons = r.reasons()
    assert reasons.count("cut message ignored") == 5 and "too_late" in reasons and "too_long" in reasons
    for port in ("classification", "known_bits"):
        assert reasons.count(f"{port} message ignored") >= 4
    assert r.tap.counts()["dropped_too_late"] == 1


def test_known_bits_become_known_symbols(rig: Any) -> None:
    r = rig(length=16, policy="message", constellation="qpsk")
    bits = np.random.default_rng(1).integers(0, 2, 64).astype(np.uint8)

    def known() -> None:
        message = pmt.dict_add(pmt.make_dict(), pmt.intern("sample_index"), pmt.from_uint64(30))
        r.post("known_bits", pmt.dict_add(message, pmt.intern("bits"), pmt.init_u8vector(64, bits.tolist())))

    (got,) = r.run([ramp(200), ramp(1)], [known])
    assert_window(got, 30, 32)
    assert np.array_equal(got.arrays["bits"], bits)
    assert np.allclose(got.arrays["symbols"], Constellation.qpsk().modulate(bits))
    assert label(got) == ("QPSK", "decoder") and got.fields["constellation"] == "qpsk"


def test_samples_that_are_not_finite_are_dropped_and_counted(rig: Any) -> None:
    bad = ramp(400)
    bad[105] = np.nan
    r = rig(length=16, period=100)
    assert [m.sample_index for m in r.run([bad])] == [0, 200, 300]
    assert r.tap.counts()["dropped_not_valid"] == 1


def test_no_consumer_a_stuck_and_a_malicious_one_hold_nothing_up() -> None:
    """Every sample passes, whoever listens: what they do not take is dropped and counted."""
    total = 2_000_000
    tap, tb = softmod.training_tap(LOCAL, 1024, period=1024, queue=8), gr.top_block()
    through, status = blocks.null_sink(8), Messages()
    stuck, host, port = Inlet(tap.address()), *tap.address().removeprefix("tcp://").split(":")
    with closing(stuck), closing(tap), socket.create_connection((host, int(port))) as rude:
        rude.sendall(b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f" + b"x" * 100)
        feed = blocks.null_source(8)
        head = blocks.head(8, total)
        tb.connect(feed, head, tap)
        tb.connect(head, through)
        tb.msg_connect(tap, "status", status, "in")
        assert stuck.receive(0) is None  # said hello, and never looks again
        tb.run()
        assert tap.cutter.written() == total == through.nitems_read(0)
        counts = tap.counts()
    lost = sum(count for name, count in counts.items() if name.startswith("dropped_"))
    assert counts["cut"] == (total - 1024) // 1024 + 1 == counts["sent"] + lost and lost > 1000


def test_status_tells_the_counts(rig: Any) -> None:
    r = rig(length=16, period=16, queue=4)
    r.run([ramp(1600), ramp(1)], [lambda: until(lambda: any("sent" in said for said in r.status.received))])
    said = next(said for said in r.status.received if "sent" in said)
    assert said["cut"] == 100 and said["consumers"] == 1 and said["block"].startswith("training_tap")
    dropped = said.get("dropped_queue_full", 0)
    assert said["sent"] + dropped == 100 and said["severity"] == ("warning" if dropped else "info")


def test_a_flowgraph_can_be_run_again(rig: Any) -> None:
    r = rig(length=16, period=100)
    first = len(r.run([ramp(400)]))
    r.got.clear()
    assert first == 4 and len(r.run([ramp(400)])) >= 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"address": "tcp://0.0.0.0:*"}, "key"), ({"policy": "always"}, "policy"), ({"length": 0}, "length"),
     ({"length": 64, "history": 32}, "length"), ({"threshold": 2}, "threshold"), ({"sample_rate": 0}, "sample_rate"),
     ({"period": 0}, "period"), ({"queue": 0}, "queue"), ({"constellation": "17qam"}, "17qam"),
     ({"frequency": float("nan")}, "frequency"), ({"key": "x"}, "go together"), ({"llrs_per_sample": 17}, "llrs")],
)  # fmt: skip
def test_arguments_are_checked(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.training_tap(**{"address": LOCAL} | arguments)


# -- a decoder's success -----------------------------------------------------------------------------------------------


def ax25_channel(payloads: list[bytes], seed: int = 5) -> NDArray[np.uint8]:
    """Channel bits of frames between flags."""
    parts = [np.tile(hdlc.FLAG, 8)]
    for payload in payloads:
        parts += [hdlc.frame_bits(payload), np.tile(hdlc.FLAG, 3)]
    return hdlc.scramble(np.concatenate([*parts, np.tile(hdlc.FLAG, 8)]), seed)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_frame_encoded_again_is_what_was_sent(seed: int, inverted: bool) -> None:
    rng = np.random.default_rng(seed)
    sent = ax25_channel([rng.bytes(40), b"\xff" * 30, rng.bytes(200)], seed=int(rng.integers(1 << 17))) ^ inverted
    llr = (2.0 * sent - 1) * rng.uniform(2, 9, len(sent))
    frames = recover_frames(llr)
    for frame in frames:
        assert np.array_equal(ax25_channel_bits(frame, llr), sent[frame.start : frame.end])
    wrong = int(frames[0].start + 50)
    llr[wrong] *= -0.01  # a weak wrong bit, which guessing turns
    frame = recover_frames(llr)[0]
    assert frame.flips == (wrong,)
    assert np.array_equal(ax25_channel_bits(frame, llr), sent[frame.start : frame.end])
    with pytest.raises(ValueError, match="again"):
        ax25_channel_bits(frame._replace(payload=frame.payload[::-1]), llr)


def test_real_frames_label_their_symbols(recordings: Path, rig: Any) -> None:
    """Off the air: each symbol of a frame whose check sequence holds is known, and nearly all were received as sent."""
    recording = open_recording(recordings / "picsat_9k6.wav")
    r = Rig(length=64, policy="message", constellation="bpsk", history=1 << 18)
    with closing(r):
        tb = gr.top_block()
        receiver = softmod.receiver("bpsk", recording.sample_rate, 9600, 12e3)
        decoder = softmod.ax25_known_bits(guesses=64)
        # Noise behind the recording carries its last frames through all filters and delays.
        rng = np.random.default_rng(0)
        samples = recording.read(0, recording.samples)
        samples = np.concatenate((samples, 1e-3 * rng.normal(size=len(samples) // 4).astype(np.complex64)))
        feed = Staged(
            [np.zeros(0, np.complex64), samples, np.zeros(1, np.complex64)],
            [r.joined, lambda: until(decoder.idle, 100)], lambda total: True,
        )  # fmt: skip
        tb.connect(feed, receiver)
        tb.connect((receiver, 0), decoder)
        tb.connect((receiver, 1), r.tap)
        tb.connect((receiver, 2), blocks.null_sink(8))
        tb.msg_connect(decoder, "known_bits", r.tap, "known_bits")
        tb.run()
        got = []
        while (message := r.inlet.receive(0.5)) is not None:
            got.append(message)
    assert decoder.dropped == 0 and len(got) == decoder.frames >= 5
    for message in got:
        assert label(message) == ("BPSK", "decoder")
        iq, symbols = message.arrays["iq"], message.arrays["symbols"]
        gain = np.vdot(symbols, iq) / len(iq)
        wrong = np.mean((iq.real < 0) != (symbols.real < 0))
        assert gain.real > 0.7 and wrong < 0.03
