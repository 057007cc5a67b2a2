# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantised networks: what they learn is what the integers compute."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from classifier_graphs import every_operation, frames
from gr_softmod.classifier import integer
from gr_softmod.classifier.architectures import ARCHITECTURES, build
from gr_softmod.classifier.export import to_model_file
from gr_softmod.classifier.export_run import onnx_session, run_onnx
from gr_softmod.classifier.feature_set import SET_1
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network, prepare
from gr_softmod.classifier.onnx_graph import qdq
from gr_softmod.classifier.quant_network import QuantNetwork, fold


def graph() -> Graph:
    return replace(every_operation(), feature_names=SET_1)


@lru_cache
def trained() -> Network:
    """A float network whose normalisations have seen frames and whose parameters are not those of the beginning."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Network(graph())
        for parameter in network.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, 0.5, 0.5)  # gains below zero too
        signal, rows = prepare(torch.tensor(frames(256, seed=1)))
        assert network.scaler is not None and rows is not None
        network.scaler.measure(rows)
        for _ in range(40):
            network.logits(signal, rows)
    return network.eval()


def quantised(weight_bits: int, activation_bits: int, first: int = 8) -> QuantNetwork:
    network = QuantNetwork.from_network(trained(), graph().with_bits(weight_bits, activation_bits, first=first))
    network.measure(trained(), *prepare(torch.tensor(frames(256, seed=1))))
    return network.eval()


@pytest.mark.parametrize("bits", [(8, 8), (6, 6), (5, 4), (4, 5), (3, 8), (2, 2)], ids=str)
def test_integers_give_the_networks_logits(bits: tuple[int, int]) -> None:
    network = quantised(*bits)
    given = frames(300, seed=7)
    with torch.no_grad():
        logits = network(torch.tensor(given)).numpy()
    reference = integer.run(to_model_file(network), given)
    # A value within float rounding of a tie may fall on either side; with these frames none does.
    np.testing.assert_allclose(reference, logits, atol=2e-5)
    assert np.sum(reference.argmax(1) != logits.argmax(1)) == 0


def in_float64(network: QuantNetwork, signal: torch.Tensor, rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network and of its integers, both in float64: no value is near enough to a tie to fall elsewhere."""
    tensors, nodes = fold(network.double()), to_model_file(network).nodes
    with torch.no_grad():
        logits = network.logits(signal.double(), rows.double()).numpy()
    results: dict[str, np.ndarray] = {}
    for node in nodes:
        if node.op == "iq":
            value = np.clip(np.rint(signal.double().numpy() * tensors["iq.scale"]), *node.output)
        elif node.op == "features":
            own = rows.double().numpy()[:, : len(tensors["features.mean"])]  # set 1 comes first
            standard = (own - tensors["features.mean"]) * tensors["features.scale"]
            value = np.clip(np.rint(standard), *node.output)
        else:
            value = integer.evaluate(node, [results[name] for name in node.inputs], tensors)
        results[node.name] = value
    return logits, results["logits"]


@pytest.mark.parametrize("bits", [(8, 8), (5, 4)], ids=str)
def test_folding_is_exact_where_arithmetic_is(bits: tuple[int, int]) -> None:
    signal, rows = prepare(torch.tensor(frames(300, seed=9)))
    assert rows is not None
    logits, integers = in_float64(quantised(*bits), signal, rows)
    np.testing.assert_allclose(integers, logits, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("bits", [8, 5])
def test_every_architecture_becomes_integers(architecture: str, bits: int) -> None:
    given = frames(12, 1024, seed=11)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Network(build(architecture, [f"class {i}" for i in range(24)]))
    signal, rows = prepare(torch.tensor(given))
    assert rows is not None
    if network.scaler is not None:
        network.scaler.measure(rows)
    with torch.no_grad():
        for _ in range(10):
            network.train().logits(signal, rows)
    integers = QuantNetwork.from_network(network.eval(), network.graph.with_bits(bits, bits))
    integers.measure(network, signal, rows)
    model = to_model_file(integers.eval())
    with torch.no_grad():
        logits = integers(torch.tensor(given)).numpy()
    reference = integer.run(model, given)
    np.testing.assert_array_equal(run_onnx(onnx_session(qdq(model)), model, given), reference)
    # In float32 a few of a frame's ten thousands of values lie within rounding of a tie and fall on the other side.
    assert np.abs(reference - logits).max() < 0.1 * reference.std()
    exact, folded = in_float64(integers, signal[:4], rows[:4])
    np.testing.assert_allclose(folded, exact, atol=1e-6)


def test_eight_bits_are_close_to_float_and_two_are_not() -> None:
    given = torch.tensor(frames(300, seed=7))
    with torch.no_grad():
        wanted = trained()(given)
        errors = [float((quantised(b, b, first=b)(given) - wanted).square().mean() / wanted.var()) for b in (8, 5, 2)]
    assert errors[0] < 0.05 < errors[2] and errors[0] < errors[1] < errors[2]


def test_pruned_weights_stay_zero_and_dead_channels_are_harmless() -> None:
    network = quantised(5, 5)
    layer = network.weighted()["conv.1"].layer
    with torch.no_grad():
        layer.weight[0] = 0
        layer.weight[1:, :, ::2] = 0
    model = to_model_file(network)
    weight = model.tensors["conv.1.weight"]
    assert not weight[0].any() and not weight[:, :, ::2].any() and weight[1:, :, 1::2].any()
    given = frames(50, seed=2)
    with torch.no_grad():
        np.testing.assert_allclose(integer.run(model, given), network(torch.tensor(given)).numpy(), atol=2e-5)


def test_names_of_parameters_are_those_of_the_float_network() -> None:
    float_state, state = trained().state_dict(), quantised(8, 8).state_dict()
    assert set(float_state) <= set(state)
    assert all("quant" in key for key in set(state) - set(float_state))
    for key, tensor in float_state.items():
        assert torch.equal(state[key], tensor)


def test_fewer_bits_keep_the_ranges() -> None:
    eight = quantised(8, 8)
    with torch.no_grad():
        for parameter in eight.quantisers.parameters():
            parameter.mul_(1.5)
    five = QuantNetwork.from_network(eight, graph().with_bits(5, 5))
    assert five.activation_scale("hidden") * 31 == pytest.approx(eight.activation_scale("hidden") * 255)
    assert five.activation_scale("conv.2") * 15 == pytest.approx(eight.activation_scale("conv.2") * 127)
    for name in ("conv.1", "logits"):
        a, b = (n.weighted()[name].layer.weight_quant.tensor_quant.scaling_impl.value for n in (five, eight))
        assert torch.equal(a, b)


def test_state_round_trip() -> None:
    first = quantised(4, 4)
    second = QuantNetwork(first.graph)
    second.load_state_dict(first.state_dict())
    given = torch.tensor(frames(20))
    with torch.no_grad():
        assert torch.equal(first(given), second.eval()(given))


def test_loading_a_state_keeps_the_parameters() -> None:
    """An optimiser is made before a checkpoint is loaded; it must not be left with parameters of the past."""
    network, other = quantised(4, 4), quantised(4, 4)
    before = dict(network.named_parameters())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.1)
    network.load_state_dict(other.state_dict())
    for name, parameter in network.named_parameters():
        assert parameter is before[name] and torch.equal(parameter, dict(other.named_parameters())[name]), name


def test_gradients_reach_weights_and_scales() -> None:
    network = quantised(4, 4).train()
    logits, helpers = network.forward_all(torch.tensor(frames(32)))
    (logits.square().mean() + sum(h.square().mean() for h in helpers.values())).backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not idle, idle


def test_frozen_normalisation_stands_still() -> None:
    network = quantised(8, 8).train()
    norm = network.weighted()["conv.1"].norm
    given = torch.tensor(frames(16, seed=4))
    before = norm.running_mean.clone()
    network.freeze_norm()
    network.train()(given)
    assert torch.equal(norm.running_mean, before) and network.training
    network.freeze_norm(False)
    network(given)
    assert not torch.equal(norm.running_mean, before)


def test_another_topology_is_refused() -> None:
    other = replace(graph(), class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match="another topology"):
        QuantNetwork.from_network(trained(), other.with_bits(8, 8))


def test_a_network_with_float_nodes_has_no_integers() -> None:
    partly = QuantNetwork.from_network(trained(), graph().with_bits(8, 8, hidden=None))
    with pytest.raises(ValueError, match="nodes without bits"):
        fold(partly)
