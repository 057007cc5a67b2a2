# SPDX-License-Identifier: GPL-3.0-or-later
"""From a topology with bits to the nodes of a ModelFile. Needs no torch."""

from __future__ import annotations

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.node import KEEP_RANGE
from gr_softmod.model_file import ModelNode, Range


def integer_range(bits: int, signed: bool) -> Range:
    """Least and largest integer: symmetric where signed, from 0 where not."""
    return (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def model_nodes(graph: Graph) -> tuple[ModelNode, ...]:
    """The nodes of a quantised graph as a ModelFile has them.

    Raises:
        ValueError: a node has no bits yet.
    """
    if not graph.quantised:
        raise ValueError("the graph has nodes without bits; give it some with with_bits() or quantise it")
    signed = graph.signed()
    nodes = []
    for node in graph.nodes:
        is_last = node is graph.nodes[-1]
        output = None
        if node.op not in KEEP_RANGE and not is_last and node.activation_bits is not None:
            output = integer_range(node.activation_bits, signed[node.name])
        nodes.append(
            ModelNode(
                op=node.op,
                name=node.name,
                inputs=node.inputs,
                channels=node.channels if node.op == "conv" else 0,
                features=node.channels if node.op == "dense" else 0,
                kernel=node.kernel,
                stride=node.stride,
                padding=node.padding,
                groups=node.groups,
                bits=node.weight_bits or 8,
                output=output,
            )
        )
    return tuple(nodes)
