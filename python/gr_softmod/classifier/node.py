# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation of a classifier's topology, and what is allowed of it. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

MAX_NODES = 256
MAX_DIMENSION = 65_536
MAX_ELEMENTS = 1 << 20
MIN_BITS, MAX_BITS = 2, 8

#: Operations and how many inputs each takes (0 stands for two or more).
OPS = {
    "iq": (), "features": (), "conv": (1,), "dense": (1,), "add": (2,), "max_pool": (1,), "avg_pool": (1,),
    "global_avg_pool": (1,), "global_max_pool": (1,), "concat": range(2, MAX_NODES),
}  # fmt: skip
#: Operations that have weights.
WEIGHTED = ("conv", "dense")
#: Operations whose result has the range of their input.
KEEP_RANGE = ("max_pool", "global_max_pool")
_NAME = re.compile(r"[a-z0-9_.]{1,64}")


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: one of :data:`OPS`.
        name: unique, of ``[a-z0-9_.]{1,64}``.
        inputs: names of earlier nodes; none for ``iq`` and ``features``.
        channels: outputs of a ``conv`` or ``dense``.
        kernel, stride, padding, groups: of ``conv`` (padding left and right); kernel and stride of the pools.
        activation: ``"relu"`` or ``"none"``, after the normalisation (``conv``, ``dense``, ``add``).
        norm: batch normalisation after a ``conv`` or ``dense``, which then has no bias; without it, it has one.
        dropout: share of the input set to 0 in training (``conv``, ``dense``).
        weight_bits, activation_bits: 2 to 8, or None for float; bits of the weights and of the node's result.
    """

    op: str
    name: str
    inputs: tuple[str, ...] = ()
    channels: int = 0
    kernel: int = 1
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    activation: str = "none"
    norm: bool = False
    dropout: float = 0.0
    weight_bits: int | None = None
    activation_bits: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "padding", tuple(self.padding))

    def to_dict(self) -> dict[str, Any]:
        """Everything that differs from its default, as JSON and YAML can hold it."""
        values = asdict(self)
        kept = {f.name: values[f.name] for f in fields(self) if f.name in ("op", "name") or values[f.name] != f.default}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Node:
        """Raises ValueError: an unknown or a missing key."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"node {data.get('name')!r} has the unknown key {unknown[0]!r}")
        if missing := {"op", "name"} - set(data):
            raise ValueError(f"node {dict(data)} has no {min(missing)!r}")
        return cls(**data)


def check_node(node: Node) -> None:
    if not isinstance(node.name, str) or not _NAME.fullmatch(node.name):
        raise ValueError(f"node name {node.name!r} must be 1 to 64 of a-z, 0-9, '_' and '.'")
    if node.op not in OPS:
        raise ValueError(f"node {node.name!r} has the op {node.op!r}; known: {', '.join(OPS)}")
    if len(node.inputs) not in (OPS[node.op] or (0,)):
        raise ValueError(f"node {node.name!r} ({node.op}) has {len(node.inputs)} inputs")
    if node.op in WEIGHTED and not 1 <= node.channels <= MAX_DIMENSION:
        raise ValueError(f"node {node.name!r} has {node.channels} channels; it must have 1 to {MAX_DIMENSION}")
    for key in ("kernel", "stride", "groups"):
        if not 1 <= getattr(node, key) <= MAX_DIMENSION:
            raise ValueError(f"node {node.name!r} has {key} {getattr(node, key)}; allowed are 1 to {MAX_DIMENSION}")
    if len(node.padding) != 2 or not 0 <= min(node.padding) <= max(node.padding) <= MAX_DIMENSION:
        raise ValueError(f"node {node.name!r} has padding {node.padding}; it must be two counts, left and right")
    if node.activation not in ("relu", "none"):
        raise ValueError(f"node {node.name!r} has activation {node.activation!r}; known: relu, none")
    if not 0 <= node.dropout < 1:
        raise ValueError(f"node {node.name!r} has dropout {node.dropout}; it must lie in [0, 1)")
    meaningful = {
        "channels": WEIGHTED, "norm": WEIGHTED, "dropout": WEIGHTED, "weight_bits": WEIGHTED, "groups": ("conv",),
        "padding": ("conv",), "kernel": ("conv", "max_pool", "avg_pool"), "stride": ("conv", "max_pool", "avg_pool"),
        "activation": (*WEIGHTED, "add"),
    }  # fmt: skip
    for field in fields(node):
        if node.op not in meaningful.get(field.name, (node.op,)) and getattr(node, field.name) != field.default:
            raise ValueError(f"node {node.name!r} ({node.op}) cannot have {field.name!r}")
    for key in ("weight_bits", "activation_bits"):
        bits = getattr(node, key)
        if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
            raise ValueError(f"node {node.name!r} has {key} {bits}; allowed are {MIN_BITS} to {MAX_BITS}, or None")
    if node.op in KEEP_RANGE and node.activation_bits is not None:
        raise ValueError(f"node {node.name!r} ({node.op}) keeps its input's range and has no bits of its own")
