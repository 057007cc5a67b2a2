# SPDX-License-Identifier: GPL-3.0-or-later
"""Which weights go: global unstructured pruning by magnitude, exact to one weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network, module_name

__all__ = ["RelativeTo", "prunable", "prune_masks", "sparsity", "uses"]

RelativeTo = Literal["nothing", "layer", "cost"]


def prunable(network: Network) -> dict[str, nn.Parameter]:
    """The weights of convolutions and dense layers, by parameter name; neither biases nor normalisations."""
    return {name: p for name, p in network.named_parameters() if name.endswith("layer.weight")}


def sparsity(masks: Mapping[str, Tensor]) -> float:
    """Share of the masked weights that is held at zero."""
    total = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.sum()) for mask in masks.values()) / total


def uses(graph: Graph) -> dict[str, int]:
    """How often one weight of each layer is multiplied in a frame, by parameter name."""
    shapes = graph.shapes()
    return {
        f"nodes.{module_name(node.name)}.layer.weight": shapes[node.name][1] if node.op == "conv" else 1
        for node in graph.weighted()
    }


def prune_masks(
    network: Network,
    fraction: float,
    masks: Mapping[str, Tensor] | None = None,
    relative_to: RelativeTo = "nothing",
    graph: Graph | None = None,
) -> dict[str, Tensor]:
    """Masks (True: stays) without ``floor(fraction * left)`` more weights, the least of the whole network.

    Args:
        network: its weights' magnitudes decide.
        fraction: of the weights that ``masks`` has left.
        masks: what is gone already; without it, nothing.
        relative_to: magnitudes are compared as they are ("nothing": L1, as in the challenge's entries), in units of
            their layer's root mean square ("layer": normalisation behind a layer makes its scale meaningless), or in
            those and divided by the root of what the weight costs by the challenge's score ("cost", needs ``graph``).
    Raises:
        ValueError: fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction to prune is {fraction}; it must lie in [0, 1)")
    weights = {name: p.detach() for name, p in prunable(network).items()}
    kept = {name: (masks or {}).get(name, torch.ones_like(w, dtype=torch.bool)).bool() for name, w in weights.items()}
    units = dict.fromkeys(weights, 1.0)
    if relative_to != "nothing":
        units = {name: _rms(w[kept[name]]) for name, w in weights.items()}
    if relative_to == "cost":
        if graph is None:
            raise ValueError("pruning relative to cost needs the graph")
        # Of the score, one use of a weight is 36 / 807,699,904 and one weight 6 / 1,244,936, at 6 bits each.
        units = {name: unit * math.sqrt(uses(graph)[name] / 108 + 1) for name, unit in units.items()}
    strength = torch.cat([(w.abs() / units[name]).flatten().double().cpu() for name, w in weights.items()])
    alive = torch.cat([kept[name].flatten().cpu() for name in weights])
    count = int(fraction * int(alive.sum()))
    order = torch.argsort(strength.masked_fill(~alive, math.inf), stable=True)
    alive[order[:count]] = False
    parts = alive.split([w.numel() for w in weights.values()])
    return {name: part.view_as(w).to(w.device) for (name, w), part in zip(weights.items(), parts, strict=True)}


def _rms(values: Tensor) -> float:
    return max(float(values.double().square().mean().sqrt()), 1e-12) if values.numel() else 1.0
