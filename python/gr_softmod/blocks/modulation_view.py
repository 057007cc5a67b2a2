# SPDX-License-Identifier: GPL-3.0-or-later
"""modulation_view: what a stream is, now and over time, in a window of Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr
from numpy.typing import NDArray

from gr_softmod.blocks.arguments import ConstellationArgument, constellation_points
from gr_softmod.constellation import Constellation

#: Reports between two looks; older ones are forgotten.
_REPORTS = 256
_CHANNEL, _CONSTELLATION, _STATUS = (pmt.intern(key) for key in ("channel", "constellation", "status"))


@dataclass(frozen=True)
class Report:
    """One classification: names and probabilities [C] of all classes, and the one that was named."""

    names: tuple[str, ...]
    probabilities: NDArray[np.float64]
    label: str
    probability: float


@dataclass(frozen=True)
class Snapshot:
    """What there is to see: reports since the last look, newest symbols [N] and LLRs [K], points [M] by label."""

    reports: tuple[Report, ...]
    symbols: NDArray[np.complex64]
    llrs: NDArray[np.float32]
    points: NDArray[np.complex128]


class modulation_view(gr.hier_block2):
    """Class probabilities over time, symbols coloured by decision and a histogram of LLRs, in a window of Qt.

    Streams are looked at ``rate`` times a second, not followed: in-tree C++ blocks keep the newest ``window`` items, so
    a flowgraph at full speed pays for a copy and nothing more. :meth:`widget` makes the window; until then nothing
    needs Qt.

    Args:
        constellation: for the decisions that colour the symbols; a name, a Constellation or points by label.
        symbols, llrs: whether there are such stream inputs (complex; float), in this order.
        window: symbols and LLRs that are shown, at least 16.
        channel: of the classifications that are shown; a report that names no channel is of every one.
        follow: the constellation is that of the class that is named, where its name says one.
        rate: looks a second, above 0 and at most 60.
        seconds: of time that the strip shows.
        title: beside the class.
    Messages:
        in ``classification`` (dictionaries of a classifier), ``constellation`` (a c32vector of points by label, or the
        pair of ``constellation`` and it) and ``pdu`` (symbols as c32vector, LLRs as f32vector); out ``status``.
    Raises:
        ValueError: an argument is out of its range, or the constellation cannot be decided symbol by symbol.
    """

    def __init__(
        self,
        constellation: ConstellationArgument = "qpsk",
        symbols: bool = True,
        llrs: bool = True,
        window: int = 1024,
        channel: int = 0,
        follow: bool = False,
        rate: float = 10.0,
        seconds: float = 30.0,
        title: str = "",
    ) -> None:
        streams = [gr.sizeof_gr_complex] * bool(symbols) + [gr.sizeof_float] * bool(llrs)
        gr.hier_block2.__init__(
            self,
            "modulation_view",
            gr.io_signature.makev(len(streams), len(streams), streams or [0]),
            gr.io_signature(0, 0, 0),
        )
        if window < 16:
            raise ValueError(f"window is {window}; it must be at least 16 items")
        if not 0 < rate <= 60:
            raise ValueError(f"rate is {rate:g}; it must be above 0 and at most 60 looks a second")
        if not 1 <= seconds <= 3600:
            raise ValueError(f"seconds is {seconds:g}; it must be 1 to 3600")
        self._rate, self._seconds, self._title = float(rate), float(seconds), title
        self._inbox = _Inbox(np.asarray(constellation_points(constellation)), channel, follow)
        self._probes: dict[str, Any] = {}
        if symbols:
            self._probes["symbols"] = blocks.probe_signal_vc(window)
        if llrs:
            self._probes["llrs"] = blocks.probe_signal_vf(window)
        for index, (probe, size) in enumerate(zip(self._probes.values(), streams, strict=True)):
            self.connect((self, index), blocks.stream_to_vector(size, window), probe)
        for port in ("classification", "constellation", "pdu"):
            self.message_port_register_hier_in(port)
            self.msg_connect(self, port, self._inbox, port)
        self.message_port_register_hier_out("status")
        self.msg_connect(self._inbox, "status", self, "status")

    def widget(self, parent: Any = None) -> Any:
        """A new QWidget that shows this block; call it on Qt's thread. Needs PyQt5."""
        from gr_softmod.blocks.modulation_panel import ModulationPanel

        return ModulationPanel(self.snapshot, self._rate, self._seconds, self._title, list(self._probes), parent)

    def snapshot(self) -> Snapshot:
        """What there is to see since the last call; any thread may call it."""
        seen = self._inbox.take()
        newest = {name: np.asarray(probe.level()) for name, probe in self._probes.items()}
        newest = {name: values for name, values in newest.items() if np.any(values)} | seen.vectors
        return Snapshot(
            seen.reports,
            np.asarray(newest.get("symbols", ()), np.complex64),
            np.asarray(newest.get("llrs", ()), np.float32),
            seen.points,
        )

    def set_constellation(self, constellation: ConstellationArgument) -> None:
        """For the decisions that colour the symbols. Raises ValueError: as at construction."""
        self._inbox.points = np.asarray(constellation_points(constellation))

    def constellation(self) -> list[complex]:
        """Points by label."""
        return list(self._inbox.points)

    def set_channel(self, channel: int) -> None:
        """Of the classifications that are shown."""
        self._inbox.channel = int(channel)

    def channel(self) -> int:
        """Of the classifications that are shown."""
        return self._inbox.channel

    def set_follow(self, follow: bool) -> None:
        """Whether the constellation is that of the class that is named."""
        self._inbox.follow = bool(follow)

    def follow(self) -> bool:
        """Whether the constellation is that of the class that is named."""
        return self._inbox.follow


@dataclass(frozen=True)
class _Seen:
    reports: tuple[Report, ...]
    vectors: dict[str, NDArray[Any]]
    points: NDArray[np.complex128]


class _Inbox(gr.basic_block):
    """Keeps the newest of what messages bring."""

    def __init__(self, points: NDArray[np.complex128], channel: int, follow: bool) -> None:
        gr.basic_block.__init__(self, "modulation_view", [], [])
        self.points, self.channel, self.follow = points, int(channel), bool(follow)
        self._reports: deque[Report] = deque(maxlen=_REPORTS)
        self._vectors: dict[str, NDArray[Any]] = {}
        self.message_port_register_out(_STATUS)
        for handler in (self.classification, self.constellation, self.pdu):  # found by their names
            port = pmt.intern(handler.__name__)
            self.message_port_register_in(port)
            self.set_msg_handler(port, handler)

    def take(self) -> _Seen:
        reports = [self._reports.popleft() for _ in range(len(self._reports))]
        return _Seen(tuple(reports), dict(self._vectors), self.points)

    def classification(self, message: Any) -> None:
        self._do("classification", self._classified, message)

    def constellation(self, message: Any) -> None:
        self._do("constellation", self._change_points, message)

    def pdu(self, message: Any) -> None:
        self._do("pdu", self._keep_vector, message)

    def _do(self, port: str, action: Callable[[Any], None], message: Any) -> None:
        try:
            action(message)
        except Exception as error:  # an exception that leaves here would silence the block
            reason = f"{port} message ignored: {error}"
            gr.log.warn(f"modulation_view: {reason}")
            told = {"block": self.alias(), "severity": "warning", "reason": reason}
            self.message_port_pub(_STATUS, pmt.to_pmt(told))

    def _classified(self, message: Any) -> None:
        if not pmt.is_dict(message):
            raise ValueError("it is no dictionary")
        channel = pmt.dict_ref(message, _CHANNEL, pmt.PMT_NIL)
        if pmt.is_integer(channel) and pmt.to_long(channel) != self.channel:
            return
        said = pmt.to_python(message)
        report = report_of(said)
        self._reports.append(report)
        if self.follow:
            followed = constellation_of_class(report.label)
            self.points = self.points if followed is None else followed

    def _change_points(self, message: Any) -> None:
        if pmt.is_pair(message) and pmt.eq(pmt.car(message), _CONSTELLATION):
            message = pmt.cdr(message)
        if not pmt.is_c32vector(message):
            raise ValueError("it is no c32vector of points by label")
        self.points = np.asarray(constellation_points(pmt.c32vector_elements(message)))

    def _keep_vector(self, message: Any) -> None:
        vector = pmt.cdr(message) if pmt.is_pair(message) else message
        if pmt.is_c32vector(vector):
            self._vectors["symbols"] = np.asarray(pmt.c32vector_elements(vector))
        elif pmt.is_f32vector(vector):
            self._vectors["llrs"] = np.asarray(pmt.f32vector_elements(vector))
        else:
            raise ValueError("it is neither symbols (c32vector) nor LLRs (f32vector)")


def report_of(said: Any) -> Report:
    """Of a classifier's dictionary. Raises ValueError: it says no classes, or probabilities that are none of them."""
    if not isinstance(said, dict) or not {"class", "probabilities", "class_names"} <= set(said):
        raise ValueError('it must be a dictionary with "class", "probabilities" and "class_names"')
    names, probabilities = tuple(map(str, said["class_names"])), np.asarray(said["probabilities"], np.float64)
    if probabilities.shape != (len(names),) or not names or not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise ValueError(f"probabilities of {len(names)} classes must be as many numbers from 0 to 1")
    if said["class"] not in names:
        raise ValueError(f"its class {said['class']!s:.40} is none of its class_names")
    return Report(names, probabilities, str(said["class"]), float(probabilities[names.index(said["class"])]))


def constellation_of_class(name: str) -> NDArray[np.complex128] | None:
    """Points of a class such as "16QAM"; None where it has none, or not symbol by symbol (FM, GMSK, OQPSK)."""
    try:
        return np.asarray(constellation_points(Constellation.from_name(name.lower())))
    except ValueError:
        return None
