# SPDX-License-Identifier: GPL-3.0-or-later
"""Models with random weights: for tests and benchmarks, where topology and bits matter and accuracy does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.integer import Floats, accumulate, evaluate, frame_features, normalise, run, steadiest
from gr_softmod.classifier.lowering import model_nodes
from gr_softmod.model_file import ModelFile, ModelNode, weight_shape
from gr_softmod.model_file.nodes import ACCUMULATOR_LIMIT

_BATCH = 8


def random_model(
    graph: Graph, bits: int | None = None, seed: int = 0, *, density: float = 1.0, parity: bool = True
) -> ModelFile:
    """A model whose activations use their range: the scales are fitted to what random frames give.

    Args:
        graph: with bits already, or without.
        bits: of weights and activations, with 8 in the first and the last node; None: those of the graph.
        seed: equal seeds give equal models.
        density: share of the weights that are not zero.
        parity: put a frame and its logits into the model.
    Raises:
        ValueError: bits are missing, or outside 2 to 8.
    """
    graph = graph if bits is None else graph.with_bits(bits, bits)
    rng = np.random.default_rng(seed)
    model = ModelFile(
        name=f"random weights, seed {seed}",
        class_names=graph.class_names,
        frame_length=graph.frame_length,
        nodes=model_nodes(graph),
        tensors={},
        feature_names=graph.feature_names,
    )
    frames = _frames(rng, graph.frame_length)
    normalised = normalise(frames)
    seen: dict[str, Floats] = {}
    tensors: dict[str, NDArray[Any]] = {}
    for node in model.nodes:
        inputs = [seen[name] for name in node.inputs]
        if node.op == "iq":
            seen[node.name] = _quantised_input(node, normalised, np.zeros(1, np.float32), tensors)
        elif node.op == "features":
            values = frame_features(normalised, model.feature_names)
            seen[node.name] = _quantised_input(node, values, values.mean(0), tensors)
        else:
            _fit(node, inputs, tensors, rng, density)
            seen[node.name] = evaluate(node, inputs, tensors)
    model = replace(model, tensors=tensors)
    if parity:
        frame = steadiest(model, frames)[None]
        tensors["parity.frame"] = np.stack([frame[0].real, frame[0].imag]).astype(np.float32)
        model = replace(model, tensors=tensors, parity_logits=tuple(map(float, run(model, frame)[0])))
    return model


def _frames(rng: np.random.Generator, length: int) -> NDArray[np.complex64]:
    """QPSK of 8 samples a symbol in more and less noise, complex64 [_BATCH, length]."""
    symbols = np.exp(0.5j * np.pi * rng.integers(0, 4, (_BATCH, length // 8 + 1)))
    noise = rng.normal(0, 1, (2, _BATCH, length)).astype(np.float32)
    levels = np.geomspace(0.02, 2, _BATCH)[:, None]
    return (np.repeat(symbols, 8, 1)[:, :length] + levels * (noise[0] + 1j * noise[1])).astype(np.complex64)


def _quantised_input(node: ModelNode, values: Floats, mean: Floats, tensors: dict[str, NDArray[Any]]) -> Floats:
    """Scales that let three standard deviations fill the range; the integers of ``values``."""
    assert node.output is not None
    high = np.float32(node.output[1])
    if node.op == "iq":
        scale = np.full(1, high / np.float32(3))
    else:
        scale = high / np.maximum(3 * values.std(0), np.float32(1e-3))
        tensors[f"{node.name}.mean"] = mean
    tensors[f"{node.name}.scale"] = scale
    return np.clip(np.rint((values - mean) * scale), -high, high)


def _fit(
    node: ModelNode, inputs: list[Floats], tensors: dict[str, NDArray[Any]], rng: np.random.Generator, density: float
) -> None:
    """Random weights, and scales and offsets that fit the range of what the node then gives."""
    high = float(node.output[1]) if node.output else 4.0
    if node.op in ("add", "concat"):
        share = 1.0 if node.op == "concat" else 2.0
        reach = [max(1.0, float(np.abs(x).max())) * share for x in inputs]
        tensors[f"{node.name}.scale"] = np.array([high / r for r in reach], np.float32)
    elif node.op in ("conv", "dense", "avg_pool", "global_avg_pool"):
        weight = None
        if node.op in ("conv", "dense"):
            weight = _weights(node, inputs[0], rng, density)
            tensors[f"{node.name}.weight"] = weight
        sums = accumulate(node, inputs[0], weight).astype(np.float64)
        # Per channel where there are weights; the pools have one scale for all.
        axes = tuple(axis for axis in range(sums.ndim) if weight is None or axis != 1)
        deviation, mean = np.atleast_1d(sums.std(axes)), np.atleast_1d(sums.mean(axes))
        unsigned = node.output is not None and node.output[0] == 0
        # Unsigned: from three deviations below the middle of the range to three above; half of ReLU's inputs negative.
        middle = 0.0 if not unsigned else (0.1 if weight is not None else 0.5) * high
        scale = (high / 3 / np.maximum(deviation, 1.0)).astype(np.float32)
        jitter = rng.normal(0, 0.05 * high, scale.shape) if weight is not None else 0.0
        tensors[f"{node.name}.scale"] = scale
        tensors[f"{node.name}.offset"] = (middle + jitter - mean * scale).astype(np.float32)


def _weights(node: ModelNode, given: Floats, rng: np.random.Generator, density: float) -> NDArray[np.int8]:
    """Integers whose accumulators stay below the limit, dense or with zeros; no channel is all zeros."""
    high = 2 ** (node.bits - 1) - 1
    shape = weight_shape(node, given.shape[1:])
    weights = np.clip(np.rint(rng.normal(0, max(0.6, high / 3), shape)), -high, high).astype(np.int8)
    weights[rng.random(shape) >= density] = 0
    flat = weights.reshape(len(weights), -1)
    flat[np.arange(len(flat)), rng.integers(0, flat.shape[1], len(flat))] = high
    room = (ACCUMULATOR_LIMIT - 1) // 255
    while np.abs(flat.astype(np.int64)).sum(1).max() > room:
        flat //= 2
    return weights
