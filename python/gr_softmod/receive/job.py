# SPDX-License-Identifier: GPL-3.0-or-later
"""The flowgraph of the main job, from its start to results that are whole.

iq_source -> receiver -> LLRs -> file
    |            |-----> symbols -> file
    |            `-----> samples before synchronisation -> a few, for the figure
    `------------------> a few blocks of samples, for the spectrum
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gnuradio import blocks, gr

from gr_softmod.bindings import softmod_python
from gr_softmod.blocks.iq_source import iq_source
from gr_softmod.blocks.receiver import receiver
from gr_softmod.receive.frames import FrameReader
from gr_softmod.receive.outputs import Outputs
from gr_softmod.receive.settings import Settings
from gr_softmod.receive.sinks import LlrSink, SnapshotSink, StatusSink, SymbolSink

#: Samples of a block for the spectrum, and how many blocks are kept.
SPECTRUM_SAMPLES, SPECTRUM_BLOCKS = 4096, 256
#: The same for samples before synchronisation.
BEFORE_SAMPLES, BEFORE_BLOCKS = 256, 64
#: Noise estimates of a file, and of a stream in one second.
FILE_ESTIMATES, STREAM_ESTIMATES = 500, 4
#: Symbols behind replaced samples that count as erased too: the delay and the memory of filters and loops.
ERASURE_HOLD_SYMBOLS = 32
_POLL_SECONDS = 0.1
_STOP_SECONDS = 3.0
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """Where a job is. ``total`` is None on streams; ``frames`` are those that have been found since the last time."""

    samples: int
    total: int | None
    symbols: int
    elapsed: float
    status: dict[str, Any]
    frames: list[dict[str, Any]]


@dataclass(frozen=True)
class Result:
    """What a job left behind.

    Attributes:
        folder: where the results lie.
        report: what ``report.json`` holds.
        stuck: the source could not be stopped; the process has to be ended by ``os._exit``.
    """

    folder: Path
    report: dict[str, Any]
    stuck: bool


def receive(settings: Settings, on_progress: Callable[[Progress], None] = lambda progress: None) -> Result:
    """Turn a recording or a stream into soft bits and a report.

    Ends with the source, after ``duration``, when a device has been silent for ``timeout``, or at SIGINT or SIGTERM
    (when called from the main thread); the results are whole in each case.

    Args:
        settings: what to do.
        on_progress: called about ten times a second.
    Raises:
        OSError: a file cannot be read or written.
        ValueError: a parameter, the file or the device is refused; nothing is left behind.
    """
    outputs = Outputs(settings.out, settings.overwrite)
    try:
        flowgraph = Flowgraph(settings, outputs)
        ended = flowgraph.run(on_progress)
        from gr_softmod.receive.report import write_report

        report = write_report(flowgraph, ended, outputs)
        outputs.commit()
    except BaseException:
        outputs.discard()
        raise
    return Result(outputs.folder, report, flowgraph.stuck)


class Flowgraph:
    """The running job, and afterwards what it has seen."""

    def __init__(self, settings: Settings, outputs: Outputs) -> None:
        self.settings, self.outputs = settings, outputs
        self.started = datetime.now(UTC)
        self.elapsed = 0.0
        self.stuck = False
        self.warnings: list[str] = []
        self.meter: Any = None
        self.frames: FrameReader | None = None
        self.top = gr.top_block("softmod receive")
        self.source = iq_source(
            settings.source,
            sample_rate=settings.sample_rate,
            datatype=settings.datatype,
            frequency=settings.frequency,
            gain=settings.gain,
            truncated=settings.truncated,
        )
        self.sample_rate = self.source.sample_rate
        self.recording = self.source.recording
        settings.check_channel(self.sample_rate)
        real = self.recording is not None and not self.recording.datatype.is_complex
        self.warnings += self.recording.warnings if self.recording else ()
        self.warnings += settings.channel_warnings(self.sample_rate, real)
        self.receiver = receiver(
            settings.scheme,
            self.sample_rate,
            settings.symbol_rate,
            settings.center,
            settings.differential,
            **settings.receiver,
        )
        self.total = self._total_samples()
        self._connect()

    def _total_samples(self) -> int | None:
        asked = None
        if self.settings.duration is not None:
            asked = max(1, round(self.settings.duration * self.sample_rate))
        if self.recording is None:
            return asked
        return self.recording.samples if asked is None else min(asked, self.recording.samples)

    def _connect(self) -> None:
        bits, points = self.settings.bits_per_symbol, self.settings.scheme.points
        symbols = None if self.total is None else self.total / self.sample_rate * self.settings.symbol_rate
        interval = self.settings.symbol_rate / STREAM_ESTIMATES if symbols is None else symbols / FILE_ESTIMATES
        hold = ERASURE_HOLD_SYMBOLS
        self.llrs = LlrSink(self.outputs.path("llr.sigmf-data"), hold * bits)
        self.symbols = SymbolSink(self.outputs.path("symbols.sigmf-data"), hold, points, int(interval))
        self.status = StatusSink()
        top = self.top
        source: Any = self.source
        if self.settings.duration is not None and self.total is not None:
            source = blocks.head(gr.sizeof_gr_complex, self.total)
            top.connect(self.source, source)
        top.connect(source, self.receiver)
        top.connect((self.receiver, 0), self.llrs)
        top.connect((self.receiver, 1), self.symbols)
        top.msg_connect(self.receiver, "status", self.status, "status")
        if self.settings.reference is not None:
            self.meter = softmod_python.ber_meter(self.settings.reference)
            top.connect((self.receiver, 0), self.meter)
        if self.settings.decode is not None:
            found, rate = self.outputs.path("frames.jsonl"), self.settings.symbol_rate * bits
            self.frames = FrameReader(self.outputs.path("llr.sigmf-data"), found, rate)
        self.spectrum = self._tap(source, SPECTRUM_SAMPLES, SPECTRUM_BLOCKS, self.sample_rate)
        rate = self.receiver.samples_per_symbol * self.settings.symbol_rate
        self.before = self._tap((self.receiver, 2), BEFORE_SAMPLES, BEFORE_BLOCKS, rate)

    def _tap(self, port: Any, length: int, count: int, rate: float) -> SnapshotSink:
        """A sink that gets a few blocks of samples: about ``count`` of a file, ten a second of a stream."""
        every = int(rate * (0.1 if self.total is None else self.total / self.sample_rate / count))
        if self.total is not None and every < length:  # of a short file shorter blocks
            length = max(16, min(length, int(self.total / self.sample_rate * rate / 8)))
        sink = SnapshotSink(length, count)
        keep = blocks.keep_m_in_n(gr.sizeof_gr_complex, length, max(length, every), 0)
        self.top.connect(port, keep, blocks.stream_to_vector(gr.sizeof_gr_complex, length), sink)
        return sink

    def run(self, on_progress: Callable[[Progress], None]) -> str:
        """Run to the end; says what ended it, in words. Files are closed afterwards.

        Raises:
            OSError: reading or writing failed.
            ValueError: the device delivered nothing, or nothing that is finite.
        """
        begin = time.monotonic()
        with signals_caught() as interrupted:
            self.top.start()
            waiter = threading.Thread(target=self.top.wait, daemon=True)
            waiter.start()
            ended = self._watch(waiter, interrupted, on_progress, begin)
            if waiter.is_alive():
                self.top.stop()
                waiter.join(_STOP_SECONDS)
                self.stuck = waiter.is_alive()
        self.elapsed = time.monotonic() - begin
        self.llr_hash, self.symbol_hash = self.llrs.close(), self.symbols.close()
        on_progress(self._progress(begin, final=True))
        if self.frames is not None:
            self.frames.close()
        for error in (self.source.error(), self.llrs.error, self.symbols.error):
            if error is not None:
                raise error
        if self.source.produced() == 0:
            raise ValueError(f"{self.settings.source} delivered no sample")
        if self.source.replaced() == self.source.produced():
            raise ValueError(f"{self.settings.source} delivered no finite sample: every one is NaN or infinite")
        return ended

    def _watch(
        self,
        waiter: threading.Thread,
        interrupted: threading.Event,
        on_progress: Callable[[Progress], None],
        begin: float,
    ) -> str:
        last, since = -1, begin
        while waiter.is_alive():
            waiter.join(_POLL_SECONDS)
            on_progress(self._progress(begin))
            if interrupted.is_set():
                return "interrupted"
            now, state = time.monotonic(), self.source.produced() + self.symbols.count
            if state != last:
                last, since = state, now
            # A device may go on, or fall silent, behind samples enough: the chain has then nothing more to do.
            if self._enough() and now - since > _DRAIN_SECONDS:
                return "duration reached"
            if self.recording is None and self.settings.timeout and now - since > self.settings.timeout:
                return f"no samples for {self.settings.timeout:g} s"
        if self._enough():
            return "duration reached"
        return "end of file" if self.recording else "end of stream"

    def _enough(self) -> bool:
        """Whether all samples that ``duration`` asks for have come."""
        return self.settings.duration is not None and self.total is not None and self.source.produced() >= self.total

    def _progress(self, begin: float, final: bool = False) -> Progress:
        samples = self.source.produced()
        samples = samples if self.total is None else min(samples, self.total)
        frames = [] if self.frames is None else self.frames.poll(self.llrs.flushed(), final)
        elapsed = time.monotonic() - begin
        return Progress(samples, self.total, self.symbols.count, elapsed, dict(self.status.latest), frames)


@contextmanager
def signals_caught() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event; a second one has its usual effect."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        event.set()
        signal.signal(number, previous[number])

    for number in previous:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
