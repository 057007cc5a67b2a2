# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message of the hooks is, and the rules that every one of them keeps (docs/wire.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Where labels may come from.
LABEL_SOURCES = ("parameter", "classifier", "message", "decoder")
#: Types of arrays, little-endian in the message.
DTYPES = ("complex64", "float32", "float64", "int8", "uint8", "int16", "int32", "int64")
#: Most labels of a message, and most characters of a text.
MOST_LABELS, MOST_TEXT = 64, 1024

Scalar: TypeAlias = str | int | float | bool | None

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")
_INT = 2**63


class WireError(ValueError):
    """A message that is not valid; its text is one sentence for the log and for the sender."""


@dataclass(frozen=True)
class Limits:
    """What a receiver takes at most. Sockets get ``part_bytes`` as their ZMQ_MAXMSGSIZE."""

    header_bytes: int = 1 << 16
    part_bytes: int = 1 << 26
    arrays: int = 8


@dataclass(frozen=True)
class Label:
    """Something known about the samples: ``key`` "modulation" and a class name, or another key and text."""

    key: str
    value: str
    source: str
    confidence: float | None = None


@dataclass(frozen=True)
class Message:
    """One message; docs/wire.md says what each kind carries.

    Attributes:
        kind: "window", "hello", "model", "command" or "reply".
        sequence: counts the messages of one sender; a gap is a loss.
        sample_index: of the window's first sample in the stream since the flowgraph started.
        sample_rate, frequency: in hertz.
        time: of that sample, ISO 8601 in UTC with up to nine digits of a second.
        model_hash: SHA-256, hexadecimal, of the model that ran or is sent.
        labels: what is known about the samples and where it came from.
        arrays: by name.
        fields: what else belongs to the kind.
    """

    kind: str
    sequence: int
    sample_index: int | None = None
    sample_rate: float | None = None
    frequency: float | None = None
    time: str | None = None
    model_hash: str | None = None
    labels: tuple[Label, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    fields: Mapping[str, Scalar] = field(default_factory=dict)

    def label(self, key: str = "modulation") -> Label | None:
        """The first label of that key."""
        return next((label for label in self.labels if label.key == key), None)


@dataclass(frozen=True)
class Kind:
    """Rules of a kind: arrays (all of one dimension) with their type, header entries that must be there, fields."""

    arrays: Mapping[str, str] = field(default_factory=dict)
    optional_arrays: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    fields: Mapping[str, type] = field(default_factory=dict)
    optional_fields: Mapping[str, type] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "window": Kind(
        arrays={"iq": "complex64"},
        optional_arrays={"llr": "float32", "symbols": "complex64", "bits": "uint8"},
        needs=("sample_index", "sample_rate", "time"),
        fields={"policy": str},
        optional_fields={"dropped": int, "constellation": str},
    ),
    "hello": Kind(fields={"role": str}, optional_fields={"target": str, "serial": int}),
    "model": Kind(
        arrays={"model": "uint8"},
        needs=("model_hash",),
        fields={"target": str, "serial": int},
        optional_fields={"signer": str, "signature": str},
    ),
    "command": Kind(fields={"command": str, "serial": int}, optional_fields={"signer": str, "signature": str}),
    "reply": Kind(fields={"accepted": bool, "reason": str, "about": int}),
}


def refuse(reason: str) -> NoReturn:
    """Raises WireError."""
    raise WireError(f"message refused: {reason}")


def show(value: Any) -> str:
    """A value of someone else, in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check(message: Message, limits: Limits) -> None:
    """Holds a message to the rules, whether it is sent or was received.

    Raises:
        WireError: it breaks one.
    """
    if not isinstance(message.kind, str) or message.kind not in KINDS:
        refuse(f"kind {show(message.kind)} is unknown; kinds are {', '.join(KINDS)}")
    kind = KINDS[message.kind]
    for name, value in (("sequence", message.sequence), ("sample_index", message.sample_index)):
        if not (type(value) is int and 0 <= value < _INT) and not (value is None and name != "sequence"):
            refuse(f"{name} is {show(value)}; it must be a whole number from 0")
    _check_real("sample_rate", message.sample_rate, above=0.0)
    _check_real("frequency", message.frequency)
    if message.time is not None:
        _check_time(message.time)
    if message.model_hash is not None and not _fits(message.model_hash, _HASH):
        refuse(f"model_hash is {show(message.model_hash)}; it must be 64 digits in lower-case hexadecimal")
    for name in kind.needs:
        if getattr(message, name) is None:
            refuse(f"a {message.kind} needs {name}")
    if len(message.labels) > MOST_LABELS:
        refuse(f"{len(message.labels)} labels; at most {MOST_LABELS} are allowed")
    for label in message.labels:
        if not _fits(label.key, _NAME):
            refuse(f"label key {show(label.key)} is not a name")
        _check_text(f"label {label.key}", label.value)
        if not isinstance(label.source, str) or label.source not in LABEL_SOURCES:
            refuse(f"label source {show(label.source)} is unknown; sources are {', '.join(LABEL_SOURCES)}")
        _check_real("confidence", label.confidence, above=None, most=1.0, least=0.0)
    _check_arrays(message, kind, limits)
    _check_fields(message.fields, kind)


def _fits(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check_real(name: str, value: Any, above: float | None = None, least: float = -1e12, most: float = 1e12) -> None:
    if value is None:
        return
    if type(value) not in (int, float) or not least <= value <= most:  # not so for NaN
        refuse(f"{name} is {show(value)}; it must be a finite number of at least {least:g} and at most {most:g}")
    if above is not None and value <= above:
        refuse(f"{name} is {show(value)}; it must be above {above:g}")


def _check_time(value: Any) -> None:
    if not _fits(value, _TIME):
        refuse(f"time {show(value)} is not as 2026-01-31T12:00:00.123456789Z")
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        refuse(f"time {show(value)} does not exist")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MOST_TEXT or any("\ud800" <= c <= "\udfff" for c in value):
        refuse(f"{name} is {show(value)}; it must be text of at most {MOST_TEXT} characters")


def _check_arrays(message: Message, kind: Kind, limits: Limits) -> None:
    allowed = {**kind.arrays, **kind.optional_arrays}
    if missing := kind.arrays.keys() - message.arrays.keys():
        refuse(f"a {message.kind} needs the array {min(missing)}")
    for name, array in message.arrays.items():
        if name not in allowed:
            refuse(f"a {message.kind} has no array {show(name)}")
        if array.dtype.name != allowed[name] or array.ndim != 1 or not 1 <= array.nbytes <= limits.part_bytes:
            refuse(f"array {name} is {array.dtype.name} {list(array.shape)}; it must be {allowed[name]} [N]")
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            refuse(f"array {name} has values that are not finite")
        if name == "bits" and array.max() > 1:
            refuse("array bits has values other than 0 and 1")


def _check_fields(fields: Any, kind: Kind) -> None:
    if not isinstance(fields, Mapping):
        refuse("fields must be an object")
    allowed = {**kind.fields, **kind.optional_fields}
    if missing := kind.fields.keys() - fields.keys():
        refuse(f"field {min(missing)} is missing")
    for name, value in fields.items():
        if name not in allowed:
            refuse(f"field {show(name)} is unknown")
        if type(value) is not allowed[name]:
            refuse(f"field {name} is {show(value)}; it must be of type {allowed[name].__name__}")
        if isinstance(value, str):
            _check_text(f"field {name}", value)
        elif type(value) is int and not 0 <= value < _INT:
            refuse(f"field {name} is {value}; it must be from 0 to 2^63 - 1")
