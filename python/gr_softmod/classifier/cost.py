# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network costs, by the rules of the ITU-ML5G-PS-007 challenge: bit operations and bits of weights.

A multiply-accumulate costs (bits of the weight) x (bits of what it is multiplied with); weights that are zero cost
nothing, neither as operations nor as memory; float values count as 32 bits. Convolutions and dense layers count,
scaling, additions and pools do not. The rules are those of ``qonnx.util.inference_cost`` with ``discount_sparsity``, to
which the tests compare it. The arithmetic of the features is outside these rules and reported beside them. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.feature_set import compute, set_of
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.node import KEEP_RANGE
from gr_softmod.model_file import ModelFile, Shape, weight_shape

#: The challenge's baseline: VGG10 at 8 bits, 12,620,311 multiplications and 155,617 weights that are not zero.
BASELINE_BOPS = 807_699_904
BASELINE_WEIGHT_BITS = 1_244_936
_FLOAT_BITS = 32


@dataclass(frozen=True)
class LayerCost:
    """One layer. ``macs`` and ``weights`` are without those of zero weights; ``dense_macs`` with them."""

    name: str
    macs: int
    dense_macs: int
    weights: int
    dense_weights: int
    weight_bits: int
    activation_bits: int

    @property
    def bops(self) -> int:
        return self.macs * self.weight_bits * self.activation_bits

    @property
    def memory_bits(self) -> int:
        return self.weights * self.weight_bits


@dataclass(frozen=True)
class Cost:
    """A network's cost a frame.

    Attributes:
        layers: convolutions and dense layers in order.
        feature_operations: additions, multiplications, divisions, .. of real float32 numbers that the features take;
            empty without features.
    """

    layers: tuple[LayerCost, ...]
    feature_operations: Mapping[str, int]

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def bops(self) -> int:
        return sum(layer.bops for layer in self.layers)

    @property
    def weight_bits(self) -> int:
        return sum(layer.memory_bits for layer in self.layers)

    @property
    def score(self) -> float:
        """Half the bit operations and half the bits of weights, each relative to the challenge's baseline."""
        return 0.5 * self.bops / BASELINE_BOPS + 0.5 * self.weight_bits / BASELINE_WEIGHT_BITS

    @property
    def feature_bops(self) -> int:
        """The features' multiplications counted as those of layers would be: 32 x 32 each. Not in :attr:`score`."""
        return self.feature_operations.get("multiplications", 0) * _FLOAT_BITS**2

    def to_dict(self) -> dict[str, Any]:
        """For ``eval.json``."""
        layers = [{**asdict(layer), "bops": layer.bops, "memory_bits": layer.memory_bits} for layer in self.layers]
        totals = {"macs": self.macs, "bops": self.bops, "weight_bits": self.weight_bits, "score": self.score}
        return {
            **totals,
            "feature_bops": self.feature_bops,
            "feature_operations": dict(self.feature_operations),
            "layers": layers,
        }


def graph_cost(graph: Graph, nonzero: Mapping[str, int] | None = None) -> Cost:
    """The cost of a topology.

    Args:
        graph: nodes without bits count as float.
        nonzero: number of weights of each layer that are not zero; all of them where a layer is not named.
    """
    shapes, weight_shapes = graph.shapes(), graph.weight_shapes()
    bits: dict[str, int] = {}
    layers = []
    for node in graph.nodes:
        bits[node.name] = node.activation_bits or (bits[node.inputs[0]] if node.op in KEEP_RANGE else _FLOAT_BITS)
        if node.name in weight_shapes:
            count = math.prod(weight_shapes[node.name])
            kept = count if nonzero is None else nonzero.get(node.name, count)
            weight_bits = node.weight_bits or _FLOAT_BITS
            layers.append(_layer(node.name, shapes[node.name], count, kept, weight_bits, bits[node.inputs[0]]))
    return Cost(
        tuple(layers),
        feature_operations(graph.frame_length, set_of(graph.feature_names)) if graph.feature_names else {},
    )


def _layer(name: str, result: Shape, count: int, kept: int, weight_bits: int, activation_bits: int) -> LayerCost:
    places = math.prod(result[1:])  # a convolution's weights are used at each time, a dense layer's once
    return LayerCost(name, kept * places, count * places, kept, count, weight_bits, activation_bits)


def model_cost(model: ModelFile) -> Cost:
    """The cost of a trained model, its zeros left out."""
    shapes, ranges = model.shapes(), model.ranges()
    layers = []
    for node in model.nodes:
        if node.op in ("conv", "dense"):
            source = node.inputs[0]
            count = math.prod(weight_shape(node, shapes[source]))
            kept = int(np.count_nonzero(model.tensors[f"{node.name}.weight"]))
            low, high = ranges[source]
            layers.append(_layer(node.name, shapes[node.name], count, kept, node.bits, (high - low).bit_length()))
    return Cost(
        tuple(layers),
        feature_operations(model.frame_length, set_of(model.feature_names)) if model.feature_names else {},
    )


# ---- the features' arithmetic, counted by running it

_KINDS = {
    "add": "additions", "subtract": "additions", "multiply": "multiplications", "divide": "divisions",
    "true_divide": "divisions", "sqrt": "roots", "maximum": "comparisons",
}  # fmt: skip


@lru_cache
def feature_operations(frame_length: int, feature_set: int = 1) -> dict[str, int]:
    """Operations on real numbers that the whole of a feature set takes for one frame, as written in ``feature_set``.

    A complex product is 4 multiplications and 2 additions, a quotient of a complex and a real number 2 divisions.
    """
    tally: dict[str, int] = {"additions": 0, "multiplications": 0, "divisions": 0, "roots": 0, "comparisons": 0}
    compute(np.ones(frame_length, np.complex64).view(_counting(tally)), feature_set)
    return tally


def _counting(tally: dict[str, int]) -> type[NDArray[Any]]:
    """A kind of array that adds what is done to it to ``tally``."""

    class Counting(np.ndarray[Any, Any]):
        def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
            plain = [np.asarray(x) if isinstance(x, Counting) else x for x in inputs]
            options.pop("out", None)
            result = getattr(ufunc, method)(*plain, **options)
            size = np.size(plain[0]) - np.size(result) if method == "reduce" else np.size(result)
            times = {1: 0, 2: 1, 3: 2, 4: 2}[int(plain[1])] if ufunc.__name__ == "power" else 1
            for _ in range(times):  # x^2 is one product, x^3 and x^4 are two
                self._count(ufunc.__name__, size, [np.iscomplexobj(x) for x in plain])
            return np.asarray(result).view(Counting)

        @staticmethod
        def _count(name: str, size: int, complexity: list[bool]) -> None:
            if name in ("power", "square"):
                name, complexity = "multiply", [complexity[0]] * 2
            kind = _KINDS.get(name)
            if kind == "multiplications" and all(complexity):
                tally["multiplications"] += 4 * size
                tally["additions"] += 2 * size
            elif kind:
                tally[kind] += size * (2 if any(complexity) else 1)

    return Counting
