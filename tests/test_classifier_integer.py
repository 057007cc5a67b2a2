# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer reference against sums of Python integers and torch's operations in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from classifier_graphs import every_operation, frames, graphs
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.integer import (
    activations,
    normalise,
    probabilities,
    quantise_inputs,
    run,
    run_integers,
    steadiest,
)
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile, ModelNode


def oracle(node: ModelNode, inputs: list[np.ndarray], model: ModelFile) -> np.ndarray:
    """One node in int64 and float32, by torch's own convolutions and pools."""
    tensors = {key: model.tensors.get(f"{node.name}.{key}") for key in ("weight", "scale", "offset")}
    x = torch.tensor(inputs[0]).double()
    if node.op == "max_pool":
        return functional.max_pool1d(x, node.kernel, node.stride).numpy()
    if node.op == "global_max_pool":
        return x.amax(-1).numpy()
    if node.op == "add":
        p, q = (np.float32(v) * s for v, s in zip(inputs, tensors["scale"], strict=True))
        values = p + q
    elif node.op == "concat":
        parts = [np.float32(v).reshape(len(v), -1) * s for v, s in zip(inputs, tensors["scale"], strict=True)]
        values = np.concatenate(parts, 1)
    else:
        if node.op == "conv":
            weight = torch.tensor(tensors["weight"]).double()
            sums = functional.conv1d(functional.pad(x, node.padding), weight, None, node.stride, groups=node.groups)
        elif node.op == "dense":
            sums = x.flatten(1) @ torch.tensor(tensors["weight"]).double().T
        elif node.op == "avg_pool":
            sums = functional.avg_pool1d(x, node.kernel, node.stride) * node.kernel
        else:
            sums = x.sum(-1)
        exact = sums.round().numpy()
        assert np.abs(exact).max() < 2**24
        shape = (1, -1, 1)[: exact.ndim]
        values = np.float32(exact) * tensors["scale"].reshape(shape) + tensors["offset"].reshape(shape)
    if node.output is None:
        return values
    return np.clip(np.rint(values), *node.output)


@settings(max_examples=25)
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_every_node_is_exact(graph: Graph, seed: int) -> None:
    model = random_model(graph, seed=seed)
    check_nodes(model)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_operation_is_exact(bits: int) -> None:
    check_nodes(random_model(every_operation(), bits, seed=bits))


def check_nodes(model: ModelFile) -> None:
    given_frames = frames(5, model.frame_length)
    iq, features = quantise_inputs(model, given_frames)
    results = activations(model, iq, features)
    shapes, ranges = model.shapes(), model.ranges()
    for node in model.nodes:
        result = results[node.name]
        assert result.shape == (5, *shapes[node.name]) and result.dtype == np.float32
        if node.inputs:
            np.testing.assert_array_equal(result, oracle(node, [results[name] for name in node.inputs], model))
        if node is not model.nodes[-1]:
            low, high = ranges[node.name]
            assert low <= result.min() and result.max() <= high and np.array_equal(result, np.rint(result))
    np.testing.assert_array_equal(run(model, given_frames), results[model.nodes[-1].name])


def test_batches_of_any_size_agree() -> None:
    model = random_model(every_operation(), 6)
    given_frames = frames(37)
    one_by_one = np.concatenate([run(model, frame[None]) for frame in given_frames])
    np.testing.assert_array_equal(run(model, given_frames), one_by_one)
    assert run(model, given_frames[:0]).shape == (0, 3)


def test_activations_of_random_models_use_their_range() -> None:
    model = random_model(every_operation(), 8, seed=3)
    results = activations(model, *quantise_inputs(model, frames(64)))
    for node in model.nodes[:-1]:
        low, high = model.ranges()[node.name]
        saturated = np.mean((results[node.name] == low) | (results[node.name] == high))
        assert saturated < 0.9 and np.ptp(results[node.name]) > high / 4, node.name


def test_density_of_random_models() -> None:
    model = random_model(every_operation(1024), 6, density=0.25)
    weights = np.concatenate([v.ravel() for k, v in model.tensors.items() if k.endswith("weight")])
    assert 0.15 < np.mean(weights != 0) < 0.4


def test_probabilities_are_softmax_of_scaled_logits() -> None:
    model = replace(random_model(every_operation(), 8), temperature=2.5)
    logits = torch.tensor(run(model, frames(7))).double() / 2.5
    np.testing.assert_allclose(probabilities(model, frames(7)), logits.softmax(1).numpy(), atol=1e-12)


def test_parity_frame_gives_parity_logits() -> None:
    model = random_model(every_operation(), 4)
    i, q = model.tensors["parity.frame"]
    assert run(model, (i + 1j * q)[None].astype(np.complex64))[0].tolist() == list(model.parity_logits)


def test_the_steadiest_frame_has_the_same_integers_whatever_the_noise() -> None:
    """A little noise changes no feature by as much as it takes: none is near a border."""
    model = random_model(every_operation(), 8)
    candidates = frames(1000, model.frame_length)
    chosen = steadiest(model, candidates)
    assert (candidates == chosen).all(1).sum() == 1
    rng = np.random.default_rng(1)
    near = chosen * (1 + 1e-4 * rng.normal(size=(50, model.frame_length)))
    features = quantise_inputs(model, near.astype(np.complex64))[1]
    assert features is not None and (features == quantise_inputs(model, chosen[None])[1]).all()


def test_the_level_of_a_frame_does_not_matter() -> None:
    model = random_model(every_operation(), 8)
    for level in (2.0**-80, 2.0**-20, 2.0**60):
        np.testing.assert_array_equal(run(model, frames(4) * np.complex64(level)), run(model, frames(4)))


@pytest.mark.parametrize("fill", [0, 1e-35, np.nan, np.inf])
def test_a_frame_without_a_usable_level_is_silence(fill: float) -> None:
    frame = np.full((1, 256), fill, np.complex64)
    assert not normalise(frame).any()
    model = random_model(every_operation(), 8)
    np.testing.assert_array_equal(run(model, frame), run(model, np.zeros((1, 256), np.complex64)))


def test_mean_is_removed_where_the_model_says_so() -> None:
    shifted = normalise(frames(3, seed=5) * 0.01 + 7 - 3j, remove_mean=True)
    np.testing.assert_allclose(shifted.mean(2), 0, atol=1e-3)
    np.testing.assert_allclose(np.square(shifted.astype(np.float64)).sum(1).mean(1), 1, atol=1e-6)


def test_wrong_frames_are_refused() -> None:
    model = random_model(every_operation(), 8)
    with pytest.raises(ValueError, match=r"frames are \[2, 255\]; they must be \[batch, 256\]"):
        run(model, frames(2, 255))
    with pytest.raises(ValueError, match="'features'"):
        run_integers(model, quantise_inputs(model, frames(2))[0], None)


def test_a_graph_without_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="nodes without bits"):
        random_model(every_operation())
