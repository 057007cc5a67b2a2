# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickles of numpy arrays, read without running anything that they name.

A pickle is a program that may call whatever it can import. Here its imports do not reach numpy: four names are
answered by stand-ins that take an array's type, shape and bytes and check them, and every other name is refused.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_TYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def load_arrays(path: Path) -> dict[Any, NDArray]:
    """The dictionary of arrays that a file holds; strings of Python 2 are read as Latin-1.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, asks for anything but plain arrays of numbers, or is no dictionary of such.
    """
    with path.open("rb") as file:
        try:
            _check_numbers(file, path.stat().st_size)
            content = _ArrayUnpickler(file, encoding="latin1").load()
        except OSError:
            raise
        except Exception as error:  # a damaged pickle raises nearly anything
            raise ValueError(
                f"{path.name} cannot be read as a pickle of arrays: {error or type(error).__name__}"
            ) from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path.name} holds a {type(content).__name__}; it must be a dictionary of arrays")
    arrays = {}
    for key, value in content.items():
        if not isinstance(value, _Array) or value.array is None:
            raise ValueError(f"{path.name}, record {key}: it is not an array of numbers")
        arrays[key] = value.array
    return arrays


def _check_numbers(file: BinaryIO, size: int) -> None:
    """Refuse a pickle that numbers more things than it can hold: the table of them is made as long as it says."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > size:
            raise pickle.UnpicklingError(f"it numbers {argument} things")
    file.seek(0)


class _Dtype:
    """What a pickle says about a type."""

    __slots__ = ("dtype",)

    def __init__(self, name: object) -> None:
        if not isinstance(name, str) or name not in _TYPES:
            raise pickle.UnpicklingError(f"an array of type {name!r} is not one of plain numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subtype, names, fields, ...): the byte order is all a plain number has.
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("the type of an array is damaged")
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records is not one of plain numbers")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """What a pickle says about an array."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array is damaged")
        _, shape, kind, fortran, data = state
        if isinstance(data, str):  # bytes of Python 2
            data = data.encode("latin1")
        good_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not good_shape or not isinstance(kind, _Dtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array is damaged")
        if math.prod(shape) * kind.dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"an array of shape {shape} has {len(data)} bytes of {kind.dtype}")
        self.array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran in (True, 1) else "C")


# A pickle may also set attributes of what it is given, so what it is given has none: instances without a dictionary.


class _Name:
    """In place of a class that is only named as an argument; nothing is ever made of it."""

    __slots__ = ()


class _Reconstruct:
    """In place of numpy's: what kind of array is asked for does not matter, an empty stand-in is filled later."""

    __slots__ = ()

    def __call__(self, *_: object) -> _Array:
        return _Array()


class _MakeDtype:
    __slots__ = ()

    def __call__(self, name: object, *_: object) -> _Dtype:
        return _Dtype(name)


class _Encode:
    """In place of ``codecs.encode``, by which pickles of protocol 2 carry bytes."""

    __slots__ = ()

    def __call__(self, text: object, encoding: object = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("bytes are written in an unknown way")
        return text.encode("latin1")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy", "dtype"): _MakeDtype(),
    ("numpy", "ndarray"): _Name(),
    ("_codecs", "encode"): _Encode(),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        stand_in = _STAND_INS.get((module.replace("numpy._core", "numpy.core"), name))
        if stand_in is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which data has no need of")
        return stand_in
