# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies of classifiers: what is computed from what, with no numbers in it.

A :class:`Graph` is what an architecture is written in, what the torch network, the quantised network, the count of
operations and the exported files are all made from. Its nodes are those of ``docs/model_file.md``. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from gr_softmod.classifier.feature_set import known_features
from gr_softmod.classifier.node import KEEP_RANGE, MAX_DIMENSION, MAX_ELEMENTS, MAX_NODES, WEIGHTED, Node, check_node

Shape = tuple[int, ...]

__all__ = ["Graph", "Node", "Shape"]


@dataclass(frozen=True)
class Graph:
    """Nodes in order of evaluation; the last one is a ``dense`` that gives the logits.

    Attributes:
        nodes: see :class:`Node`.
        frame_length: complex samples of a frame.
        class_names: one a logit.
        feature_names: of the expert features that a ``features`` node gives; empty without one.
        auxiliary: nodes on which a linear classifier sits in training only.
    Raises:
        ValueError: anything that does not fit together, in one sentence naming the node.
    """

    nodes: tuple[Node, ...]
    frame_length: int
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("nodes", "class_names", "feature_names", "auxiliary"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        self._check()

    # ---- reading it

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def weighted(self) -> Iterator[Node]:
        """The nodes that have weights, in order."""
        return (node for node in self.nodes if node.op in WEIGHTED)

    def shapes(self) -> dict[str, Shape]:
        """Shape of one frame's result at each node: ``(channels, time)`` or ``(channels,)``."""
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            shapes[node.name] = self._shape(node, [shapes[name] for name in node.inputs])
        return shapes

    def weight_shapes(self) -> dict[str, Shape]:
        """Shape of each weighted node's weights: ``(channels, in / groups, kernel)`` or ``(channels, in)``."""
        shapes = self.shapes()
        result: dict[str, Shape] = {}
        for node in self.weighted():
            given = shapes[node.inputs[0]]
            if node.op == "conv":
                result[node.name] = (node.channels, given[0] // node.groups, node.kernel)
            else:
                result[node.name] = (node.channels, math.prod(given))
        return result

    def signed(self) -> dict[str, bool]:
        """Whether a node's result can be negative: what decides between a signed and an unsigned range of integers."""
        signed: dict[str, bool] = {}
        for node in self.nodes:
            if node.op in ("conv", "dense", "add"):
                signed[node.name] = node.activation != "relu"
            else:
                signed[node.name] = any(signed[name] for name in node.inputs) if node.inputs else True
        return signed

    @property
    def quantised(self) -> bool:
        """Whether every node has its bits."""
        last = self.nodes[-1].name
        weights = all(node.weight_bits is not None for node in self.weighted())
        results = (node.activation_bits for node in self.nodes if node.op not in KEEP_RANGE and node.name != last)
        return weights and all(bits is not None for bits in results)

    # ---- changing it

    def with_bits(
        self,
        weight_bits: int | None,
        activation_bits: int | None,
        first: int | None = 8,
        last: int | None = 8,
        **per_node: int | None | tuple[int | None, int | None],
    ) -> Graph:
        """The same topology with bits: weights and results of every node.

        Args:
            weight_bits, activation_bits: of every node, unless said otherwise below.
            first: bits of the ``iq`` and ``features`` nodes' results and of the weights that read those.
            last: bits of the weights of the logits' node (whose result stays float).
            per_node: ``name=bits`` for both or ``name=(weight_bits, activation_bits)``; stronger than all above.
        Raises:
            ValueError: a name that is no node's, or bits outside 2 to 8.
        """
        if unknown := sorted(set(per_node) - {node.name for node in self.nodes}):
            raise ValueError(f"bits are given for {unknown[0]!r}, which is no node; nodes: {self._names()}")
        sources = {node.name for node in self.nodes if not node.inputs}
        nodes = []
        for node in self.nodes:
            is_last = node.name == self.nodes[-1].name
            weights, results = weight_bits, activation_bits
            if node.name in sources:
                results = first
            if sources & set(node.inputs):
                weights = first
            if is_last:
                weights = last
            if node.name in per_node:
                given = per_node[node.name]
                weights, results = given if isinstance(given, tuple) else (given, given)
            if node.op not in WEIGHTED:
                weights = None
            if is_last or node.op in KEEP_RANGE:
                results = None
            nodes.append(replace(node, weight_bits=weights, activation_bits=results))
        return replace(self, nodes=tuple(nodes))

    def to_dict(self) -> dict[str, Any]:
        """As JSON and YAML can hold it; :meth:`from_dict` gives an equal graph."""
        return {
            "nodes": [node.to_dict() for node in self.nodes],
            "frame_length": self.frame_length,
            "class_names": list(self.class_names),
            "feature_names": list(self.feature_names),
            "auxiliary": list(self.auxiliary),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Graph:
        """Raises ValueError: an unknown or missing key, or nodes that do not fit together."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"a graph has no key {unknown[0]!r}; its keys: {', '.join(sorted(known))}")
        if missing := sorted({"nodes", "frame_length", "class_names"} - set(data)):
            raise ValueError(f"the graph has no {missing[0]!r}")
        return cls(**{**data, "nodes": tuple(Node.from_dict(node) for node in data["nodes"])})

    # ---- checking it

    def _names(self) -> str:
        return ", ".join(node.name for node in self.nodes)

    def _check(self) -> None:
        if not 1 <= self.frame_length <= MAX_DIMENSION:
            raise ValueError(f"frame_length is {self.frame_length}; it must lie within 1 to {MAX_DIMENSION}")
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise ValueError(f"the graph has {len(self.nodes)} nodes; it must have 1 to {MAX_NODES}")
        seen: set[str] = set()
        for node in self.nodes:
            check_node(node)
            if node.name in seen:
                raise ValueError(f"node {node.name!r} is there twice")
            if unknown := [name for name in node.inputs if name not in seen]:
                raise ValueError(f"node {node.name!r} reads {unknown[0]!r}, which is no earlier node")
            seen.add(node.name)
        shapes = self.shapes()
        for name, shape in shapes.items():
            if max(shape) > MAX_DIMENSION or math.prod(shape) > MAX_ELEMENTS:
                raise ValueError(f"node {name!r} gives {shape}; at most {MAX_ELEMENTS} values in all are allowed")
        for kind in ("iq", "features"):
            if sum(node.op == kind for node in self.nodes) > 1:
                raise ValueError(f"there is more than one {kind!r} node")
        if bool(self.feature_names) != any(node.op == "features" for node in self.nodes):
            raise ValueError("feature_names are given if, and only if, there is a 'features' node")
        known = known_features(self.frame_length)
        if strange := [name for name in self.feature_names if name not in known]:
            raise ValueError(f"frames of {self.frame_length} samples have no feature {strange[0]!r}")
        used = {name for node in self.nodes for name in node.inputs}
        if idle := [node.name for node in self.nodes[:-1] if node.name not in used]:
            raise ValueError(f"node {idle[0]!r} is read by no other")
        last = self.nodes[-1]
        if last.op != "dense" or last.activation != "none":
            raise ValueError(f"the last node is {last.name!r}; it must be a dense one with no activation, the logits")
        if last.channels != len(self.class_names) or len(set(self.class_names)) != len(self.class_names):
            raise ValueError(f"{last.channels} logits do not match {len(self.class_names)} different class names")
        if absent := [name for name in self.auxiliary if name not in seen]:
            raise ValueError(f"auxiliary names {absent[0]!r}, which is no node; nodes: {self._names()}")

    def _shape(self, node: Node, given: list[Shape]) -> Shape:
        if node.op == "iq":
            return (2, self.frame_length)
        if node.op == "features":
            return (max(1, len(self.feature_names)),)
        if node.op == "dense":
            return (node.channels,)
        if node.op == "concat":
            return (sum(math.prod(shape) for shape in given),)
        if node.op == "add":
            if given[0] != given[1]:
                raise ValueError(f"node {node.name!r} adds {given[0]} and {given[1]}; shapes must be equal")
            return given[0]
        if len(given[0]) != 2:
            raise ValueError(f"node {node.name!r} ({node.op}) needs channels and time; {node.inputs[0]!r} has no time")
        channels, time = given[0]
        if node.op.startswith("global_"):
            return (channels,)
        if node.op == "conv":
            if channels % node.groups or node.channels % node.groups:
                raise ValueError(
                    f"node {node.name!r} has {node.groups} groups, which do not divide {channels} inputs and "
                    f"{node.channels} outputs"
                )
            time += sum(node.padding)
        if time < node.kernel:
            raise ValueError(f"node {node.name!r} has a kernel of {node.kernel} for only {time} samples")
        return (node.channels if node.op == "conv" else channels, (time - node.kernel) // node.stride + 1)
