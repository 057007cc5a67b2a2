# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.training_tap``: labelled windows of a stream, for whoever trains on them, at no cost to the stream.

The C++ block ``window_tap`` takes samples and cuts windows; nothing in Python runs at sample rate. A thread of the tap
labels windows and gives them to consumers; when it or they are slow, windows are dropped and counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from math import isfinite
from threading import Event, Thread
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_softmod.bindings import softmod_python
from gr_softmod.blocks.window_requests import POLICIES, Requests
from gr_softmod.constellation import Constellation
from gr_softmod.hooks.identity import security_of
from gr_softmod.hooks.message import Message, WireError
from gr_softmod.hooks.stream import Outlet

#: Seconds between two reports of the counts.
_REPORT_EVERY = 1.0


class training_tap(gr.hier_block2):
    """Cuts windows out of a stream, labels them and sends them to consumers (``softmod capture``).

    Args:
        address: to listen at; port ``*`` is a free one. Only this machine without keys.
        length: samples of a window.
        policy: "every" (a window each ``period`` samples), "confidence" (where a classification's probability is below
            ``threshold``), "change" (where the class changes), "message" (on ``cut`` messages alone). ``cut`` and
            ``known_bits`` messages are served whatever the policy.
        period: samples from one window to the next, for "every".
        threshold: of the probability, for "confidence".
        label: class of everything, "" for none.
        sample_rate: in hertz, until an ``rx_rate`` tag says another.
        frequency: in hertz, until an ``rx_freq`` tag says another.
        constellation: of known bits, when the stream is symbols, "" for none.
        llrs_per_sample: of input 1; 0: there is no input 1.
        history: samples that a message can still ask for.
        queue: windows that wait for the tap's thread.
        key, allowed: key file of this end, and public keys of those who may connect (a file or a folder); see
            ``softmod keys``.
    Messages:
        in ``classification``, ``label``, ``cut``, ``known_bits``; out ``status``.
    Raises:
        ValueError: an argument is out of its range, or the address needs keys.
        OSError: the address or a key file cannot be used.
    """

    def __init__(
        self,
        address: str = "tcp://127.0.0.1:5560",
        length: int = 1024,
        policy: str = "every",
        period: int = 16384,
        threshold: float = 0.6,
        label: str = "",
        sample_rate: float = 1e6,
        frequency: float = 0.0,
        constellation: str = "",
        llrs_per_sample: int = 0,
        history: int = 262144,
        queue: int = 64,
        key: str = "",
        allowed: str = "",
    ) -> None:
        inputs = [gr.sizeof_gr_complex] + ([gr.sizeof_float * llrs_per_sample] if llrs_per_sample else [])
        gr.hier_block2.__init__(
            self, "training_tap", gr.io_signature.makev(len(inputs), len(inputs), inputs), gr.io_signature(0, 0, 0)
        )
        if policy not in POLICIES:
            raise ValueError(f"policy is {policy!r}; it must be one of {', '.join(POLICIES)}")
        if not (isfinite(sample_rate) and 0 < sample_rate <= 1e12):
            raise ValueError(f"sample_rate is {sample_rate:g}; it must be positive and at most 1e12")
        if not (isfinite(frequency) and abs(frequency) <= 1e12):
            raise ValueError(f"frequency is {frequency:g}; it must be within 1e12")
        if period < 1:
            raise ValueError(f"period is {period}; it must be at least 1 sample")
        self.cutter = softmod_python.window_tap(
            length, period if policy == "every" else 0, history, queue, llrs_per_sample
        )
        requests = Requests(
            self.cutter,
            policy,
            length,
            threshold,
            label,
            Constellation.from_name(constellation) if constellation else None,
        )
        outlet = Outlet(address, security_of(key, allowed))
        self.control = _Control(self.cutter, requests, outlet, sample_rate, frequency)
        self.connect(self, self.cutter)
        if llrs_per_sample:
            self.connect((self, 1), (self.cutter, 1))
        for port in ("classification", "label", "cut", "known_bits"):
            self.message_port_register_hier_in(port)
            self.msg_connect(self, port, self.control, port)
        self.message_port_register_hier_out("status")
        self.msg_connect(self.control, "status", self, "status")
        self.msg_connect(self.cutter, "status", self.control, "tap_status")

    def address(self) -> str:
        """Where consumers connect."""
        return self.control.outlet.address

    def counts(self) -> dict[str, int]:
        """Windows cut, messages sent, and windows dropped by reason."""
        return self.control.counts()

    def set_threshold(self, threshold: float) -> None:
        """Cut where the probability is below this, in [0, 1]."""
        self.control.requests.set_threshold(threshold)

    def threshold(self) -> float:
        """Cut where the probability is below this."""
        return self.control.requests.threshold

    def set_label(self, label: str) -> None:
        """Class of everything from now on, "" for none."""
        self.control.requests.set_label(label)

    def label(self) -> str:
        """Class of everything."""
        return self.control.requests.label

    def close(self) -> None:
        """Free the address; the flowgraph must have stopped."""
        self.control.outlet.close()


class _Control(gr.basic_block):
    """The tap's messages and its thread."""

    def __init__(self, cutter: Any, requests: Requests, outlet: Outlet, sample_rate: float, frequency: float) -> None:
        gr.basic_block.__init__(self, "training_tap", [], [])
        self.requests, self.outlet = requests, outlet
        self._cutter, self._sample_rate, self._frequency = cutter, sample_rate, frequency
        self._dropped: Counter[str] = Counter()
        self._status = pmt.intern("status")
        self._began = 0.0
        self._stop = Event()
        self._thread: Thread | None = None
        self.message_port_register_out(self._status)
        # The gateway finds a handler by its name: each is a method.
        for handler in (self.classification, self.label, self.cut, self.known_bits, self.tap_status):
            port = pmt.intern(handler.__name__)
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)

    def classification(self, message: Any) -> None:
        self._do("classification", self.requests.classification, message)

    def label(self, message: Any) -> None:
        self._do("label", self.requests.label_message, message)

    def cut(self, message: Any) -> None:
        self._do("cut", self.requests.cut, message)

    def known_bits(self, message: Any) -> None:
        self._do("known_bits", self.requests.known_bits, message)

    def tap_status(self, message: Any) -> None:
        self.message_port_pub(self._status, message)

    def _do(self, port: str, handler: Callable[[Any], None], message: Any) -> None:
        # An exception in a handler would silence the block for good.
        try:
            handler(message)
        except Exception as error:
            self.report("warning", f"{port} message ignored: {error}")

    def report(self, severity: str, reason: str, fields: dict[str, int] | None = None) -> None:
        getattr(gr.log, "warn" if severity == "warning" else severity)(f"training_tap: {reason}")
        message = pmt.to_pmt({"block": self.alias(), "severity": severity, "reason": reason, **(fields or {})})
        self.message_port_pub(self._status, message)

    def start(self) -> bool:
        self._began = time.time()
        self._stop.clear()
        self._thread = Thread(target=self._run, name="training_tap", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return True

    def counts(self) -> dict[str, int]:
        cut = self._cutter.counts()
        dropped = {name: cut[name] for name in ("queue_full", "too_late", "too_many_asked")}
        dropped |= dict(self._dropped) | dict(self.outlet.dropped)
        told = {f"dropped_{name}": count for name, count in sorted(dropped.items()) if count}
        return {"cut": cut["cut"], "sent": self.outlet.sent, "consumers": self.outlet.consumers, **told}

    def _run(self) -> None:
        told: dict[str, int] = {}
        next_report = time.monotonic() + _REPORT_EVERY
        while True:
            stopping = self._stop.is_set()  # looked at before the queue, so that nothing in it is left
            window = self._cutter.take(0 if stopping else 50)
            self.outlet.listen()
            if window is not None:
                self._send(window)
            elif stopping:
                break
            else:
                self._stop.wait(0.01)  # when the stream has ended, take() does not wait
            if time.monotonic() >= next_report:
                next_report = time.monotonic() + _REPORT_EVERY
                told = self._tell(told)
        self._tell(told)

    def _tell(self, told: dict[str, int]) -> dict[str, int]:
        counts = self.counts()
        if counts != told:
            lost = sum(count for name, count in counts.items() if name.startswith("dropped_"))
            before = sum(count for name, count in told.items() if name.startswith("dropped_"))
            reason = f"{counts['sent']} windows sent, {lost} dropped"
            self.report("warning" if lost > before else "info", reason, counts)
        return counts

    def _send(self, window: dict[str, Any]) -> None:
        try:
            self.outlet.send(self._message(window))
        except WireError as error:
            self._dropped["not_valid"] += 1
            gr.log.debug(f"training_tap: {error}")
        except Exception as error:
            self._dropped["error"] += 1
            gr.log.error(f"training_tap: {error}")

    def _message(self, window: dict[str, Any]) -> Message:
        first, iq = window["first"], window["iq"]
        request = self.requests.of(window["id"], first, len(iq))
        arrays: dict[str, Any] = {"iq": iq}
        if len(window["llr"]):
            arrays["llr"] = window["llr"]
        arrays |= request.arrays
        rate = window["rate"] if isfinite(window["rate"]) else self._sample_rate
        return Message(
            "window",
            window["sequence"],
            first,
            rate,
            window["frequency"] if isfinite(window["frequency"]) else self._frequency,
            self._time(window["time"], first, rate),
            request.model_hash,
            request.labels,
            arrays,
            {"policy": request.policy, "dropped": self._cutter.counts()["queue_full"], **request.fields},
        )

    def _time(self, known: tuple[int, int, float] | None, first: int, rate: float) -> str:
        """By the ``rx_time`` tag before it, or else by the clock when the flowgraph started."""
        at, seconds, fraction = known or (0, int(self._began), self._began % 1)
        return iso_time(seconds, fraction + (first - at) / rate)


def iso_time(seconds: int, more: float) -> str:
    """UTC of seconds since 1970, to the nanosecond."""
    nanoseconds = seconds * 10**9 + round(more * 1e9)
    whole = np.datetime64(nanoseconds // 10**9, "s")
    return f"{whole}.{nanoseconds % 10**9:09d}Z"
