# SPDX-License-Identifier: GPL-3.0-or-later
"""A graph with bits as a torch module: a network that learns while its weights and activations are integers.

Brevitas does the rounding in the forward pass and lets gradients through. Weights have one learned scale a channel,
activations one a tensor; both are symmetric, unsigned behind a ReLU. :func:`fold` turns the network into the integers
and scales of a ModelFile.

Source: Esser et al., "Learned Step Size Quantization", 2020, for learned scales; Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, for folding.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.inject.enum import ScalingImplType
from brevitas.quant import Int8ActPerTensorFloatMinMaxInit, Int8WeightPerChannelFloat, Uint8ActPerTensorFloatMaxInit
from numpy.typing import NDArray
from torch import Tensor, nn

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import FEATURE_LIMIT, FeatureScaler, Network, module_name
from gr_softmod.classifier.node import KEEP_RANGE, Node

__all__ = ["QuantNetwork", "fold"]

# Brevitas asks torch for a notation that torch is giving up; nothing a user could do about it.
warnings.filterwarnings("ignore", message=".*Named tensors.*", category=UserWarning)

#: No scale falls below this: a channel whose weights are all zero divides by it.
_LEAST_SCALE = 1e-8


class QuantNetwork(Network):
    """The network of a graph with bits. A node without bits stays float.

    Parameters have the names of :class:`~gr_softmod.classifier.network.Network`'s; scales come on top.

    Attributes:
        quantisers: one a node whose result is quantised, under the node's name with dots as underscores.
        frozen_norm: batch normalisation uses, and no longer updates, its running mean and variance while training.
    Shape:
        frames [B, N] complex64 -> logits [B, C].
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.frozen_norm = False
        signed = graph.signed()
        self.quantisers = nn.ModuleDict()
        for node in graph.nodes:
            if node.weight_bits is not None:
                weighted = self._weighted(node.name)
                weighted.layer = _quantised(weighted.layer, node.weight_bits)
            if node.activation_bits is not None:
                self.quantisers[module_name(node.name)] = _quantiser(node, signed[node.name])

    # ---- from another network

    @classmethod
    def from_network(cls, network: Network, graph: Graph) -> QuantNetwork:
        """``network``, float or quantised, with the bits of ``graph`` (its own topology).

        Weights, normalisations and, where there are any, the ranges that scales stand for are taken over.

        Raises:
            ValueError: the graph has another topology.
        """
        if graph.with_bits(None, None, None, None) != network.graph.with_bits(None, None, None, None):
            raise ValueError("the graph with bits has another topology than the network")
        result = cls(graph)
        problems = result.load_state_dict(network.state_dict(), strict=False)
        assert all("quant" in key for key in (*problems.missing_keys, *problems.unexpected_keys)), problems
        for layer in result._layers():
            layer.quant_weight()  # scales that were not taken over are set from the weights now
        return result.train(network.training)

    @torch.no_grad()
    def measure(self, network: Network, signal: Tensor, rows: Tensor | None, percentile: float = 99.9) -> None:
        """Set the ranges of activations from what a float ``network`` gives for some frames.

        Args:
            signal, rows: frames as :func:`~gr_softmod.classifier.network.prepare` gives them.
            percentile: of the magnitudes, that the range ends at; features keep their limit.
        """
        network.eval()
        results = network._evaluate(signal, rows)
        for node in self.graph.nodes:
            quantiser = self.quantisers[module_name(node.name)] if node.activation_bits is not None else None
            if quantiser is not None and node.op != "features":
                magnitude = results[node.name].abs().flatten().float().cpu().numpy()
                _range(quantiser).fill_(max(float(np.percentile(magnitude, percentile)), 1e-3))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; an optimiser that holds the parameters keeps doing so.

        Brevitas makes its scales anew when a state is loaded: an optimiser made before would learn ones nobody uses.
        """
        before = dict(self.named_parameters())
        problems = super().load_state_dict(state_dict, strict, assign)
        for name, parameter in list(self.named_parameters()):
            if name in before and parameter is not before[name]:
                before[name].data.copy_(parameter.data)
                owner, _, leaf = name.rpartition(".")
                setattr(self.get_submodule(owner), leaf, before[name])
        return problems

    # ---- running it

    def train(self, mode: bool = True) -> QuantNetwork:
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d):
                    module.eval()
        return self

    def freeze_norm(self, frozen: bool = True) -> None:
        """Hold the statistics of batch normalisation while training goes on (or let them go)."""
        self.frozen_norm = frozen
        self.train(self.training)

    def _node(self, node: Node, given: list[Tensor], signal: Tensor, rows: Tensor | None) -> Tensor:
        value = super()._node(node, given, signal, rows)
        if node.activation_bits is None:
            return value
        result: Tensor = self.quantisers[module_name(node.name)](value)
        return result

    def _layers(self) -> Iterator[Any]:
        return (w.layer for w in self.weighted().values() if w.node.weight_bits is not None)

    def activation_scale(self, name: str) -> float:
        """What one step of the integers that a node gives stands for."""
        quantiser: Any = self.quantisers[module_name(name)]
        return float(quantiser.act_quant.scale().detach().double())


def _quantised(layer: nn.Module, bits: int) -> nn.Module:
    options = {
        "bias": layer.bias is not None,
        "weight_quant": Int8WeightPerChannelFloat,
        "weight_bit_width": bits,
        "weight_scaling_impl_type": ScalingImplType.PARAMETER_FROM_STATS,
        "weight_scaling_min_val": _LEAST_SCALE,
    }
    result: nn.Module
    if isinstance(layer, nn.Conv1d):
        sizes = (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0])
        result = qnn.QuantConv1d(*sizes, padding=layer.padding[0], groups=layer.groups, **options)
    else:
        assert isinstance(layer, nn.Linear)
        result = qnn.QuantLinear(layer.in_features, layer.out_features, **options)
    result.load_state_dict(layer.state_dict(), strict=False)
    return result


def _quantiser(node: Node, signed: bool) -> nn.Module:
    largest = FEATURE_LIMIT if node.op == "features" else 1.0
    options = {"bit_width": node.activation_bits, "max_val": largest, "scaling_min_val": _LEAST_SCALE}
    result: nn.Module
    if signed:
        result = qnn.QuantIdentity(
            act_quant=Int8ActPerTensorFloatMinMaxInit, min_val=-largest, narrow_range=True, **options
        )
    else:
        result = qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloatMaxInit, **options)
    if node.op == "features":
        _range(result).requires_grad_(False)
    return result


def _range(quantiser: nn.Module) -> nn.Parameter:
    """The learned largest magnitude of a quantiser, scalar."""
    (value,) = quantiser.parameters()
    return value


# ---- into integers


def fold(network: QuantNetwork) -> dict[str, NDArray[np.generic]]:
    """The tensors of a ModelFile: int8 weights; scales and offsets in float64, to be rounded to float32 once.

    With ``s`` the scales of input, weight and output, and ``g, b`` what batch normalisation multiplies and adds:
    ``scale = g s_in s_weight / s_out``, ``offset = (g bias + b) / s_out``.

    Raises:
        ValueError: a node has no bits.
    """
    graph = network.graph
    if not graph.quantised:
        raise ValueError("the network has nodes without bits")
    tensors: dict[str, NDArray[np.generic]] = {}
    scales: dict[str, float] = {}
    for node in graph.nodes:
        given = [scales[name] for name in node.inputs]
        if node.op in KEEP_RANGE:
            scales[node.name] = given[0]
            continue
        own = 1.0 if node.activation_bits is None else network.activation_scale(node.name)
        scales[node.name] = own
        for key, values in _fold_node(network, node, given, own).items():
            tensors[f"{node.name}.{key}"] = values
    return tensors


def _fold_node(network: QuantNetwork, node: Node, given: list[float], own: float) -> Mapping[str, NDArray[np.generic]]:
    if node.op == "iq":
        return {"scale": np.array([1 / own])}
    if node.op == "features":
        scaler = network.nodes[module_name(node.name)]
        assert isinstance(scaler, FeatureScaler)
        return {"mean": _numpy(scaler.mean), "scale": 1 / (_numpy(scaler.deviation) * own)}
    if node.op in ("add", "concat"):
        return {"scale": np.array(given) / own}
    if node.op in ("avg_pool", "global_avg_pool"):
        terms = node.kernel if node.op == "avg_pool" else network.graph.shapes()[node.inputs[0]][1]
        return {"scale": np.array([given[0] / terms / own]), "offset": np.zeros(1)}
    weighted = network.weighted()[node.name]
    layer: Any = weighted.layer
    quantised = layer.quant_weight()
    weight_scale = _numpy(quantised.scale).reshape(-1)
    bias = _numpy(layer.bias) if layer.bias is not None else np.zeros(node.channels)
    factor, constant = np.ones(node.channels), np.zeros(node.channels)
    if isinstance(weighted.norm, nn.BatchNorm1d):
        norm = weighted.norm
        factor = _numpy(norm.weight) / np.sqrt(_numpy(norm.running_var) + norm.eps)
        constant = _numpy(norm.bias) - factor * _numpy(norm.running_mean)
    return {
        "weight": quantised.int().detach().cpu().numpy().astype(np.int8),
        "scale": factor * given[0] * weight_scale / own,
        "offset": (factor * bias + constant) / own,
    }


def _numpy(tensor: Tensor | None) -> NDArray[np.float64]:
    assert tensor is not None
    return tensor.detach().double().cpu().numpy()
