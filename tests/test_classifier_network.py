# SPDX-License-Identifier: GPL-3.0-or-later
"""Architectures and the torch network: published sizes, node by node against plain torch, what is refused."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gr_softmod.classifier.architectures import ARCHITECTURES, build
from gr_softmod.classifier.feature_set import SET_1, known_features
from gr_softmod.classifier.features import features, normalise
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network, prepare, without_auxiliary
from gr_softmod.conventions import CLASS_NAMES

FRAMES = torch.view_as_complex(torch.randn(6, 1024, 2, generator=torch.Generator().manual_seed(1)))


def multiplications(graph: Graph) -> int:
    shapes, weights = graph.shapes(), graph.weight_shapes()
    return sum(math.prod(weights[n.name]) * (shapes[n.name][1] if n.op == "conv" else 1) for n in graph.weighted())


def weight_count(graph: Graph) -> int:
    return sum(math.prod(shape) for shape in graph.weight_shapes().values())


@pytest.mark.parametrize(
    ("name", "products", "weights"),
    [
        # 807,699,904 bit operations and 1,244,936 bits are these at 8 bits, less the baseline's zeros: 2 % of each.
        ("vgg10", 12_864_512, 159_104),
        # The sum over the published configuration's blocks.
        ("bacalhaunet", 2_044_032, 9_318),
    ],
)
def test_published_sizes(name: str, products: int, weights: int) -> None:
    graph = build(name, CLASS_NAMES)
    assert multiplications(graph) == products
    assert weight_count(graph) == weights


def test_vgg10_is_the_challenges_baseline() -> None:
    graph = build("vgg10", CLASS_NAMES)
    assert 0.975 < 807_699_904 / (64 * multiplications(graph)) < 1
    assert 0.975 < 1_244_936 / (8 * weight_count(graph)) < 1


def test_imperial_is_as_described() -> None:
    graph = build("imperial", CLASS_NAMES)
    # With 32 features in place of 41: 3,252,224 products.
    assert multiplications(graph) - 9 * 32 == 3_252_224
    assert graph.auxiliary == ("signal", "expert")
    assert graph.shapes()["conv7"] == (64, 4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_learns_and_forgets_its_helpers(name: str) -> None:
    network = Network(build(name, CLASS_NAMES)).train()
    logits, helpers = network.forward_all(FRAMES)
    assert logits.shape == (6, 24) and all(helper.shape == (6, 24) for helper in helpers.values())
    (logits.square().sum() + sum(helper.square().sum() for helper in helpers.values())).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    bare = Network(build(name, CLASS_NAMES))
    assert not bare.load_state_dict(without_auxiliary(network.state_dict()), strict=False).unexpected_keys


def test_network_equals_plain_torch() -> None:
    """One network of every operation, written out by hand."""
    graph = build("softmod", CLASS_NAMES, channels=[4, 6], kernels=[8, 5], strides=[4, 2], expert=5, head=7)
    network = _shaken(graph)
    signal, rows = prepare(FRAMES)
    state = {key.removeprefix("nodes."): value for key, value in network.state_dict().items()}

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias, mean, var = (state[f"{name}.norm.{k}"] for k in ("weight", "bias", "running_mean", "running_var"))
        shape = [1, -1] + [1] * (x.ndim - 2)
        scaled = (x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt() * weight.view(shape) + bias.view(shape)
        return scaled.clamp(min=0)

    x = norm(F.conv1d(F.pad(signal, (2, 2)), state["stem.layer.weight"], stride=4), "stem")
    x = norm(F.conv1d(F.pad(x, (1, 2)), state["block1_dw.layer.weight"], stride=2, groups=4), "block1_dw")
    x = norm(F.conv1d(x, state["block1_pw.layer.weight"]), "block1_pw").mean(-1)
    scaled = ((rows[:, : len(SET_1)] - state["features.mean"]) / state["features.deviation"]).clamp(-4, 4)
    expert = norm(scaled @ state["expert.layer.weight"].T, "expert")
    head = norm(torch.cat([x, expert], 1) @ state["head.layer.weight"].T, "head")
    expected = head @ state["logits.layer.weight"].T + state["logits.layer.bias"]
    torch.testing.assert_close(network(FRAMES), expected, rtol=1e-4, atol=1e-5)


def test_residual_blocks_add() -> None:
    network = _shaken(build("bacalhaunet", CLASS_NAMES, channels=[4, 4], kernels=[5, 3], strides=[2, 1]))
    seen: dict[str, Tensor] = {}
    for name in ("block1_pw", "block2_pw"):
        network.nodes[name].register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    logits = network(FRAMES)
    total = seen["block1_pw"] + seen["block2_pw"]
    state = network.state_dict()
    expected = total.amax(-1) @ state["nodes.logits.layer.weight"].T + state["nodes.logits.layer.bias"]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_prepare_normalises_and_describes() -> None:
    signal, rows = prepare(37 * FRAMES)
    assert signal.shape == (6, 2, 1024) and signal.dtype == torch.float32
    torch.testing.assert_close(signal.square().sum(1).mean(-1), torch.ones(6))
    torch.testing.assert_close(rows, features(normalise(FRAMES)), rtol=1e-4, atol=1e-5)
    assert prepare(FRAMES, with_features=False)[1] is None


def test_features_are_standardised_and_limited() -> None:
    network = Network(build("softmod", CLASS_NAMES))
    rows = torch.randn(500, 41) * 3 + 7
    network.scaler.measure(rows)
    scaled = network.scaler(rows)
    assert scaled.mean(0).abs().max() < 1e-2 and (scaled.std(0) - 1).abs().max() < 0.02
    assert network.scaler(rows + 1e6).max() == 4 and network.scaler(rows - 1e6).min() == -4


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("vgg11", {}, "no architecture 'vgg11'"),
        ("softmod", {"pool": "sum"}, "'avg' or 'max'"),
        ("softmod", {"branches": ["iq"]}, "branches"),
        ("softmod", {"width": 3}, "width"),
        ("softmod", {"feature_set": 4}, "feature_set is 4; it must be one of 1, 2, 3"),
        ("softmod", {"feature_set": "all"}, "feature_set is 'all'"),
        ("vgg10", {"frame_length": 64}, "only 1 samples"),
    ],
)
def test_refusals(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, CLASS_NAMES, **arguments)


@pytest.mark.parametrize("branches", [["signal"], ["expert"]])
def test_one_branch_alone(branches: list[str]) -> None:
    network = Network(build("softmod", CLASS_NAMES, branches=branches)).eval()
    assert network(FRAMES).shape == (6, 24)
    assert network.graph.auxiliary == ()


@pytest.mark.parametrize(("feature_set", "count"), [(1, 41), (2, 108), (3, 192)])
def test_features_of_a_set(feature_set: int, count: int) -> None:
    graph = build("softmod", CLASS_NAMES, frame_length=256, feature_set=feature_set)
    assert graph.feature_names == known_features(256, feature_set) and len(graph.feature_names) == count
    assert Network(graph).eval()(FRAMES[:, :256]).shape == (6, 24)


def _shaken(graph: Graph) -> Network:
    """A network whose every number is its own: a mistake in any of them shows."""
    torch.manual_seed(3)
    network = Network(graph)
    rng = np.random.default_rng(4)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            low = 0.5 if key.endswith(("running_var", "deviation")) else -0.5
            value.copy_(torch.tensor(rng.uniform(low, 1, value.shape), dtype=value.dtype))
    return network.eval()
