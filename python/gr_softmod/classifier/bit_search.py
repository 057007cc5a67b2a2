# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bit to take away next: what each loses, measured, against what it saves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F

from gr_softmod.classifier.cost import graph_cost
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.store import Prepared

__all__ = ["Change", "candidates", "lowered", "nonzero_weights", "rank"]


class Change(NamedTuple):
    """One bit less for the weights or the result of a node."""

    node: str
    what: Literal["weights", "result"]


def candidates(graph: Graph, least_weights: int, least_results: int, ends: bool = False) -> list[Change]:
    """Every bit that could go.

    Args:
        least_weights, least_results: bits that are left at least.
        ends: whether inputs, the weights that read them and the logits' weights may be lowered too.
    """
    sources = {node.name for node in graph.nodes if not node.inputs}
    changes = []
    for node in graph.nodes:
        at_end = node.name in sources or node is graph.nodes[-1] or bool(sources & set(node.inputs))
        if node.weight_bits and node.weight_bits > least_weights and (ends or not at_end):
            changes.append(Change(node.name, "weights"))
        if node.activation_bits and node.activation_bits > least_results and (ends or node.name not in sources):
            changes.append(Change(node.name, "result"))
    return changes


def lowered(graph: Graph, changes: Sequence[Change]) -> Graph:
    """The graph with one bit less for each change."""
    bits = {node.name: [node.weight_bits, node.activation_bits] for node in graph.nodes}
    for change in changes:
        place = 0 if change.what == "weights" else 1
        before = bits[change.node][place]
        assert before is not None
        bits[change.node][place] = before - 1
    return graph.with_bits(None, None, None, None, **{name: (w, a) for name, (w, a) in bits.items()})


def nonzero_weights(network: QuantNetwork) -> dict[str, int]:
    """Weights of each layer that are not zero after rounding."""
    counts = {}
    with torch.no_grad():
        for name, weighted in network.weighted().items():
            layer: Any = weighted.layer
            weight = layer.quant_weight().value if hasattr(layer, "quant_weight") else layer.weight
            counts[name] = int(torch.count_nonzero(weight))
    return counts


def rank(network: QuantNetwork, changes: Sequence[Change], given: Prepared) -> list[Change]:
    """Changes in the order of what they lose (cross-entropy of ``given``, with no training) for what they save (score).

    Both are those of the change alone, from the network as it is.
    """
    before = _loss(network, given)
    kept: Mapping[str, int] = nonzero_weights(network)
    score = graph_cost(network.graph, kept).score
    worth = {}
    for change in changes:
        graph = lowered(network.graph, [change])
        loss = _loss(QuantNetwork.from_network(network, graph).to(given.signal.device), given) - before
        saved = score - graph_cost(graph, kept).score
        worth[change] = loss / saved if saved > 0 else math.inf
    return sorted(changes, key=lambda change: worth[change])


@torch.no_grad()
def _loss(network: QuantNetwork, given: Prepared, size: int = 512) -> float:
    training = network.training
    network.eval()
    total = 0.0
    for start in range(0, len(given.labels), size):
        part = Prepared(*(tensor[start : start + size] for tensor in given))
        logits = network.logits(part.signal, part.features)
        total += float(F.cross_entropy(logits, part.labels, reduction="sum"))
    network.train(training)
    return total / len(given.labels)
