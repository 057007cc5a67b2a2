# SPDX-License-Identifier: GPL-3.0-or-later
"""The message format between taps, recorders, model servers and receivers (docs/wire.md).

A message is a ZeroMQ multipart message: a preamble, a JSON header, raw arrays. :func:`encode` and :func:`decode` hold
every message to the same rules, so what the one gives the other takes, and nothing else. Nothing that arrives is ever
run, and nothing is allocated for it but what the socket has received already.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import fields, replace
from math import prod
from typing import Any, NoReturn, TypeAlias

import crc32c
import numpy as np
from numpy.typing import NDArray

from gr_softmod.hooks.message import DTYPES, MOST_LABELS, check, refuse, show
from gr_softmod.hooks.message import Label as Label
from gr_softmod.hooks.message import Limits as Limits
from gr_softmod.hooks.message import Message as Message
from gr_softmod.hooks.message import WireError as WireError

#: Version of the format. A message of another version is refused.
SCHEMA = 1
#: First bytes of every message; the CRC-32C of the header (little-endian) follows.
MAGIC = b"SMOD"

Part: TypeAlias = bytes | memoryview

_PREAMBLE = struct.Struct("<4sI")
_LARGEST = 10**300  # a whole number of a real that fits one
_HEADER_KEYS = {"schema", *(entry.name for entry in fields(Message))}
_LIMITS = Limits()


def encode(message: Message, limits: Limits = _LIMITS) -> list[Part]:
    """The parts of a multipart message. Arrays are not copied when they are contiguous and little-endian.

    Raises:
        WireError: the message breaks a rule of the format.
    """
    arrays = {}
    for name, array in message.arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.name not in DTYPES:
            kind = getattr(array, "dtype", type(array).__name__)
            raise WireError(f"array {name!r} is {kind}; it must be an array of one of {', '.join(DTYPES)}")
        arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    message = replace(message, arrays=arrays)
    check(message, limits)
    parts: list[Part] = [array.data.cast("B") for array in arrays.values()]
    header = {
        "schema": SCHEMA,
        "kind": message.kind,
        "sequence": message.sequence,
        "sample_index": message.sample_index,
        "sample_rate": message.sample_rate,
        "frequency": message.frequency,
        "time": message.time,
        "model_hash": message.model_hash,
        "labels": [label.__dict__ for label in message.labels],
        "arrays": [
            {"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "crc32c": crc32c.crc32c(part)}
            for (name, array), part in zip(arrays.items(), parts, strict=True)
        ],
        "fields": dict(message.fields),
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > limits.header_bytes:
        raise WireError(f"the header has {len(text)} bytes; at most {limits.header_bytes} are allowed")
    return [_PREAMBLE.pack(MAGIC, crc32c.crc32c(text)), text, *parts]


def decode(parts: Sequence[Part], limits: Limits = _LIMITS) -> Message:
    """The message in the parts of a multipart message. Its arrays are read-only views of the parts.

    Raises:
        WireError: anything at all is wrong with it. Nothing else is ever raised, whatever the parts hold.
    """
    if len(parts) < 2 or len(parts) - 2 > limits.arrays:
        refuse(f"{len(parts)} parts; 2 to {2 + limits.arrays} are allowed")
    if len(parts[0]) != _PREAMBLE.size or bytes(parts[0][:4]) != MAGIC:
        refuse("the first part is not the preamble of a softmod message")
    if len(parts[1]) > limits.header_bytes:
        refuse(f"the header has {len(parts[1])} bytes; at most {limits.header_bytes} are allowed")
    text = bytes(parts[1])
    if crc32c.crc32c(text) != _PREAMBLE.unpack(bytes(parts[0]))[1]:
        refuse("the header's CRC-32C does not hold")
    header = _parse(text)
    if type(version := header.get("schema")) is not int or version != SCHEMA:
        refuse(f"schema version {show(version)}; this end speaks {SCHEMA}")
    if odd := header.keys() ^ _HEADER_KEYS:
        refuse(f"the header's entry {show(min(odd))} is {'missing' if min(odd) in _HEADER_KEYS else 'unknown'}")
    message = Message(
        kind=header["kind"],
        sequence=header["sequence"],
        sample_index=header["sample_index"],
        sample_rate=_real(header["sample_rate"]),
        frequency=_real(header["frequency"]),
        time=header["time"],
        model_hash=header["model_hash"],
        labels=tuple(_label(entry) for entry in _list(header["labels"], "labels", MOST_LABELS)),
        arrays=_arrays(_list(header["arrays"], "arrays", limits.arrays), parts[2:], limits),
        fields=header["fields"],
    )
    check(message, limits)
    return message


def _parse(text: bytes) -> dict[str, Any]:
    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        refuse(f"the header is not JSON: {show(str(error))}")
    if not isinstance(header, dict):
        refuse("the header is not a JSON object")
    return header


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice")
    return made


def _list(value: Any, what: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(entry, dict) for entry in value):
        refuse(f"{what} must be a list of at most {most} objects")
    return value


def _real(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) < _LARGEST else value


def _label(entry: dict[str, Any]) -> Label:
    if entry.keys() != {"key", "value", "source", "confidence"}:
        refuse(f"a label has the entries {show(sorted(entry))}; they are key, value, source and confidence")
    return Label(entry["key"], entry["value"], entry["source"], _real(entry["confidence"]))


def _arrays(entries: list[dict[str, Any]], parts: Sequence[Part], limits: Limits) -> dict[str, NDArray[Any]]:
    if len(entries) != len(parts):
        refuse(f"the header describes {len(entries)} arrays, {len(parts)} came")
    arrays: dict[str, NDArray[Any]] = {}
    for entry, part in zip(entries, parts, strict=True):
        if entry.keys() != {"name", "dtype", "shape", "crc32c"}:
            refuse(f"an array has the entries {show(sorted(entry))}; they are name, dtype, shape and crc32c")
        name, dtype, shape = entry["name"], entry["dtype"], entry["shape"]
        if not isinstance(name, str) or name in arrays:
            refuse(f"array name {show(name)} is no text or is there twice")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            refuse(f"array {show(name)} is of type {show(dtype)}; allowed are {', '.join(DTYPES)}")
        if (
            not isinstance(shape, list)
            or not 1 <= len(shape) <= 4
            or not all(type(size) is int and 1 <= size <= limits.part_bytes for size in shape)
        ):
            refuse(f"array {show(name)} has the shape {show(shape)}; it must be 1 to 4 positive numbers")
        itemsize = np.dtype(dtype).itemsize
        if len(part) > limits.part_bytes or prod(shape) * itemsize != len(part):
            refuse(f"array {show(name)} of {show(shape)} {dtype} came as {len(part)} bytes")
        if type(entry["crc32c"]) is not int or crc32c.crc32c(part) != entry["crc32c"]:
            refuse(f"the CRC-32C of array {show(name)} does not hold")
        arrays[name] = np.frombuffer(part, np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return arrays
