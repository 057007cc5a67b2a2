# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies: shapes against torch's, bits, round trips, and every refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr_softmod.classifier.graph import Graph, Node

IQ = Node("iq", "iq")
LOGITS = Node("dense", "logits", ("flat",), channels=3)
CLASSES = ("a", "b", "c")


def two_branches() -> Graph:
    return Graph(
        nodes=(
            Node("iq", "iq"),
            Node("features", "features"),
            Node(
                "conv", "conv.1", ("iq",), channels=8, kernel=5, stride=2, padding=(2, 1), activation="relu", norm=True
            ),
            Node("conv", "conv.2", ("conv.1",), channels=8, kernel=3, padding=(1, 1), groups=8, norm=True),
            Node("add", "sum", ("conv.1", "conv.2"), activation="relu"),
            Node("max_pool", "pool", ("sum",), kernel=2, stride=2),
            Node("avg_pool", "mean", ("pool",), kernel=3, stride=2),
            Node("global_avg_pool", "average", ("mean",)),
            Node("global_max_pool", "peak", ("mean",)),
            Node("dense", "hidden", ("features",), channels=6, activation="relu", dropout=0.1),
            Node("concat", "joint", ("average", "peak", "hidden")),
            Node("dense", "logits", ("joint",), channels=3),
        ),
        frame_length=128,
        class_names=CLASSES,
        feature_names=("c20", "c40"),
        auxiliary=("average", "hidden"),
    )


def test_shapes_of_every_operation() -> None:
    assert two_branches().shapes() == {
        "iq": (2, 128), "features": (2,), "conv.1": (8, 64), "conv.2": (8, 64), "sum": (8, 64), "pool": (8, 32),
        "mean": (8, 15), "average": (8,), "peak": (8,), "hidden": (6,), "joint": (22,), "logits": (3,),
    }  # fmt: skip
    assert two_branches().weight_shapes() == {
        "conv.1": (8, 2, 5), "conv.2": (8, 1, 3), "hidden": (6, 2), "logits": (3, 22)
    }  # fmt: skip


@given(
    length=st.integers(8, 60), kernel=st.integers(1, 7), stride=st.integers(1, 4),
    left=st.integers(0, 3), right=st.integers(0, 3),
)  # fmt: skip
def test_length_of_a_convolution_is_the_count_of_its_places(
    length: int, kernel: int, stride: int, left: int, right: int
) -> None:
    conv = Node("conv", "flat", ("iq",), channels=4, kernel=kernel, stride=stride, padding=(left, right))
    graph = Graph((IQ, conv, LOGITS), length, CLASSES)
    places = sum(start + kernel <= length + left + right for start in range(0, length + left + right, stride))
    assert graph.shapes()["flat"] == (4, places)


def test_signs_follow_relu() -> None:
    signed = two_branches().signed()
    assert [name for name, value in signed.items() if value] == ["iq", "features", "conv.2", "logits"]


def test_bits_of_first_last_and_single_nodes() -> None:
    graph = two_branches().with_bits(5, 4, **{"conv.2": (4, 3), "mean": 6})
    assert {n.name: n.weight_bits for n in graph.weighted()} == {"conv.1": 8, "conv.2": 4, "hidden": 8, "logits": 8}
    assert {n.name: n.activation_bits for n in graph.nodes} == {
        "iq": 8, "features": 8, "conv.1": 4, "conv.2": 3, "sum": 4, "pool": None, "mean": 6, "average": 4,
        "peak": None, "hidden": 4, "joint": 4, "logits": None,
    }  # fmt: skip
    assert graph.quantised and not two_branches().quantised
    assert graph.with_bits(None, None, None, None) == two_branches()


@pytest.mark.parametrize("graph", [two_branches(), two_branches().with_bits(6, 5)], ids=["float", "quantised"])
def test_round_trip_through_plain_values(graph: Graph) -> None:
    assert Graph.from_dict(graph.to_dict()) == graph
    assert hash(Graph.from_dict(graph.to_dict())) == hash(graph)


def changed(name: str, /, **values: object) -> tuple[Node, ...]:
    return tuple(replace(n, **values) if n.name == name else n for n in two_branches().nodes)  # type: ignore[arg-type]


FAULTS = {
    "no earlier node": {"nodes": changed("sum", inputs=("conv.1", "conv.9"))},
    "is there twice": {"nodes": changed("conv.2", name="conv.1")},
    "must be 1 to 64": {"nodes": changed("peak", name="Peak")},
    "known: iq": {"nodes": changed("peak", op="min_pool")},
    "has 1 inputs": {"nodes": changed("joint", inputs=("average",))},
    "do not divide": {"nodes": changed("conv.2", groups=3)},
    "shapes must be equal": {"nodes": changed("conv.2", padding=(0, 0))},
    "only 32 samples": {"nodes": changed("mean", kernel=33)},
    "has no time": {"nodes": changed("peak", inputs=("average",))},
    "must have 1 to": {"nodes": changed("hidden", channels=0)},
    "has stride 0": {"nodes": changed("pool", stride=0)},
    "left and right": {"nodes": changed("conv.1", padding=(-1, 0))},
    "known: relu, none": {"nodes": changed("hidden", activation="gelu")},
    "in [0, 1)": {"nodes": changed("hidden", dropout=1.0)},
    "cannot have 'groups'": {"nodes": changed("hidden", groups=2)},
    "cannot have 'norm'": {"nodes": changed("sum", norm=True)},
    "allowed are 2 to 8": {"nodes": changed("hidden", weight_bits=1)},
    "keeps its input's range": {"nodes": changed("pool", activation_bits=8)},
    "do not match": {"class_names": ("a", "b")},
    "different class names": {"class_names": ("a", "b", "b")},
    "is read by no other": {"nodes": changed("logits", inputs=("hidden",))},
    "must be a dense one": {"nodes": changed("logits", activation="relu")},
    "auxiliary names": {"auxiliary": ("conv.7",)},
    "if, and only if": {"feature_names": ()},
    "of 128 samples have no feature 'mean/2'": {"feature_names": ("c20", "mean/2")},
    "frame_length is 0": {"frame_length": 0},
    "more than one": {"nodes": changed("features", op="iq")},
    "at most 1048576": {
        "frame_length": 65_536,
        "nodes": (IQ, Node("conv", "flat", ("iq",), channels=64), LOGITS),
        "feature_names": (),
        "auxiliary": (),
    },
    "it must have 1 to 256": {"nodes": ()},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_refusals_name_the_fault(fault: str) -> None:
    with pytest.raises(ValueError) as error:
        replace(two_branches(), **FAULTS[fault])  # type: ignore[arg-type]
    assert fault in str(error.value)


@pytest.mark.parametrize(
    "data, text",
    [
        ({"nodes": [{"op": "iq", "name": "iq", "colour": 1}]}, "unknown key 'colour'"),
        ({"nodes": [{"op": "iq"}]}, "has no 'name'"),
        ({"depth": 3}, "has no key 'depth'"),
    ],
)
def test_unknown_keys_are_refused(data: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Graph.from_dict({**two_branches().to_dict(), **data})


def test_bits_for_an_unknown_node_are_refused() -> None:
    with pytest.raises(ValueError, match="'conv.9', which is no node"):
        two_branches().with_bits(8, 8, **{"conv.9": 4})
