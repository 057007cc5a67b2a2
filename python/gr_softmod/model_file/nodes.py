# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of a ModelFile: nodes with their attributes, the tensors that belong to them, what must fit together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.model_file.container import MAX_DIMENSION, NAME, Fault, is_integer

MAX_NODES = 256
MAX_ACTIVATION = 1 << 20
#: Below this an accumulator is exact in float32, whatever the order of its sum.
ACCUMULATOR_LIMIT = 1 << 24
#: Largest magnitude of a float32 in a file: times any accumulator it is still finite.
MAX_FLOAT = 1e30

Shape = tuple[int, ...]
Range = tuple[int, int]

#: Attributes of each operation, besides op, name and inputs.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "iq": ("output",),
    "features": ("output",),
    "conv": ("channels", "kernel", "stride", "padding", "groups", "bits", "output"),
    "dense": ("features", "bits", "output"),
    "add": ("output",),
    "max_pool": ("kernel", "stride"),
    "avg_pool": ("kernel", "stride", "output"),
    "global_avg_pool": ("output",),
    "global_max_pool": (),
    "concat": ("output",),
}
_INPUTS = {"iq": 0, "features": 0, "add": 2}
_RANGES = {(-(2 ** (b - 1) - 1), 2 ** (b - 1) - 1) for b in range(2, 9)} | {(0, 2**b - 1) for b in range(2, 9)}


@dataclass(frozen=True)
class ModelNode:
    """One operation on integers; ``docs/model_file.md`` says what each attribute means.

    ``output`` is the range (low, high) of the integers it gives, None for the logits and for operations that keep the
    range of their input.
    """

    op: str
    name: str
    inputs: tuple[str, ...] = ()
    channels: int = 0
    features: int = 0
    kernel: int = 1
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    bits: int = 8
    output: Range | None = None

    def to_dict(self) -> dict[str, Any]:
        result: dict[str, Any] = {"op": self.op, "name": self.name, "inputs": list(self.inputs)}
        for key in ATTRIBUTES[self.op]:
            value = getattr(self, key)
            if value is not None:
                result[key] = list(value) if isinstance(value, tuple) else value
        return result

    @classmethod
    def from_dict(cls, data: Any) -> ModelNode:
        """Raises Fault: a key that is missing, unknown, of another type or out of bounds."""
        if not isinstance(data, dict):
            raise Fault("has a node that is no JSON object")
        name, op = data.get("name"), data.get("op")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise Fault(f"has a node with the name {str(name)[:80]!r}; names are 1 to 64 of a-z, 0-9, '_' and '.'")
        if not isinstance(op, str) or op not in ATTRIBUTES:
            raise Fault(f"node {name!r} has the op {str(op)[:32]!r}; known: {', '.join(ATTRIBUTES)}")
        allowed = {"op", "name", "inputs", *ATTRIBUTES[op]}
        if unknown := sorted(set(data) - allowed):
            raise Fault(f"node {name!r} ({op}) has the unknown key {unknown[0][:64]!r}")
        optional = {"output"} if op == "dense" else set()
        if missing := sorted(allowed - optional - set(data)):
            raise Fault(f"node {name!r} ({op}) has no {missing[0]!r}")
        inputs = data["inputs"]
        if not isinstance(inputs, list) or not all(isinstance(i, str) for i in inputs):
            raise Fault(f"node {name!r} has inputs that are no list of names")
        wanted = _INPUTS.get(op, 1)
        if len(inputs) < 2 if op == "concat" else len(inputs) != wanted:
            raise Fault(f"node {name!r} ({op}) has {len(inputs)} inputs")
        values: dict[str, Any] = {"op": op, "name": name, "inputs": tuple(inputs)}
        for key in ATTRIBUTES[op]:
            if key in data:
                values[key] = _attribute(name, key, data[key])
        return cls(**values)


def _attribute(name: str, key: str, value: Any) -> Any:
    if key in ("output", "padding"):
        if not isinstance(value, list) or len(value) != 2 or not all(is_integer(v) for v in value):
            raise Fault(f"node {name!r} has {key} that is no list of two integers")
        pair = tuple(value)
        if key == "output" and pair not in _RANGES:
            raise Fault(
                f"node {name!r} has the output range {value}, which is no signed or unsigned one of 2 to 8 bits"
            )
        if key == "padding" and not 0 <= min(pair) <= max(pair) <= MAX_DIMENSION:
            raise Fault(f"node {name!r} has padding {value}; allowed are 0 to {MAX_DIMENSION}")
        return pair
    low, high = (2, 8) if key == "bits" else (1, MAX_DIMENSION)
    if not is_integer(value) or not low <= value <= high:
        raise Fault(f"node {name!r} has {key} {str(value)[:32]}; allowed are integers from {low} to {high}")
    return value


# ---- what the nodes give, and what they need


def check_topology(
    nodes: Sequence[ModelNode], frame_length: int, feature_count: int
) -> tuple[dict[str, Shape], dict[str, Range]]:
    """Shape and range of what every node gives, of one frame.

    Raises:
        Fault: an input that is no earlier node, shapes that do not fit, limits exceeded, a node that nothing reads.
    """
    if not 1 <= len(nodes) <= MAX_NODES:
        raise Fault(f"has {len(nodes)} nodes; allowed are 1 to {MAX_NODES}")
    shapes: dict[str, Shape] = {}
    ranges: dict[str, Range] = {}
    for node in nodes:
        if node.name in shapes:
            raise Fault(f"has two nodes with the name {node.name!r}")
        for name in node.inputs:
            if name not in shapes:
                raise Fault(f"node {node.name!r} reads {name[:64]!r}, which is no earlier node")
        if node.op in _INPUTS and not node.inputs and any(n.op == node.op for n in nodes if n is not node):
            raise Fault(f"has more than one {node.op!r} node")
        shape = _shape(node, [shapes[name] for name in node.inputs], frame_length, feature_count)
        if max(shape) > MAX_DIMENSION or math.prod(shape) > MAX_ACTIVATION:
            raise Fault(
                f"node {node.name!r} gives {list(shape)}, which is more than {MAX_ACTIVATION} values or too long"
            )
        if node.output is None and node is not nodes[-1] and "output" in ATTRIBUTES[node.op]:
            raise Fault(f"node {node.name!r} has no 'output', which only the last node may lack")
        shapes[node.name] = shape
        ranges[node.name] = node.output or (ranges[node.inputs[0]] if node.inputs else (0, 0))
    read = {name for node in nodes for name in node.inputs}
    if idle := [node.name for node in nodes[:-1] if node.name not in read]:
        raise Fault(f"node {idle[0]!r} is read by no other")
    last = nodes[-1]
    if last.op != "dense" or last.output is not None:
        raise Fault(f"ends with the node {last.name!r}, which is no dense one without 'output'")
    return shapes, ranges


def _shape(node: ModelNode, given: Sequence[Shape], frame_length: int, feature_count: int) -> Shape:
    if node.op == "iq":
        return (2, frame_length)
    if node.op == "features":
        if not feature_count:
            raise Fault(f"node {node.name!r} gives features, but the document's 'features' is null")
        return (feature_count,)
    if node.op == "dense":
        return (node.features,)
    if node.op == "concat":
        return (sum(math.prod(shape) for shape in given),)
    if node.op == "add":
        if given[0] != given[1]:
            raise Fault(f"node {node.name!r} adds {list(given[0])} and {list(given[1])}")
        return given[0]
    if len(given[0]) != 2:
        raise Fault(f"node {node.name!r} ({node.op}) reads {node.inputs[0]!r}, which has no time")
    channels, time = given[0]
    if node.op.startswith("global_"):
        return (channels,)
    if node.op == "conv":
        if channels % node.groups or node.channels % node.groups:
            raise Fault(f"node {node.name!r} has {node.groups} groups for {channels} inputs, {node.channels} outputs")
        time += sum(node.padding)
        channels = node.channels
    if time < node.kernel:
        raise Fault(f"node {node.name!r} has a kernel of {node.kernel} for only {time} samples")
    return (channels, (time - node.kernel) // node.stride + 1)


def weight_shape(node: ModelNode, given: Shape) -> Shape:
    """Shape of the weights of a ``conv`` or ``dense`` that reads ``given``."""
    if node.op == "conv":
        return (node.channels, given[0] // node.groups, node.kernel)
    return (node.features, math.prod(given))


def node_tensors(
    nodes: Sequence[ModelNode], shapes: Mapping[str, Shape]
) -> Iterator[tuple[ModelNode, str, str, Shape]]:
    """``(node, key, tensor's name, shape)`` of every tensor; keys: ``weight``, ``scale``, ``offset``, ``mean``."""
    for node in nodes:
        given = [shapes[name] for name in node.inputs]
        wanted: dict[str, Shape] = {}
        if node.op in ("conv", "dense"):
            weight = weight_shape(node, given[0])
            wanted = {"weight": weight, "scale": weight[:1], "offset": weight[:1]}
        elif node.op == "iq":
            wanted = {"scale": (1,)}
        elif node.op == "features":
            wanted = {"mean": shapes[node.name], "scale": shapes[node.name]}
        elif node.op in ("add", "concat"):
            wanted = {"scale": (len(given),)}
        elif node.op in ("avg_pool", "global_avg_pool"):
            wanted = {"scale": (1,), "offset": (1,)}
        for key, shape in wanted.items():
            yield node, key, f"{node.name}.{key}", shape


def check_values(node: ModelNode, key: str, array: NDArray[Any]) -> None:
    """Raises Fault: weights out of range, floats that are not finite or too large, scales that must be positive."""
    if key == "weight":
        high = 2 ** (node.bits - 1) - 1
        if array.min() < -high or array.max() > high:
            raise Fault(f"node {node.name!r} has weights outside {-high} to {high}, its {node.bits} bits")
        return
    if not np.all(np.abs(array) <= MAX_FLOAT):  # false for NaN too
        raise Fault(f"tensor '{node.name}.{key}' holds a value that is not finite or larger than {MAX_FLOAT}")
    if key == "scale" and node.op not in ("conv", "dense") and not np.all(array > 0):
        raise Fault(f"tensor '{node.name}.scale' holds a scale that is not positive")


def check_accumulator(node: ModelNode, weight: NDArray[np.int8], range_: Range) -> None:
    """Raises Fault: a sum of products could reach 2^24 (the sums of pools cannot: they have at most 65,536 terms)."""
    terms = np.abs(weight.astype(np.int16)).reshape(len(weight), -1).sum(1, dtype=np.int64)
    largest = int(terms.max()) * max(abs(range_[0]), abs(range_[1]))
    if largest >= ACCUMULATOR_LIMIT:
        raise Fault(f"node {node.name!r} could sum up to {largest}; accumulators must stay below 2^24")
