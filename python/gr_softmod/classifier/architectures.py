# SPDX-License-Identifier: GPL-3.0-or-later
"""Architectures as graphs: the published ones to compare with, and ours.

Each function returns a :class:`~gr_softmod.classifier.graph.Graph` of float nodes; ``with_bits`` quantises it. The
published ones are rebuilt from the descriptions that their authors gave with their entries to the ITU challenge
ITU-ML5G-PS-007, "Lightning-Fast Modulation Classification with Hardware-Efficient Neural Networks" (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gr_softmod.classifier.feature_set import SET_1, check_set, known_features
from gr_softmod.classifier.graph import Graph, Node

__all__ = ["ARCHITECTURES", "bacalhaunet", "build", "imperial", "softmod", "vgg10"]


def vgg10(class_names: Sequence[str], frame_length: int = 1024, channels: int = 64, hidden: int = 128) -> Graph:
    """VGG10: seven convolutions of kernel 3, each halved by a maximum, and three dense layers.

    12,864,512 multiplications and 159,104 weights a frame of 1024 with 24 classes. The challenge's baseline is this at
    8 bits with 2 % of its trained weights rounded to zero, which its count leaves out: 807,699,904 bit operations are
    12,620,311 multiplications, 1,244,936 bits are 155,617 weights.

    Source: O'Shea, Roy, Clancy, "Over-the-Air Deep Learning Based Radio Signal Classification", 2018, Table III; the
        challenge's notebook (Xilinx/brevitas-radioml-challenge-21) for normalisation and the dense layers' widths.
    """
    nodes, last = [Node("iq", "iq")], "iq"
    for i in range(1, 8):
        nodes.append(_conv(f"conv{i}", last, channels, 3))
        nodes.append(Node("max_pool", f"pool{i}", (f"conv{i}",), kernel=2, stride=2))
        last = f"pool{i}"
    nodes += [_dense("dense1", last, hidden), _dense("dense2", "dense1", hidden)]
    nodes.append(Node("dense", "logits", ("dense2",), len(class_names)))
    return Graph(tuple(nodes), frame_length, tuple(class_names))


def bacalhaunet(
    class_names: Sequence[str],
    frame_length: int = 1024,
    kernels: Sequence[int] = (27, 21, 15, 9, 9),
    strides: Sequence[int] = (2, 1, 2, 1, 2),
    channels: Sequence[int] = (24, 24, 48, 48, 48),
) -> Graph:
    """BacalhauNet, the challenge's winner: depthwise separable blocks with long kernels, residual where shapes allow,
    a maximum over time. 2,044,032 multiplications; 324,637 of them after its pruning, for a score of 0.0162.

    Source: ITU-AI-ML-in-5G-Challenge/ITU-ML5G-PS-007-BacalhauNet (Granhao, Rosa, Carvalho, Goncalves), its final
        configuration K[27,21,15,9,9] S[2,1,2,1,2] O[24,24,48,48,48] at 6 bits.
    """
    nodes, last, width = [Node("iq", "iq")], "iq", 2
    for i, (kernel, stride, out) in enumerate(zip(kernels, strides, channels, strict=True), 1):
        nodes += _separable(f"block{i}", last, width, out, kernel, stride)
        before, last = last, f"block{i}.pw"
        if stride == 1 and width == out:
            nodes.append(Node("add", f"block{i}.add", (before, last)))
            last = f"block{i}.add"
        width = out
    nodes += [Node("global_max_pool", "pool", (last,)), Node("dense", "logits", ("pool",), len(class_names))]
    return Graph(tuple(nodes), frame_length, tuple(class_names))


def imperial(class_names: Sequence[str], frame_length: int = 1024, channels: int = 64, hidden: int = 128) -> Graph:
    """The entry of Imperial College: expert features and seven strided convolutions, joined; a helper on each branch.

    About 3.25 million multiplications beside the features'. Its 32 features (a transform of N^2 products among them)
    are replaced by feature set 1.

    Source: ITU-AI-ML-in-5G-Challenge/PS-007-ML5G-Hardware-Efficient-Modulation-Classification_Imperial_IPC (Yatribi,
        El-Geresy, Jankowski, Lo).
    """
    nodes = [Node("iq", "iq"), Node("avg_pool", "halved", ("iq",), kernel=2, stride=2)]
    last = "halved"
    for i in range(1, 8):
        nodes.append(_conv(f"conv{i}", last, channels, 3, stride=2))
        last = f"conv{i}"
    nodes += [_dense("signal", last, hidden), Node("features", "features"), _dense("expert", "features", 32)]
    nodes += [Node("concat", "joint", ("signal", "expert")), _dense("head", "joint", hidden)]
    nodes.append(Node("dense", "logits", ("head",), len(class_names)))
    return Graph(tuple(nodes), frame_length, tuple(class_names), SET_1, ("signal", "expert"))


def softmod(
    class_names: Sequence[str],
    frame_length: int = 1024,
    channels: Sequence[int] = (16, 24, 32, 48),
    kernels: Sequence[int] = (8, 7, 7, 7),
    strides: Sequence[int] = (4, 2, 2, 2),
    expert: int = 48,
    head: int = 48,
    pool: str = "avg",
    branches: Sequence[str] = ("signal", "expert"),
    auxiliary: bool = True,
    feature_set: int = 1,
) -> Graph:
    """Ours: a strided convolution with few channels, separable blocks, a mean over time; beside it the expert features.

    Wide enough to learn well; pruning by cost then takes most of it away.

    Args:
        channels, kernels, strides: of the first convolution and of each separable block behind it.
        expert: width of the dense layer on the features; 0 joins the features as they are.
        head: width of the dense layer on both; 0 leaves it out.
        pool: over time, "avg" or "max".
        branches: "signal", "expert" or both (what is left out shows what it is worth).
        auxiliary: a linear classifier on each of two branches while training.
        feature_set: 1, 2 (the envelope and lower rates too) or 3 (and what lies behind matched filters), as far as
            frames of this length have them.
    """
    if pool not in ("avg", "max"):
        raise ValueError(f"pool is {pool!r}; it must be 'avg' or 'max'")
    if not branches or not set(branches) <= {"signal", "expert"}:
        raise ValueError(f"branches are {list(branches)}; allowed are 'signal' and 'expert'")
    check_set(feature_set)
    nodes, ends = [], []
    if "signal" in branches:
        nodes += [Node("iq", "iq"), _conv("stem", "iq", channels[0], kernels[0], strides[0])]
        last, width = "stem", channels[0]
        for i, (out, kernel, stride) in enumerate(zip(channels[1:], kernels[1:], strides[1:], strict=True), 1):
            nodes += _separable(f"block{i}", last, width, out, kernel, stride)
            last, width = f"block{i}.pw", out
        nodes.append(Node(f"global_{pool}_pool", "signal", (last,)))
        ends.append("signal")
    if "expert" in branches:
        nodes.append(Node("features", "features"))
        if expert:
            nodes.append(_dense("expert", "features", expert))
        ends.append("expert" if expert else "features")
    joint = ends[0]
    if len(ends) == 2:
        nodes.append(Node("concat", "joint", tuple(ends)))
        joint = "joint"
    if head:
        nodes.append(_dense("head", joint, head))
        joint = "head"
    nodes.append(Node("dense", "logits", (joint,), len(class_names)))
    names = known_features(frame_length, feature_set) if "expert" in branches else ()
    helped = tuple(ends) if auxiliary and len(ends) == 2 else ()
    return Graph(tuple(nodes), frame_length, tuple(class_names), names, helped)


ARCHITECTURES: Mapping[str, Callable[..., Graph]] = {
    "vgg10": vgg10,
    "bacalhaunet": bacalhaunet,
    "imperial": imperial,
    "softmod": softmod,
}


def build(name: str, class_names: Sequence[str], frame_length: int = 1024, **arguments: Any) -> Graph:
    """The architecture of a name; ``arguments`` are its own.

    Raises:
        ValueError: no such architecture or argument, or arguments that do not fit together.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"there is no architecture {name!r}; known: {', '.join(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[name](class_names, frame_length, **arguments)
    except TypeError as error:
        raise ValueError(f"architecture {name!r}: {error}") from None


def _conv(name: str, source: str, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> Node:
    """A convolution with normalisation and ReLU whose result has ``ceil(time / stride)`` samples."""
    whole = max(0, kernel - stride) if stride > 1 else kernel - 1
    padding = (whole // 2, whole - whole // 2)
    return Node(
        "conv", name, (source,), channels, kernel, stride, padding, groups, activation="relu", norm=True
    )  # fmt: skip


def _separable(name: str, source: str, width: int, channels: int, kernel: int, stride: int) -> list[Node]:
    return [
        _conv(f"{name}.dw", source, width, kernel, stride, groups=width),
        _conv(f"{name}.pw", f"{name}.dw", channels, 1),
    ]


def _dense(name: str, source: str, channels: int) -> Node:
    return Node("dense", name, (source,), channels, activation="relu", norm=True)
