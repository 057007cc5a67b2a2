# SPDX-License-Identifier: GPL-3.0-or-later
"""The first look at a stream of which nothing is known: a finding for every window of it.

iq_source -> windows -> classifier, survey -> findings
    `-----> spool (of a device, whose samples do not come twice)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, gr
from gnuradio import filter as gr_filter
from gnuradio.filter import firdes
from numpy.typing import NDArray

from gr_softmod.bindings._kernels import Classifier
from gr_softmod.blocks.iq_source import iq_source
from gr_softmod.receive.job import SPECTRUM_BLOCKS, signals_caught
from gr_softmod.receive.survey import Finding, survey
from gr_softmod.receive.thinned import Thinned

#: Samples of a window, and windows looked at together where one has a signal without a symbol rate.
WINDOW, TOGETHER = 16384, 8
#: Windows that wait for the survey: a file waits for room, a device's windows are skipped.
_WAITING = 64
SPECTRUM_SAMPLES = 2048
_POLL_SECONDS = 0.05
_STOP_SECONDS = 3.0


class Windows(gr.sync_block):
    """Hands windows of a stream to another thread."""

    def __init__(self, live: bool) -> None:
        gr.sync_block.__init__(self, "windows", [(np.complex64, WINDOW)], None)
        self.waiting: deque[tuple[int, NDArray[np.complex64]]] = deque()
        self.seen = self.skipped = 0
        self._live = live
        self._room = threading.Condition()
        self._over = False

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        for window in input_items[0]:
            with self._room:
                while len(self.waiting) >= _WAITING and not self._live and not self._over:
                    self._room.wait(0.1)
                if len(self.waiting) < _WAITING:
                    self.waiting.append((self.seen, window.copy()))
                else:
                    self.skipped += 1
                self.seen += 1
        return len(input_items[0])

    def take(self) -> tuple[int, NDArray[np.complex64]]:
        with self._room:
            self._room.notify_all()
            return self.waiting.popleft()

    def end(self) -> None:
        """Wait for room no more."""
        with self._room:
            self._over = True
            self._room.notify_all()


def analytic(sample_rate: float) -> Any:
    """A filter that leaves of real samples the positive frequencies."""
    edge = sample_rate / 200
    return gr_filter.fir_filter_ccc(
        1, firdes.complex_band_pass(1.0, sample_rate, edge, sample_rate / 2 - edge, 2 * edge)
    )


class Watch:
    """Runs over a source once; afterwards ``findings`` has one for each window of it.

    Args:
        settings: of the job (``source``, ``model``, ``duration``, ...).
        spool: where a device's samples go.
    """

    def __init__(self, settings: Any, spool: Path) -> None:
        self.settings = settings
        self.findings: list[Finding] = []
        self.stuck = False
        self.source: Any = iq_source(
            settings.source,
            sample_rate=settings.sample_rate,
            datatype=settings.datatype,
            frequency=settings.frequency,
            gain=settings.gain,
            truncated=settings.truncated,
        )
        self.recording = self.source.recording
        self.sample_rate: float = self.source.sample_rate
        self.live = self.recording is None
        #: Samples of a recording.
        self.recorded = 0 if self.recording is None else self.recording.samples
        self.enough = None if settings.duration is None else max(1, round(settings.duration * self.sample_rate))
        self.windows = Windows(self.live)
        self.classifier = Classifier(str(settings.model))
        self._recent: deque[NDArray[np.complex64]] = deque(maxlen=TOGETHER)
        self.shown = Thinned(SPECTRUM_BLOCKS, (SPECTRUM_SAMPLES,), np.complex64)  # for the figure's spectrum
        self.top = gr.top_block("softmod receive: what is it?")
        taken: Any = self.source
        if self.enough is not None:
            taken = self._connect(taken, blocks.head(gr.sizeof_gr_complex, self.enough))
        if self.recording is not None and not self.recording.datatype.is_complex:
            taken = self._connect(taken, analytic(self.sample_rate))
        self.top.connect(taken, blocks.stream_to_vector(gr.sizeof_gr_complex, WINDOW), self.windows)
        self.samples = blocks.file_sink(gr.sizeof_gr_complex, str(spool)) if self.live else None
        if self.samples is not None:
            self.top.connect(taken, self.samples)

    def _connect(self, before: Any, block: Any) -> Any:
        self.top.connect(before, block)
        return block

    def run(self, on_finding: Callable[[int, Finding], None]) -> str:
        """Look at all of it; says what ended it.

        Raises:
            OSError, ValueError: the source failed, or delivered nothing.
        """
        with signals_caught() as interrupted:
            self.top.start()
            waiter = threading.Thread(target=self.top.wait, daemon=True)
            waiter.start()
            ended, last, since = "", -1, time.monotonic()
            while not ended and (waiter.is_alive() or self.windows.waiting):
                if not self._look(on_finding):
                    waiter.join(_POLL_SECONDS)
                if self.source.produced() != last:
                    last, since = self.source.produced(), time.monotonic()
                idle = time.monotonic() - since
                if interrupted.is_set():
                    ended = "interrupted"
                elif self.live and self.enough is not None and last >= self.enough and idle > 1:
                    ended = "duration reached"
                elif self.live and self.settings.timeout and idle > self.settings.timeout:
                    ended = f"no samples for {self.settings.timeout:g} s"
            self.windows.end()
            if waiter.is_alive():
                self.top.stop()
                waiter.join(_STOP_SECONDS)
                self.stuck = waiter.is_alive()
            while self.windows.waiting and not interrupted.is_set():
                self._look(on_finding)
        if self.samples is not None:
            self.samples.close()
        if (error := self.source.error()) is not None:
            raise error
        if self.source.produced() == 0:
            raise ValueError(f"{self.settings.source} delivered no sample")
        if not ended:
            reached = self.enough is not None and self.source.produced() >= self.enough
            ended = "duration reached" if reached else "end of stream" if self.live else "end of file"
        return ended

    def _look(self, on_finding: Callable[[int, Finding], None]) -> bool:
        """At the next window; False where there is none yet."""
        if not self.windows.waiting:
            return False
        number, samples = self.windows.take()
        self._recent.append(samples)
        self.shown.extend(samples.reshape(-1, SPECTRUM_SAMPLES)[:2])
        finding = survey(samples, self.sample_rate, self.classifier)
        if finding.bandwidth and not finding.symbol_rate and len(self._recent) == TOGETHER:
            longer = survey(np.concatenate(self._recent), self.sample_rate, self.classifier)
            finding = longer if longer.symbol_rate else finding
        while len(self.findings) < number:  # skipped ones
            self.findings.append(replace(finding, symbol_rate=0.0, confirmed=False, name=""))
        self.findings.append(finding)
        on_finding(number, finding)
        return True
