# SPDX-License-Identifier: GPL-3.0-or-later
"""A graph as a torch module: the float network that is trained, pruned, distilled and then quantised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gr_softmod.classifier.feature_set import known_features
from gr_softmod.classifier.features import features, normalise
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.node import Node
from gr_softmod.classifier.shared_norm import SharedBatchNorm

__all__ = ["FeatureScaler", "Network", "Weighted", "prepare"]

#: Standardised features are limited to so many standard deviations, as the integers of a quantised network are.
FEATURE_LIMIT = 4.0


def prepare(frames: Tensor, with_features: bool = True) -> tuple[Tensor, Tensor | None]:
    """What a network reads of raw frames: the normalised signal and its expert features.

    Shape:
        frames [B, N] complex64 -> signal [B, 2, N] float32, features [B, F] float32 or None; F is all that
        :func:`~gr_softmod.classifier.feature_set.known_features` names, of which a network takes its own.
    """
    unit = normalise(frames)
    signal = torch.view_as_real(unit).transpose(-1, -2).contiguous()
    return signal, features(unit) if with_features else None


class FeatureScaler(nn.Module):
    """``(f - mean) / deviation`` of chosen features, limited to +-4.

    Args:
        places: of the chosen ones among all that a frame has.
    Attributes:
        mean, deviation: buffers [len(places)], measured on training frames by :meth:`measure`.
    """

    places: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.register_buffer("mean", torch.zeros(len(places)))
        self.register_buffer("deviation", torch.ones(len(places)))

    @torch.no_grad()
    def measure(self, rows: Tensor) -> None:
        """Take mean and deviation from ``rows`` [B, F] of training frames."""
        rows = rows[:, self.places]
        self.mean.copy_(rows.double().mean(0))
        self.deviation.copy_(rows.double().std(0, correction=0).clamp(min=1e-6))

    def forward(self, rows: Tensor) -> Tensor:
        return ((rows[:, self.places] - self.mean) / self.deviation).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)


class Weighted(nn.Module):
    """A ``conv`` or ``dense`` node: dropout, padding, ``layer``, ``norm``, activation.

    ``layer`` is an ``nn.Conv1d`` or ``nn.Linear``, ``norm`` a batch normalisation or ``nn.Identity``; the layer has a
    bias where there is no normalisation. Quantised networks keep both names.
    """

    def __init__(self, node: Node, weight_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.node = node
        self.layer: nn.Module
        if node.op == "conv":
            self.layer = nn.Conv1d(
                weight_shape[1] * node.groups,
                node.channels,
                node.kernel,
                node.stride,
                padding=node.padding[0] if node.padding[0] == node.padding[1] else 0,
                groups=node.groups,
                bias=not node.norm,
            )
        else:
            self.layer = nn.Linear(weight_shape[1], node.channels, bias=not node.norm)
        self.norm: nn.Module = SharedBatchNorm(node.channels) if node.norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.node.dropout:
            x = F.dropout(x, self.node.dropout, self.training)
        if self.node.op == "dense":
            x = x.flatten(1)
        elif self.node.padding[0] != self.node.padding[1]:
            x = F.pad(x, self.node.padding)
        x = self.norm(self.layer(x))
        return F.relu(x) if self.node.activation == "relu" else x


class Network(nn.Module):
    """The float network of a graph.

    Attributes:
        graph: its topology.
        nodes: one module a node that has numbers, under the node's name with dots as underscores: ``block1.dw`` is
            ``nodes.block1_dw``, its weights are ``nodes.block1_dw.layer.weight``.
        auxiliary: the linear classifiers used in training only, by the same names.
    Shape:
        frames [B, N] complex64 -> logits [B, C].
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        shapes, weights = graph.shapes(), graph.weight_shapes()
        self.nodes, self.auxiliary = nn.ModuleDict(), nn.ModuleDict()
        for node in graph.nodes:
            if node.name in weights:
                self.nodes[module_name(node.name)] = Weighted(node, weights[node.name])
            elif node.op == "features":
                known = known_features(graph.frame_length)
                self.nodes[module_name(node.name)] = FeatureScaler([known.index(f) for f in graph.feature_names])
        for name in graph.auxiliary:
            self.auxiliary[module_name(name)] = nn.Linear(math.prod(shapes[name]), len(graph.class_names))

    @property
    def scaler(self) -> FeatureScaler | None:
        """The node that standardises the features; None in a network without them."""
        return next((module for module in self.modules() if isinstance(module, FeatureScaler)), None)

    def weighted(self) -> dict[str, Weighted]:
        """The nodes with weights, in order of evaluation, by the node's name."""
        return {node.name: self._weighted(node.name) for node in self.graph.weighted()}

    def forward(self, frames: Tensor) -> Tensor:
        return self.logits(*prepare(frames, bool(self.graph.feature_names)))

    def forward_all(self, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and those of each auxiliary classifier by its node's name."""
        return self.all_logits(*prepare(frames, bool(self.graph.feature_names)))

    def logits(self, signal: Tensor, rows: Tensor | None) -> Tensor:
        """Logits [B, C] from what :func:`prepare` gives."""
        return self._evaluate(signal, rows)[self.graph.nodes[-1].name]

    def all_logits(self, signal: Tensor, rows: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """As :meth:`forward_all`, from what :func:`prepare` gives."""
        results = self._evaluate(signal, rows)
        helpers = {}
        for name in self.graph.auxiliary:
            helpers[name] = self.auxiliary[module_name(name)](results[name].flatten(1))
        return results[self.graph.nodes[-1].name], helpers

    def _evaluate(self, signal: Tensor, rows: Tensor | None) -> dict[str, Tensor]:
        results: dict[str, Tensor] = {}
        for node in self.graph.nodes:
            results[node.name] = self._node(node, [results[name] for name in node.inputs], signal, rows)
        return results

    def _node(self, node: Node, given: list[Tensor], signal: Tensor, rows: Tensor | None) -> Tensor:
        match node.op:
            case "iq":
                return signal
            case "features":
                assert rows is not None, "the graph has a features node, so features are computed"
                return self.nodes[module_name(node.name)](rows)
            case "conv" | "dense":
                return self._weighted(node.name)(given[0])
            case "add":
                total = given[0] + given[1]
                return F.relu(total) if node.activation == "relu" else total
            case "max_pool":
                return F.max_pool1d(given[0], node.kernel, node.stride)
            case "avg_pool":
                return F.avg_pool1d(given[0], node.kernel, node.stride)
            case "global_avg_pool":
                return given[0].mean(-1)
            case "global_max_pool":
                return given[0].amax(-1)
            case "concat":
                return torch.cat([x.flatten(1) for x in given], 1)
        raise AssertionError(f"no such operation: {node.op}")  # Graph refuses it

    def _weighted(self, name: str) -> Weighted:
        module = self.nodes[module_name(name)]
        assert isinstance(module, Weighted)
        return module


def module_name(node_name: str) -> str:
    """The attribute under which a node's module is registered."""
    return node_name.replace(".", "_")


def without_auxiliary(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's state without the classifiers that only training needs."""
    return {key: tensor for key, tensor in state.items() if not key.startswith("auxiliary.")}
