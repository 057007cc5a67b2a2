# SPDX-License-Identifier: GPL-3.0-or-later
"""Small topologies for the classifier's tests: every operation once, and random ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from gr_softmod.classifier.feature_set import SET_1
from gr_softmod.classifier.graph import Graph, Node

CLASSES = ("BPSK", "QPSK", "FM")


def every_operation(length: int = 256) -> Graph:
    """Two branches with every operation, uneven padding, groups and a residual sum."""
    return Graph(
        nodes=(
            Node("iq", "iq"),
            Node("features", "features"),
            Node("conv", "conv.1", ("iq",), 8, kernel=5, stride=2, padding=(2, 1), norm=True, activation="relu"),
            Node("conv", "conv.2", ("conv.1",), channels=8, kernel=3, padding=(1, 1), groups=8, norm=True),
            Node("add", "sum", ("conv.1", "conv.2"), activation="relu"),
            Node("conv", "conv.3", ("sum",), channels=12, kernel=4, stride=3, groups=2, activation="relu"),
            Node("max_pool", "pool", ("conv.3",), kernel=3, stride=2),
            Node("avg_pool", "mean", ("pool",), kernel=3, stride=2),
            Node("global_avg_pool", "average", ("mean",)),
            Node("global_max_pool", "peak", ("mean",)),
            Node("dense", "hidden", ("features",), channels=6, activation="relu", norm=True),
            Node("concat", "joint", ("average", "peak", "hidden")),
            Node("dense", "logits", ("joint",), channels=3),
        ),
        frame_length=length,
        class_names=CLASSES,
        feature_names=SET_1[3:8],
        auxiliary=("average", "hidden"),
    )  # fmt: skip


def frames(count: int, length: int = 256, seed: int = 0) -> np.ndarray:
    """QPSK of 8 samples a symbol at random levels in random noise, complex64 [count, length]."""
    rng = np.random.default_rng(seed)
    symbols = np.exp(0.5j * np.pi * rng.integers(0, 4, (count, length // 8 + 1))).repeat(8, 1)[:, :length]
    noise = rng.normal(size=(count, length)) + 1j * rng.normal(size=(count, length))
    return (10 ** rng.uniform(-3, 3, (count, 1)) * (symbols + rng.uniform(0, 1, (count, 1)) * noise)).astype(
        np.complex64
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A chain of a few random operations on IQ with random bits, and sometimes a branch of features."""
    length = draw(st.integers(128, 160))
    channels, time, nodes = 2, length, [Node("iq", "iq")]
    for i in range(draw(st.integers(0, 4))):
        kernel = draw(st.integers(1, min(7, time)))
        stride = draw(st.integers(1, 3))
        op = draw(st.sampled_from(["conv", "conv", "max_pool", "avg_pool"]))
        padding = (0, 0)
        if op == "conv":
            groups = draw(st.sampled_from([1, channels]))
            padding = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
            channels = groups * draw(st.integers(1, 6 if groups == 1 else 2))
            relu = draw(st.sampled_from(["relu", "none"]))
            node = replace(
                Node(op, f"n.{i}", (nodes[-1].name,), channels, kernel, stride), groups=groups, activation=relu
            )
            node = replace(node, padding=padding)
        else:
            node = Node(op, f"n.{i}", (nodes[-1].name,), kernel=kernel, stride=stride)
        time = (time + sum(padding) - kernel) // stride + 1
        nodes.append(node)
    features = draw(st.booleans())
    if features:
        nodes += [Node("features", "features"), Node("concat", "joint", (nodes[-1].name, "features"))]
    nodes.append(Node("dense", "logits", (nodes[-1].name,), channels=3))
    graph = Graph(tuple(nodes), length, CLASSES, SET_1[:2] if features else ())
    bits = {node.name: (draw(st.integers(2, 8)), draw(st.integers(2, 8))) for node in nodes}
    return graph.with_bits(8, 8, **bits)  # type: ignore[arg-type]
