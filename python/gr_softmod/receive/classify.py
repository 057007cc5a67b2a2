# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod receive --classify-only``: which modulation a recording or a live stream has, line by line.

iq_source -> modulation_classifier_c -> messages -> lines
    `------> windows -> signal-to-noise ratio ------'
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pmt
from gnuradio import blocks, gr

from gr_softmod.bindings.softmod_python import modulation_classifier_c
from gr_softmod.blocks.iq_source import iq_source
from gr_softmod.receive.console import drivers_silenced
from gr_softmod.receive.job import signals_caught
from gr_softmod.receive.snr import SnrSink

#: Frames of a device that may wait before some are skipped.
LIVE_BACKLOG = 1024
_POLL_SECONDS = 0.1
_STOP_SECONDS = 3.0
_DRAIN_SECONDS = 1.0


@dataclass(frozen=True)
class ClassifySettings:
    """What to classify and with which model.

    Args:
        source, sample_rate, datatype, frequency, gain, truncated: as those of ``iq_source``.
        model: path of a ModelFile.
        average: frames whose probabilities make a line.
        duration: stop after this many seconds of samples; None: at the end.
        timeout: a device that delivers nothing for this many seconds is over; 0: wait for ever.
    """

    source: str
    model: str | Path
    average: int = 16
    sample_rate: float | None = None
    datatype: str | None = None
    frequency: float | None = None
    gain: float | None = None
    truncated: bool = False
    duration: float | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if self.average < 1:
            raise ValueError(f"the average is over {self.average} frames; it must be at least 1")
        if self.duration is not None and not self.duration > 0:
            raise ValueError(f"the duration is {self.duration:g} s; it must be positive")
        if not self.timeout >= 0:
            raise ValueError(f"the timeout is {self.timeout:g} s; it must be 0 or more")


class _Reports(gr.basic_block):
    """Keeps the classifier's messages until they are fetched."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, "reports", [], [])
        self.waiting: deque[dict[str, Any]] = deque()
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.receive)

    def receive(self, message: Any) -> None:
        self.waiting.append(pmt.to_python(message))


def classify(settings: ClassifySettings, on_line: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Classify a source; ``on_line`` gets a dictionary for every ``average`` frames.

    Its keys: time_s (from the first sample), class, probability, probabilities (by class), snr_db (None where it is not
    known), power_db, sample_index, and rx_freq, rx_time where the source tells them.

    Returns:
        The counts of ``modulation_classifier_c``, ``seconds`` of signal, what ``ended`` it, and whether the source is
        ``stuck`` and the process has to be ended by ``os._exit``.
    Raises:
        OSError: a file cannot be read.
        ValueError: the model, the source or a parameter is refused, or the source delivered nothing.
    """
    source: Any = iq_source(
        settings.source,
        sample_rate=settings.sample_rate,
        datatype=settings.datatype,
        frequency=settings.frequency,
        gain=settings.gain,
        truncated=settings.truncated,
    )
    rate = source.sample_rate
    live = source.recording is None
    block = modulation_classifier_c(
        os.fspath(settings.model),
        smoothing=settings.average,
        report_period=settings.average,
        live_backlog=LIVE_BACKLOG if live else 0,
        sample_rate=rate,
    )
    snr = SnrSink(max(settings.average * block.frame_length(), 1024))
    reports = _Reports()
    top = gr.top_block("softmod receive --classify-only")
    taken: Any = source
    enough = None if settings.duration is None else max(1, round(settings.duration * rate))
    if enough is not None:
        taken = blocks.head(gr.sizeof_gr_complex, enough)
        top.connect(source, taken)
    top.connect(taken, block)
    top.connect(taken, blocks.stream_to_vector(gr.sizeof_gr_complex, snr.window), snr)
    top.msg_connect(block, "classification", reports, "in")

    def emit(everything: bool) -> None:
        while reports.waiting:
            end = reports.waiting[0]["sample_index"] + reports.waiting[0]["frame_length"]
            if not everything and snr.windows < end // snr.window:
                return
            report = reports.waiting.popleft()
            if live and settings.frequency is not None:  # not every device tags its samples
                report.setdefault("rx_freq", settings.frequency)
            on_line(_line(report, rate, snr.before(end)))

    with signals_caught() as interrupted:
        top.start()
        waiter = threading.Thread(target=top.wait, daemon=True)
        waiter.start()
        ended, last, since = "", -1, time.monotonic()
        while waiter.is_alive() and not ended:
            waiter.join(_POLL_SECONDS)
            emit(False)
            if source.produced() != last:
                last, since = source.produced(), time.monotonic()
            if enough is not None and block.counts()["samples"] >= enough:
                ended = "duration reached"
                waiter.join(_DRAIN_SECONDS)  # a device may go on, or fall silent
            elif interrupted.is_set():
                ended = "interrupted"
            elif live and settings.timeout and time.monotonic() - since > settings.timeout:
                ended = f"no samples for {settings.timeout:g} s"
        if waiter.is_alive():
            top.stop()
            waiter.join(_STOP_SECONDS)
    emit(True)
    if (error := source.error()) is not None:
        raise error
    if source.produced() == 0:
        raise ValueError(f"{settings.source} delivered no sample")
    counts = block.counts()
    return counts | {
        "seconds": counts["samples"] / rate,
        "ended": ended or ("end of stream" if live else "end of file"),
        "stuck": waiter.is_alive(),
    }


def _line(report: dict[str, Any], rate: float, snr: float | None) -> dict[str, Any]:
    probabilities = zip(report["class_names"], map(float, report["probabilities"]), strict=True)
    line = {
        "time_s": round(report["sample_index"] / rate, 6),
        "class": report["class"],
        "probability": round(report["probability"], 4),
        "snr_db": None if snr is None else round(snr, 1),
        "power_db": round(report["power_db"], 1),
        "sample_index": report["sample_index"],
        "probabilities": {name: round(value, 4) for name, value in probabilities},
    }
    if "rx_freq" in report:
        line["rx_freq"] = report["rx_freq"]
    if "rx_time" in report:
        seconds, fraction = report["rx_time"]
        line["rx_time"] = [seconds, fraction]
    return line


def table_line(line: dict[str, Any]) -> str:
    """A line for people."""
    snr = "      -   " if line["snr_db"] is None else f"{line['snr_db']:7.1f} dB"
    return f"{line['time_s']:12.3f} s  {line['class']:<12}{line['probability']:6.0%}  {snr}"


def run(settings: ClassifySettings, as_json: bool, debug: bool = False) -> None:
    """Print a line for every ``average`` frames on stdout, as a table or as JSON; at last what became of the frames.

    Raises:
        OSError, ValueError: as :func:`classify`.
    """
    shown = os.fdopen(os.dup(1), "w")
    with shown, drivers_silenced(not debug) as stderr:

        def show(line: dict[str, Any]) -> None:
            print(json.dumps(line) if as_json else table_line(line), file=shown, flush=True)

        if not as_json:
            print(f"{'time':>12}    {'class':<12}{'sure':>6}  {'SNR':>7}", file=shown, flush=True)
        try:
            result = classify(settings, show)
        except BrokenPipeError:  # what reads the lines has enough
            os._exit(0)
        counts = ", ".join(f"{result[key]} {key}" for key in ("classified", "squelched", "invalid", "skipped"))
        print(
            f"{result['seconds']:.3f} s of signal, frames: {counts}; ended: {result['ended']}", file=stderr, flush=True
        )
    if result["stuck"]:
        sys.stdout.flush()
        os._exit(0)
