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
        relative_to: magnitudes are compared as they are ("nothing": L1, as in the challenge's entries); or squared and
            divided by the sum of the squares of their layer's weights that are no smaller ("layer": the scale of a
            layer means nothing behind a normalisation); or these divided by what the weight costs by the challenge's
            score ("cost", needs ``graph``). But for "nothing", the largest weight of a layer stays.
    Raises:
        ValueError: fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction to prune is {fraction}; it must lie in [0, 1)")
    weights = {name: p.detach() for name, p in prunable(network).items()}
    kept = {name: (masks or {}).get(name, torch.ones_like(w, dtype=torch.bool)).bool() for name, w in weights.items()}
    if relative_to == "nothing":
        scores = {name: w.abs().double() for name, w in weights.items()}
    else:
        scores = {name: _share_of_larger(w, kept[name]) for name, w in weights.items()}
    if relative_to == "cost":
        if graph is None:
            raise ValueError("pruning relative to cost needs the graph")
        # Of the score, one use of a weight is 36 / 807,699,904 and one weight 6 / 1,244,936, at 6 bits each.
        scores = {name: score / (uses(graph)[name] / 108 + 1) for name, score in scores.items()}
    strength = torch.cat([score.flatten().cpu() for score in scores.values()])
    alive = torch.cat([kept[name].flatten().cpu() for name in weights])
    count = int(fraction * int(alive.sum()))
    order = torch.argsort(strength.masked_fill(~alive, math.inf), stable=True)
    alive[order[:count]] = False
    parts = alive.split([w.numel() for w in weights.values()])
    return {name: part.view_as(w).to(w.device) for (name, w), part in zip(weights.items(), parts, strict=True)}


def _share_of_larger(weight: Tensor, kept: Tensor) -> Tensor:
    """``w^2`` over the sum of ``v^2`` of all v of the layer with ``|v| >= |w|``; infinity for the largest one.

    Source: Lee, Park, Mo, Ahn, Shin, "Layer-adaptive sparsity for the magnitude-based pruning", 2021, eq. 4.
    """
    power = (weight * kept).double().square().flatten()
    order = torch.argsort(power, descending=True, stable=True)
    score = torch.zeros_like(power)
    score[order] = power[order] / power[order].cumsum(0).clamp(min=1e-300)
    score[order[0]] = math.inf
    return score.view_as(weight)
