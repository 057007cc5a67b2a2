# SPDX-License-Identifier: GPL-3.0-or-later
"""The outside of a ModelFile: a safetensors file with one document in its metadata, read with suspicion.

Format: github.com/huggingface/safetensors, "Format": 8 bytes of header length, a JSON header of names with dtype, shape
and offsets, then the tensors' bytes. Nothing is allocated or sliced before its size is checked. Also :func:`pack_bits`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

MAX_HEADER = 1 << 20
MAX_FILE = 64 << 20
MAX_TENSOR = 16 << 20
MAX_DIMENSION = 65_536
MAX_DEPTH = 16
NAME = re.compile(r"[a-z0-9_.]{1,64}")
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I8": np.dtype("i1"), "U8": np.dtype("u1")}
_KEY = "gr_softmod"


class Fault(ValueError):
    """What is wrong with a model: the rest of a sentence that begins with the file's name."""


# ---- JSON that cannot surprise


def parse_json(text: str | bytes, what: str) -> Any:
    """JSON with no key twice, no NaN, no number out of range and at most ``MAX_DEPTH`` levels.

    Raises:
        Fault: it is not.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            twice = next(key for i, (key, _) in enumerate(items) if key in [k for k, _ in items[:i]])
            raise Fault(f"{what} has the key {twice[:64]!r} twice")
        return result

    def constant(name: str) -> NoReturn:
        raise Fault(f"{what} holds {name}, which is no JSON number")

    def real(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise Fault(f"{what} holds the number {digits[:32]}, which is out of range")
        return value

    def integer(digits: str) -> int:
        if len(digits) > 18:
            raise Fault(f"{what} holds the number {digits[:32]}, which is out of range")
        return int(digits)

    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            object_pairs_hook=pairs, parse_constant=constant, parse_float=real, parse_int=integer,
        )  # fmt: skip
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise Fault(f"{what} is not JSON") from None
    except RecursionError:
        raise Fault(f"{what} has more than {MAX_DEPTH} levels") from None
    _check_depth(value, what)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Fault(f"{what} holds half a character (a lone surrogate)") from None
    return value


def _check_depth(value: Any, what: str, depth: int = 1) -> None:
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        raise Fault(f"{what} has more than {MAX_DEPTH} levels")
    for item in value.values() if isinstance(value, dict) else value:
        _check_depth(item, what, depth + 1)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# ---- the file


def parse(data: bytes) -> tuple[str, dict[str, NDArray[Any]]]:
    """The document and the tensors of a whole file.

    Returns:
        The document as it stands, and read-only arrays over ``data``.
    Raises:
        Fault: anything that is not as specified.
    """
    if len(data) > MAX_FILE:
        raise Fault(f"is longer than {MAX_FILE} bytes")
    if len(data) < 8:
        raise Fault("is shorter than 8 bytes")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise Fault(f"has a header of {length} bytes; at most {MAX_HEADER} are allowed")
    if 8 + length > len(data):
        raise Fault(f"ends within its header ({length} bytes)")
    if data[8:9] != b"{":
        raise Fault("has a header that does not begin with '{'")
    header = parse_json(data[8 : 8 + length], "the header")  # an object, for it begins with '{'
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {_KEY} or not isinstance(metadata[_KEY], str):
        raise Fault(f"is no model of gr-softmod: its metadata must hold the one string {_KEY!r}")
    return metadata[_KEY], _tensors(header, memoryview(data)[8 + length :])


def _tensors(header: dict[str, Any], body: memoryview) -> dict[str, NDArray[Any]]:
    places: list[tuple[int, int, str]] = []
    tensors: dict[str, NDArray[Any]] = {}
    for name, entry in header.items():
        if not NAME.fullmatch(name):
            raise Fault(f"has a tensor with the name {name[:80]!r}; names are 1 to 64 of a-z, 0-9, '_' and '.'")
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise Fault(f"tensor {name!r} must have exactly dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise Fault(f"tensor {name!r} has the dtype {str(dtype)[:32]!r}; allowed are {', '.join(_DTYPES)}")
        if not isinstance(shape, list) or not 1 <= len(shape) <= 3 or not all(is_integer(n) for n in shape):
            raise Fault(f"tensor {name!r} has no shape of 1 to 3 integers")
        # A packed tensor has one dimension, which may be as long as a tensor may be.
        limit = MAX_TENSOR if len(shape) == 1 else MAX_DIMENSION
        if not all(1 <= n <= limit for n in shape) or math.prod(shape) > MAX_TENSOR:
            raise Fault(f"tensor {name!r} has the shape {shape}, which is out of bounds")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(is_integer(n) for n in offsets):
            raise Fault(f"tensor {name!r} has no data_offsets of two integers")
        begin, end = offsets
        if not 0 <= begin < end <= len(body):
            raise Fault(f"tensor {name!r} lies at {begin} to {end}, outside the {len(body)} bytes of data")
        if end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
            raise Fault(f"tensor {name!r} of {shape} {dtype} lies in {end - begin} bytes")
        places.append((begin, end, name))
        tensors[name] = np.frombuffer(body[begin:end], _DTYPES[dtype]).reshape(shape)
    at = 0
    for begin, end, name in sorted(places):
        if begin != at:
            raise Fault(
                f"tensor {name!r} begins at {begin}, {'before' if begin < at else 'after'} {at}, where it should"
            )
        at = end
    if at != len(body):
        raise Fault(f"has {len(body) - at} bytes behind its last tensor")
    return tensors


def serialise(document: str, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The inverse of :func:`parse`: wide tensors first, so that each is aligned."""
    codes = {dtype: code for code, dtype in _DTYPES.items()}
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": {_KEY: document}}
    at = 0
    for name in names:
        array = tensors[name]
        header[name] = {
            "dtype": codes[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER or 8 + len(text) + at > MAX_FILE:
        raise Fault(f"would be {8 + len(text) + at} bytes with a header of {len(text)}; that is too large")
    return b"".join([len(text).to_bytes(8, "little"), text, *(tensors[name].tobytes() for name in names)])


# ---- weights of 2 to 7 bits


def packed_length(count: int, bits: int) -> int:
    """Bytes of ``count`` values of ``bits`` bits."""
    return -(-count * bits // 8)


def pack_bits(values: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Two's complement of ``bits`` bits each, in C order, the first value in the lowest bits of the first byte."""
    low_first = (values.reshape(-1, 1) >> np.arange(bits, dtype=np.int8)) & 1
    return np.packbits(low_first.astype(np.uint8).ravel(), bitorder="little")


def unpack_bits(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """Inverse of :func:`pack_bits`.

    Raises:
        Fault: an unused bit of the last byte is set.
    """
    stream = np.unpackbits(packed, bitorder="little")
    if stream[count * bits :].any():
        raise Fault("unused bits are set")
    low_first = stream[: count * bits].reshape(count, bits)
    weights = (1 << np.arange(bits, dtype=np.int16)).astype(np.int16)
    weights[-1] *= -1
    return (low_first @ weights).astype(np.int8)
