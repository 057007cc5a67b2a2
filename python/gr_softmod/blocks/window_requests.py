# SPDX-License-Identifier: GPL-3.0-or-later
"""What messages ask of a training tap: which windows to cut, and what is known about them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import pmt

from gr_softmod.constellation import Constellation
from gr_softmod.hooks.labelling import Classification, LabelBook
from gr_softmod.hooks.message import Label

_HASH = re.compile("[0-9a-f]{64}")
POLICIES = ("every", "confidence", "change", "message")
#: Windows asked for that have not come yet, at most; older ones were dropped on the way.
_MOST_PENDING = 4096


@dataclass(frozen=True)
class Request:
    """Why a window was cut, and what is known about it."""

    policy: str
    labels: tuple[Label, ...] = ()
    model_hash: str | None = None
    arrays: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


class Requests:
    """Turns messages into windows of a ``window_tap``. Thread-safe.

    Args:
        cutter: the window_tap.
        policy, length, threshold, label: as training_tap.
        constellation: of known bits; None: their symbols stay unknown and a sample is a bit.
    Raises:
        ValueError: threshold is not in [0, 1].
    """

    def __init__(
        self, cutter: Any, policy: str, length: int, threshold: float, label: str, constellation: Constellation | None
    ) -> None:
        self._cutter, self._policy, self._length = cutter, policy, length
        self._constellation = constellation
        self._book = LabelBook(label)
        self._lock = Lock()
        self._pending: dict[int, Request] = {}
        self._next_id = 1
        self.set_threshold(threshold)

    def set_threshold(self, threshold: float) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold is {threshold:g}; it must be from 0 to 1")
        self.threshold = threshold

    @property
    def label(self) -> str:
        return self._book.parameter

    def set_label(self, label: str) -> None:
        with self._lock:
            self._book.parameter = label

    def of(self, id_: int, first: int, length: int) -> Request:
        """The request that a window answers, with all labels that hold for it."""
        with self._lock:
            request = self._pending.pop(id_, Request("every"))
            labels, model_hash = self._book.labels(first, length)
        return Request(
            request.policy, request.labels + labels, request.model_hash or model_hash, request.arrays, request.fields
        )

    # -- message handlers: what they raise becomes a status message ----------------------------------------------------

    def classification(self, message: Any) -> None:
        """A dictionary: ``class``, ``probability``, ``sample_index``; optional ``frame_length``, ``model_hash``."""
        said = _dictionary(message)
        model_hash = said.get("model_hash")
        answer = Classification(
            _whole(said, "sample_index"),
            _whole(said, "frame_length") if "frame_length" in said else self._length,
            _text(said, "class"),
            _number(said, "probability", 0, 1),
            model_hash if isinstance(model_hash, str) and _HASH.fullmatch(model_hash) else None,
        )
        with self._lock:
            before = self._book.classified(answer)
        unsure = self._policy == "confidence" and answer.probability < self.threshold
        changed = self._policy == "change" and before is not None and before.name != answer.name
        if unsure or changed:
            self._ask(answer.first, self._length, Request(self._policy))

    def label_message(self, message: Any) -> None:
        """A class name (symbol), nil (none), or a dictionary of labels (text or numbers) and maybe ``sample_index``."""
        if pmt.is_null(message):
            said: dict[str, Any] = {}
        elif pmt.is_symbol(message):
            said = {"modulation": pmt.symbol_to_string(message)}
        else:
            said = dict(_dictionary(message))
        first = _whole(said, "sample_index") if "sample_index" in said else self._cutter.written()
        said.pop("sample_index", None)
        labels = []
        for key, value in said.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError(f"the label {key} is a {type(value).__name__}; it must be text or a number")
            labels.append(Label(key, value if isinstance(value, str) else f"{value:g}", "message"))
        with self._lock:
            self._book.say(first, tuple(labels))

    def cut(self, message: Any) -> None:
        """A dictionary with ``sample_index`` and, optionally, ``length``; anything else: the latest samples."""
        said = _dictionary(message) if pmt.is_dict(message) and not pmt.is_null(message) else {}
        length = _whole(said, "length") if "length" in said else self._length
        first = _whole(said, "sample_index") if "sample_index" in said else max(0, self._cutter.written() - length)
        self._ask(first, length, Request("message"))

    def known_bits(self, message: Any) -> None:
        """A dictionary: ``sample_index`` (of the first symbol), ``bits`` (u8vector), maybe ``constellation`` (name)."""
        said = _dictionary(message)
        bits = np.asarray(said.get("bits"), np.uint8)
        if bits.ndim != 1 or not bits.size or bits.max() > 1:
            raise ValueError("bits is not a vector of 0 and 1")
        constellation = self._constellation
        if "constellation" in said:
            constellation = Constellation.from_name(_text(said, "constellation"))
        if constellation is None:
            raise ValueError("it does not say its constellation, and the tap was given none")
        if bits.size % constellation.bits_per_symbol:
            raise ValueError(f"{bits.size} bits are no whole symbols of {constellation}")
        symbols = constellation.modulate(bits).astype(np.complex64)
        labels = (Label("modulation", constellation.name.upper(), "decoder", 1.0),)
        request = Request(
            "known_bits", labels, None, {"bits": bits, "symbols": symbols}, {"constellation": constellation.name}
        )
        self._ask(_whole(said, "sample_index"), len(symbols), request)

    def _ask(self, first: int, length: int, request: Request) -> None:
        with self._lock:
            id_, self._next_id = self._next_id, self._next_id + 1
            self._pending[id_] = request
            while len(self._pending) > _MOST_PENDING:
                del self._pending[next(iter(self._pending))]
        refused = self._cutter.ask(first, length, id_)
        if refused:
            with self._lock:
                self._pending.pop(id_, None)
            raise ValueError(f"no window of {length} samples from {first} on: {refused}")


def _dictionary(message: Any) -> dict[str, Any]:
    said = pmt.to_python(message) if pmt.is_dict(message) else None
    if not isinstance(said, dict) or not all(isinstance(key, str) for key in said):
        raise ValueError("it is not a dictionary")
    return said


def _whole(said: dict[str, Any], key: str) -> int:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError(f"{key} is {value!r}; it must be a whole number from 0")
    return value


def _number(said: dict[str, Any], key: str, least: float, most: float) -> float:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{key} is {value!r}; it must be a number from {least:g} to {most:g}")
    return float(value)


def _text(said: dict[str, Any], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise ValueError(f"{key} is {value!r}; it must be a name")
    return value
