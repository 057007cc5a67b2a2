# SPDX-License-Identifier: GPL-3.0-or-later
"""The ModelFile of kind "demapper": a neural demapper, and the points it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.model_file.checks import check_keys, tensor_of
from gr_softmod.model_file.container import MAX_FILE, Fault, is_integer, parse_json, serialise
from gr_softmod.model_file.model import FORMAT, HASH, ModelFileError, canonical, digest, store
from gr_softmod.model_file.reading import open_document

MAX_WIDTH, MAX_LAYERS, MAX_BITS, MAX_PARITY = 4096, 16, 16, 4096
_KEYS = (
    "bits_per_symbol", "conventions", "format", "hash", "kind", "layers", "llr_unit", "name", "trained_on",
)  # fmt: skip
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DemapperLayer:
    """``y = W x + bias``, ``max(0, y)`` but for the last.

    With int8 weights ``y = (W q) scale + bias``, ``q = min(rint(x input_scale), 255)``.

    Attributes:
        weight: [outputs, inputs], float32 or int8.
        bias: float32 [outputs].
        scale, input_scale: float32 [outputs] and [1] with int8 weights, else None.
    """

    weight: NDArray[Any]
    bias: Floats
    scale: Floats | None = None
    input_scale: Floats | None = None

    @property
    def bits(self) -> int:
        return 8 if self.weight.dtype == np.int8 else 32

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        named = {"weight": self.weight, "bias": self.bias, "scale": self.scale, "input_scale": self.input_scale}
        return {f"{name}.{key}": np.ascontiguousarray(value) for key, value in named.items() if value is not None}

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows [n, inputs] to [n, outputs], in double precision."""
        weight = self.weight.astype(np.float64)
        if self.scale is None or self.input_scale is None:
            return rows @ weight.T + self.bias
        integers = np.minimum(np.rint(rows * np.float64(self.input_scale[0])), 255.0)
        return (integers @ weight.T) * self.scale + self.bias

    def margin(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far from the rounding of another integer each of the rows [n] is, in 0 to 0.5; 0.5 without integers."""
        if self.input_scale is None:
            return np.full(len(rows), 0.5)
        scaled = np.minimum(rows * np.float64(self.input_scale[0]), 255.0)
        return np.asarray(np.abs(scaled - np.floor(scaled) - 0.5).min(axis=1))


@dataclass(frozen=True, eq=False)
class DemapperParity:
    """What a demapper gives for some symbols, for those who run it to compare with.

    Attributes:
        symbols: float32 [P, 2], Re and Im.
        noise_var: float32 [P].
        llr: float32 [P, m].
    """

    symbols: Floats
    noise_var: Floats
    llr: Floats

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"parity.symbols": self.symbols, "parity.noise_var": self.noise_var, "parity.llr": self.llr}


@dataclass(frozen=True, eq=False)
class DemapperFile:
    """A trained demapper with all that is needed to run it. Specified in ``docs/model_file.md``.

    Attributes:
        name: one line for people.
        layers: the first takes Re y, Im y and -log10(noise_var); between them stands max(0, x).
        llr_unit: LLRs are the last layer's output times ``llr_unit / noise_var``; 0: as it is.
        points: what the transmitter sends, float32 [K, M, 2]: points by label for each of ``points_noise_var``.
        points_noise_var: float32 [K], ascending; the nearest in logarithm counts.
        trained_on: anything worth saying.
        parity: what it gives for some symbols; None: nothing is said.
    """

    name: str
    layers: tuple[DemapperLayer, ...]
    llr_unit: float
    points: Floats
    points_noise_var: Floats
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    parity: DemapperParity | None = None

    @property
    def bits_per_symbol(self) -> int:
        return len(self.layers[-1].bias)

    @property
    def hash(self) -> str:
        """SHA-256 of all of it, 64 hexadecimal digits."""
        return digest(canonical(self._document()), self._tensors())

    def constellation(self, noise_var: float = 1.0) -> Constellation:
        """The points that are sent at ``noise_var``."""
        nearest = int(np.argmin(np.abs(np.log(self.points_noise_var) - np.log(noise_var))))
        return Constellation(self.points[nearest].astype(np.float64) @ [1, 1j], name="trained")

    def with_parity(self, noise_var: ArrayLike = (0.01, 0.1, 1.0), count: int = 64) -> DemapperFile:
        """The same with ``count`` symbols and what it gives for them, at each of ``noise_var`` in turn.

        No activation that is rounded lies near the border between two integers, so that everybody rounds it alike.
        """
        rng = np.random.default_rng(0)
        y = rng.normal(scale=0.7, size=(64 * count, 2)).astype(np.float32)
        noise = np.resize(np.asarray(noise_var, np.float32), len(y))
        rows, margin = _inputs(y, noise), np.full(len(y), 0.5)
        for layer in self.layers:
            margin = np.minimum(margin, layer.margin(rows))
            rows = np.maximum(layer(rows), 0.0)
        best = np.sort(np.argsort(-margin, kind="stable")[:count])
        llr = self.demap(y[best].astype(np.float64) @ [1, 1j], noise[best]).reshape(count, -1)
        return replace(self, parity=DemapperParity(y[best], noise[best], llr.astype(np.float32)))

    def demap(self, symbols: ArrayLike, noise_var: float | ArrayLike) -> NDArray[np.float64]:
        """LLRs [n * m] of symbols [n], in double precision: what every implementation is to give."""
        y = np.asarray(symbols, np.complex128).ravel()
        noise = np.maximum(np.broadcast_to(np.asarray(noise_var, np.float64), y.shape), 1e-30)
        rows = _inputs(np.stack([y.real, y.imag], axis=1), noise)
        for layer in self.layers[:-1]:
            rows = np.maximum(layer(rows), 0.0)
        llr = self.layers[-1](rows)
        if self.llr_unit:
            llr = llr * (self.llr_unit / noise)[:, None]
        return llr.ravel()

    def to_bytes(self) -> bytes:
        """The file's content. Raises ModelFileError: anything that a reader would refuse."""
        try:
            tensors = self._tensors()
            self.check()
            text = canonical({**self._document(), "hash": self.hash})
            parse_json(text, "the document")
            if len(HASH.findall(text)) != 1:
                raise Fault("'trained_on' must not hold a hash of its own")
            return serialise(text, tensors)
        except Fault as fault:
            raise ModelFileError(f"the demapper {self.name!r} cannot be written: {fault}") from None

    def write(self, path: str | Path) -> None:
        """Write the file; one that is there is replaced as a whole. Raises ModelFileError as :meth:`to_bytes`."""
        store(self.to_bytes(), path)

    def check(self) -> None:
        """Raises Fault: anything that a reader would refuse."""
        if not isinstance(self.name, str) or not 1 <= len(self.name) <= 200 or not self.name.isprintable():
            raise Fault("has a name that is not one line of 1 to 200 printable characters")
        if isinstance(self.llr_unit, bool) or not isinstance(self.llr_unit, int | float):
            raise Fault("has an llr_unit that is no number")
        if not 0 <= self.llr_unit <= 1e30:
            raise Fault(f"has the llr_unit {self.llr_unit}; it must be positive and finite, or 0")
        if not isinstance(self.trained_on, Mapping):
            raise Fault("has a trained_on that is no JSON object")
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise Fault(f"has {len(self.layers)} layers; 1 to {MAX_LAYERS} are allowed")
        if not 1 <= self.bits_per_symbol <= MAX_BITS:
            raise Fault(f"has {self.bits_per_symbol} bits a symbol; 1 to {MAX_BITS} are allowed")
        if self.layers[0].bits == 8:
            raise Fault("has int8 weights in the first layer, which takes the samples")
        for name, array in self._tensors().items():
            if array.dtype == np.int8 and array.min() < -127:
                raise Fault(f"tensor {name!r} holds -128; weights lie in -127 .. 127")
            if array.dtype != np.int8 and not np.all(np.abs(array) <= 1e30):
                raise Fault(f"tensor {name!r} holds a value that is not finite or beyond 1e30")
            if name.endswith("input_scale") and array[0] <= 0:
                raise Fault(f"tensor {name!r} is not positive")
        if np.any(self.points_noise_var <= 0) or np.any(np.diff(self.points_noise_var) <= 0):
            raise Fault("tensor 'points.noise_var' does not ascend from a positive value")
        if self.parity is not None and np.any(self.parity.noise_var <= 0):
            raise Fault("tensor 'parity.noise_var' is not positive")
        try:
            for value in self.points_noise_var:
                self.constellation(float(value))
        except ValueError as error:
            raise Fault(f"has points that are no constellation: {error}") from None

    def _document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "conventions": CONVENTIONS_VERSION,
            "kind": "demapper",
            "name": self.name,
            "bits_per_symbol": self.bits_per_symbol,
            "layers": [{"outputs": len(layer.bias), "bits": layer.bits} for layer in self.layers],
            "llr_unit": self.llr_unit,
            "trained_on": dict(self.trained_on),
        }

    def _tensors(self) -> dict[str, NDArray[Any]]:
        tensors = {"points.value": self.points, "points.noise_var": self.points_noise_var}
        for i, layer in enumerate(self.layers):
            tensors |= layer.tensors(f"layer{i}")
        return tensors | (self.parity.tensors() if self.parity else {})


def _inputs(symbols: NDArray[Any], noise_var: NDArray[Any]) -> NDArray[np.float64]:
    """What the first layer takes of symbols [n, 2]: [n, 3]."""
    logarithm = np.log10(noise_var.astype(np.float64))
    return np.concatenate([symbols.astype(np.float64), -logarithm[:, None]], axis=1)


def read_demapper(source: str | Path | bytes) -> DemapperFile:
    """Read and check a file of kind "demapper", or the bytes of one.

    Raises:
        ModelFileError: it is refused; the sentence names the file and the fault.
        OSError: it cannot be opened.
    """
    try:
        if isinstance(source, bytes):
            return _from_bytes(source)
        with open(source, "rb") as file:
            return _from_bytes(file.read(MAX_FILE + 1))
    except Fault as fault:
        raise ModelFileError(f"{'model' if isinstance(source, bytes) else source}: {fault}") from None


def _from_bytes(data: bytes) -> DemapperFile:
    document, tensors = open_document(data, "demapper", _KEYS)
    m, entries = document["bits_per_symbol"], document["layers"]
    if not is_integer(m) or not 1 <= m <= MAX_BITS:
        raise Fault(f"has bits_per_symbol {str(m)[:32]}; 1 to {MAX_BITS} are allowed")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_LAYERS:
        raise Fault(f"has layers that are no list of 1 to {MAX_LAYERS}")
    layers: list[DemapperLayer] = []
    inputs = 3
    for i, entry in enumerate(entries):
        layers.append(_layer(tensors, i, entry, inputs))
        inputs = len(layers[-1].bias)
    if inputs != m:
        raise Fault(f"has {inputs} outputs of the last layer for {m} bits a symbol")
    noise_var = tensors.get("points.noise_var", np.empty(0, np.float32))
    noise_var = tensor_of(tensors, "points.noise_var", np.float32, (max(1, noise_var.size),))
    points = tensor_of(tensors, "points.value", np.float32, (len(noise_var), 1 << m, 2))
    model = DemapperFile(
        document["name"], tuple(layers), document["llr_unit"], points, noise_var, document["trained_on"],
        _parity(tensors, m),
    )  # fmt: skip
    if left := sorted(set(tensors) - set(model._tensors())):
        raise Fault(f"has the tensor {left[0]!r}, which nothing uses")
    model.check()
    return model


def _parity(tensors: Mapping[str, NDArray[Any]], m: int) -> DemapperParity | None:
    if "parity.noise_var" not in tensors:
        return None
    count = tensors["parity.noise_var"].size
    if not 1 <= count <= MAX_PARITY:
        raise Fault(f"has {count} symbols of parity; 1 to {MAX_PARITY} are allowed")
    noise_var = tensor_of(tensors, "parity.noise_var", np.float32, (count,))
    symbols = tensor_of(tensors, "parity.symbols", np.float32, (count, 2))
    return DemapperParity(symbols, noise_var, tensor_of(tensors, "parity.llr", np.float32, (count, m)))


def _layer(tensors: Mapping[str, NDArray[Any]], i: int, entry: Any, inputs: int) -> DemapperLayer:
    check_keys(entry, ("bits", "outputs"), f"layer {i}")
    outputs, bits = entry["outputs"], entry["bits"]
    if not is_integer(outputs) or not 1 <= outputs <= MAX_WIDTH:
        raise Fault(f"layer {i} has {str(outputs)[:32]} outputs; 1 to {MAX_WIDTH} are allowed")
    if not is_integer(bits) or bits not in (8, 32):
        raise Fault(f"layer {i} has weights of {str(bits)[:32]} bits; 8 and 32 are allowed")
    name = f"layer{i}"
    return DemapperLayer(
        tensor_of(tensors, f"{name}.weight", np.int8 if bits == 8 else np.float32, (outputs, inputs)),
        tensor_of(tensors, f"{name}.bias", np.float32, (outputs,)),
        tensor_of(tensors, f"{name}.scale", np.float32, (outputs,)) if bits == 8 else None,
        tensor_of(tensors, f"{name}.input_scale", np.float32, (1,)) if bits == 8 else None,
    )
