# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of ``decode``: ``python tests/fuzz_wire.py -runs=1000000`` (needs atheris).

A message taken for valid must satisfy docs/wire.schema.json, an independent statement of the same rules, and must
encode to a message that decodes to the same.
"""

from __future__ import annotations

import inspect
import json
import struct
import sys
from pathlib import Path
from typing import Any

import crc32c
import jsonschema
import numpy as np

from gr_softmod.hooks import message, wire
from gr_softmod.hooks.wire import MAGIC, Message, WireError, decode, encode

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).resolve().parents[1] / "docs/wire.schema.json").read_text())
)


def preamble(header: bytes) -> bytes:
    return struct.pack("<4sI", MAGIC, crc32c.crc32c(header))


def sealed(header: Any, *arrays: bytes) -> list[bytes]:
    """A message with that header, whatever it is, whose CRCs hold."""
    if isinstance(header, dict) and isinstance(header.get("arrays"), list):
        for entry, array in zip(header["arrays"], arrays, strict=False):
            if isinstance(entry, dict):
                entry["crc32c"] = crc32c.crc32c(array)
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return [preamble(text), text, *arrays]


def same(a: Message, b: Message) -> bool:
    rest = [{**m.__dict__, "arrays": None} for m in (a, b)]
    return (
        rest[0] == rest[1]
        and a.arrays.keys() == b.arrays.keys()
        and all(np.array_equal(a.arrays[k], b.arrays[k]) and a.arrays[k].dtype == b.arrays[k].dtype for k in a.arrays)
    )


def accept_only_what_is_valid(parts: list[bytes]) -> bool:
    """Whether decode takes it; fails if it should not, or if it raises what it must not."""
    try:
        got = decode(parts)
    except WireError:
        return False
    SCHEMA.validate(json.loads(parts[1]))
    assert same(decode(encode(got)), got)
    return True


def one(data: bytes) -> None:
    accept_only_what_is_valid(data.split(b"\xff\xfe"))
    text, _, tail = data.partition(b"\xff")
    accept_only_what_is_valid([preamble(text), text])
    arrays = tail.split(b"\xff\xfe") if tail else []
    try:
        header = json.loads(text)
        parts = sealed(header, *arrays)
    except (ValueError, RecursionError):
        return
    accept_only_what_is_valid(parts)


if __name__ == "__main__":
    import atheris

    for module in (wire, message):
        for function in [value for value in vars(module).values() if inspect.isfunction(value)]:
            atheris.instrument_func(function)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
