# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit operations and bits of weights against qonnx's own count and the challenge's published figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.inference_cost import inference_cost

from classifier_graphs import every_operation, graphs
from gr_softmod.classifier.cost import BASELINE_BOPS, BASELINE_WEIGHT_BITS, feature_operations, graph_cost, model_cost
from gr_softmod.classifier.feature_set import compute
from gr_softmod.classifier.graph import Graph, Node
from gr_softmod.classifier.onnx_graph import qonnx
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile


def vgg10() -> Graph:
    """The challenge's baseline: O'Shea, Roy, Clancy 2018, Table III, 24 classes, frames of 1024."""
    nodes = [Node("iq", "iq")]
    for i in range(7):
        conv = Node("conv", f"conv{i}", (nodes[-1].name,), 64, 3, padding=(1, 1), norm=True, activation="relu")
        nodes += [conv, Node("max_pool", f"pool{i}", (conv.name,), kernel=2, stride=2)]
    for i, width in enumerate((128, 128)):
        nodes.append(Node("dense", f"dense{i}", (nodes[-1].name,), width, norm=True, activation="relu"))
    nodes.append(Node("dense", "logits", (nodes[-1].name,), 24))
    return Graph(tuple(nodes), 1024, tuple(f"class {i}" for i in range(24)))


def test_baseline_without_zeros() -> None:
    """qonnx's own tests hold these figures for RadioML_VGG10, "expected_dense"."""
    cost = graph_cost(vgg10().with_bits(8, 8))
    assert (cost.macs, cost.bops, cost.weight_bits) == (12_864_512, 823_328_768, 1_272_832)
    assert cost.score == pytest.approx(1.0209, abs=1e-4)


def test_baseline_with_its_zeros_scores_one() -> None:
    """The published 807,699,904 and 1,244,936 leave out 3,487 weights that were rounded to zero, and their products.

    Where those lie is not published; here they lie where the sums come out.
    """
    weights = {name: int(np.prod(shape)) for name, shape in vgg10().weight_shapes().items()}
    zeros = {"conv1": 400, "conv3": 200, "conv5": 9, "conv6": 709, "dense0": 2169}
    assert sum(zeros.values()) == 159_104 - 155_617
    cost = graph_cost(vgg10().with_bits(8, 8), {name: weights[name] - count for name, count in zeros.items()})
    assert (cost.macs, cost.bops, cost.weight_bits) == (12_620_311, BASELINE_BOPS, BASELINE_WEIGHT_BITS)
    assert cost.score == 1.0


def check_against_qonnx(model: ModelFile) -> None:
    cost = model_cost(model)
    reported = inference_cost(ModelWrapper(qonnx(model)), discount_sparsity=True)["total_cost"]
    dense = inference_cost(ModelWrapper(qonnx(model)), discount_sparsity=False)["total_cost"]
    # qonnx multiplies by a density in floating point
    assert reported["total_macs"] == pytest.approx(cost.macs, abs=1e-3)
    assert reported["total_bops"] == pytest.approx(cost.bops, rel=1e-9)
    assert reported["total_mem_w_bits"] == pytest.approx(cost.weight_bits, rel=1e-9)
    assert dense["total_macs"] == sum(layer.dense_macs for layer in cost.layers)


@pytest.mark.parametrize("density", [1.0, 0.2])
def test_every_operation_costs_what_qonnx_says(density: float) -> None:
    check_against_qonnx(random_model(every_operation().with_bits(6, 5), density=density))


@settings(max_examples=6)
@given(graph=graphs(), density=st.sampled_from([1.0, 0.5, 0.1]))
def test_random_networks_cost_what_qonnx_says(graph: Graph, density: float) -> None:
    check_against_qonnx(random_model(graph, density=density))


@given(graph=graphs(), density=st.sampled_from([1.0, 0.3]))
def test_graph_and_model_cost_the_same(graph: Graph, density: float) -> None:
    model = random_model(graph, density=density, parity=False)
    kept = {n.name: int(np.count_nonzero(model.tensors[f"{n.name}.weight"])) for n in graph.weighted()}
    assert graph_cost(graph, kept) == model_cost(model)


def test_float_counts_as_32_bits() -> None:
    cost = graph_cost(vgg10())
    assert cost.bops == 12_864_512 * 32 * 32 and cost.weight_bits == 159_104 * 32
    quantised = graph_cost(vgg10().with_bits(8, None, first=None))
    assert quantised.layers[3].activation_bits == 32 and quantised.layers[3].weight_bits == 8


def test_pools_pass_their_inputs_bits_on() -> None:
    bits = {layer.name: layer.activation_bits for layer in graph_cost(vgg10().with_bits(4, 3)).layers}
    assert bits["conv0"] == 8 and bits["conv1"] == bits["dense0"] == bits["logits"] == 3


def test_features_are_counted_beside_the_score() -> None:
    with_features = model_cost(random_model(every_operation(1024), 8))
    without = replace(with_features, feature_operations={})
    assert with_features.score == without.score and with_features.to_dict()["feature_bops"] > 1e8
    operations = with_features.feature_operations
    # the page of the features: one root, three divisions (of complex by real: two more), about 150 multiplications
    assert operations["roots"] // 1024 == 1 and 3 <= operations["divisions"] / 1024 < 6
    assert 100 < operations["multiplications"] / 1024 < 150
    # all rates: a half and a quarter more, the low-passes, and the envelopes' triangles
    rates = feature_operations(1024, 2)
    assert 1.75 < rates["multiplications"] / operations["multiplications"] < 2
    assert rates["comparisons"] == (1024 + 512 + 256) * (13 + 1)
    # three filters of nine taps for each of two parts, and their envelopes
    everything = feature_operations(1024, 3)
    more = everything["multiplications"] - rates["multiplications"]
    assert 3 * 9 * 2 < more / (1024 + 512 + 256) < 3 * (9 * 2 + 20)
    assert everything["comparisons"] == rates["comparisons"] + 3 * 13 * (1024 + 512 + 256)


def test_counting_does_not_change_what_is_computed() -> None:
    """The arrays that count must compute as others do, or what they count would mean nothing."""
    from gr_softmod.classifier.cost import _counting

    frame = np.exp(1j * np.arange(256) ** 1.5).astype(np.complex64)
    counted = compute(frame.view(_counting(dict.fromkeys(feature_operations(256), 0))))
    np.testing.assert_allclose(np.asarray(counted), compute(frame), rtol=1e-6)


def test_operations_grow_with_the_frame() -> None:
    short, long = feature_operations(1024), feature_operations(2048)
    assert all(1.9 < long[key] / short[key] <= 2.1 for key in short)
