# SPDX-License-Identifier: GPL-3.0-or-later
"""Structured pruning: whole channels go, and a smaller network of the same kind is left, quicker on any processor."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network, Weighted, module_name
from gr_softmod.classifier.node import Node

__all__ = ["prune_channels"]

#: A layer keeps at least so many channels.
LEAST = 2


def prune_channels(network: Network, fraction: float) -> Network:
    """The network without ``floor(fraction * prunable)`` channels, the weakest of all layers.

    A channel is prunable where a normalised convolution or dense layer makes it and no ``add`` and no grouped
    convolution but a depthwise one reads it. Its strength is the L1 norm of its weights times the size of its
    normalisation's gain, in units of its layer's mean. Layers keep at least two channels.

    Raises:
        ValueError: fraction is not in [0, 1), or the network is quantised.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction to prune is {fraction}; it must lie in [0, 1)")
    if any(node.weight_bits for node in network.graph.nodes):
        raise ValueError("channels are pruned before a network is quantised, not after")
    channels, makers = _channels(network.graph)
    strength = {name: _strength(network.weighted()[name]) for name in makers}
    gone = _weakest({name: (channels[name], strength[name]) for name in makers}, fraction)
    kept = {name: _keep(ids, gone) for name, ids in channels.items()}
    graph = _smaller(network.graph, kept)
    smaller = Network(graph)
    smaller.load_state_dict(_sliced(network, kept))
    return smaller.train(network.training)


def _channels(graph: Graph) -> tuple[dict[str, list[int]], list[str]]:
    """An identity for each channel at each node (``concat`` flattens), and the nodes that make prunable ones."""
    shapes = graph.shapes()
    ids: dict[str, list[int]] = {}
    makers, locked, fresh = [], set(), 0
    for node in graph.nodes:
        given = [ids[name] for name in node.inputs]
        depthwise = node.op == "conv" and node.groups == node.channels == len(given[0]) and node.groups > 1
        if node.op == "concat":
            ids[node.name] = [i for name in node.inputs for i in _flat(ids[name], shapes[name])]
        elif node.op == "add":
            locked |= {*given[0], *given[1]}
            ids[node.name] = given[0]
        elif node.op in ("conv", "dense", "iq", "features") and not depthwise:
            count = shapes[node.name][0]
            ids[node.name] = list(range(fresh, fresh + count))
            fresh += count
            if node.op == "conv" and node.groups > 1:
                locked |= set(given[0])
            if node.norm and not (node.op == "conv" and node.groups > 1) and node is not graph.nodes[-1]:
                makers.append(node.name)
        else:
            ids[node.name] = given[0]
    return ids, [name for name in makers if not locked & set(ids[name])]


def _flat(ids: list[int], shape: tuple[int, ...]) -> list[int]:
    time = shape[1] if len(shape) == 2 else 1
    return [i for i in ids for _ in range(time)]


@torch.no_grad()
def _strength(module: Weighted) -> Tensor:
    assert isinstance(module.layer, nn.Conv1d | nn.Linear) and isinstance(module.norm, nn.BatchNorm1d)
    norm = module.layer.weight.flatten(1).abs().sum(1) * module.norm.weight.abs()
    # Behind a normalisation the size of the weights is cancelled by the spread of what they give.
    norm = norm / (module.norm.running_var + module.norm.eps).sqrt() if module.norm.running_var is not None else norm
    return (norm / norm.mean().clamp(min=1e-12)).double().cpu()


def _weakest(layers: dict[str, tuple[list[int], Tensor]], fraction: float) -> set[int]:
    ranked = sorted(
        (float(value), i, name) for name, (ids, values) in layers.items() for i, value in zip(ids, values, strict=True)
    )
    left = {name: len(ids) for name, (ids, _) in layers.items()}
    gone: set[int] = set()
    for _, i, name in ranked:
        if len(gone) >= int(fraction * len(ranked)):
            break
        if left[name] > LEAST:
            left[name] -= 1
            gone.add(i)
    return gone


def _keep(ids: list[int], gone: set[int]) -> Tensor:
    return torch.tensor([place for place, i in enumerate(ids) if i not in gone])


def _smaller(graph: Graph, kept: dict[str, Tensor]) -> Graph:
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op in ("conv", "dense"):
            count = len(kept[node.name])
            node = replace(node, channels=count, groups=count if node.groups == node.channels > 1 else node.groups)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _sliced(network: Network, kept: dict[str, Tensor]) -> dict[str, Tensor]:
    state = dict(network.state_dict())
    shapes = network.graph.shapes()
    for node in network.graph.weighted():
        prefix = f"nodes.{module_name(node.name)}."
        for key in [key for key in state if key.startswith(prefix) and state[key].ndim]:
            state[key] = state[key][kept[node.name]]
        key = prefix + "layer.weight"
        if node.groups == 1:
            state[key] = state[key][:, _columns(node.inputs[0], node.op == "dense", kept, shapes)]
    for name in network.graph.auxiliary:
        key = f"auxiliary.{module_name(name)}.weight"
        state[key] = state[key][:, _columns(name, True, kept, shapes)]
    return state


def _columns(source: str, flattened: bool, kept: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> Tensor:
    """Which inputs of a layer are left, when it reads ``source``."""
    shape = shapes[source]
    if not flattened or len(shape) == 1:
        return kept[source]
    return (kept[source][:, None] * shape[1] + torch.arange(shape[1])).flatten()
