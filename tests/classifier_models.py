# SPDX-License-Identifier: GPL-3.0-or-later
"""Small classifiers for the tests of blocks: of random weights, and one that is known to be right."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pmt

from gr_softmod.classifier.graph import Graph, Node
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile, ModelNode


@cache
def small_model(length: int = 64, classes: int = 3, seed: int = 0) -> ModelFile:
    """One convolution with random weights."""
    graph = Graph(
        nodes=(
            Node("iq", "iq"),
            Node("conv", "conv", ("iq",), channels=4, kernel=5, stride=2, activation="relu"),
            Node("global_avg_pool", "mean", ("conv",)),
            Node("dense", "logits", ("mean",), channels=classes),
        ),
        frame_length=length,
        class_names=tuple(f"class {i}" for i in range(classes)),
    )
    return random_model(graph, 8, seed)


@cache
def sign_model(length: int = 64) -> ModelFile:
    """Class "I" for frames whose mean has a positive real part, "Q" for those of a positive imaginary part."""
    return ModelFile(
        name="sign",
        class_names=("I", "Q"),
        frame_length=length,
        nodes=(
            ModelNode("iq", "iq", output=(-127, 127)),
            ModelNode("global_avg_pool", "mean", ("iq",), output=(-127, 127)),
            ModelNode("dense", "logits", ("mean",), features=2),
        ),
        tensors={
            "iq.scale": np.array([64], np.float32),
            "mean.scale": np.array([1 / length], np.float32),
            "mean.offset": np.zeros(1, np.float32),
            "logits.weight": np.eye(2, dtype=np.int8),
            "logits.scale": np.full(2, 0.05, np.float32),
            "logits.offset": np.zeros(2, np.float32),
        },
    )


def u8vector(data: bytes) -> Any:
    return pmt.init_u8vector(len(data), list(data))
