# SPDX-License-Identifier: GPL-3.0-or-later
"""A quantised network becomes a ModelFile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier import integer
from gr_softmod.classifier.lowering import model_nodes
from gr_softmod.classifier.quant_network import QuantNetwork, fold
from gr_softmod.model_file import ModelFile


def to_model_file(
    network: QuantNetwork,
    name: str = "classifier",
    *,
    trained_on: Mapping[str, Any] | None = None,
    temperature: float = 1.0,
    parity: NDArray[np.complexfloating] | None = None,
) -> ModelFile:
    """The integers of a quantised network with all that a ModelFile says about it.

    Args:
        network: every node has bits.
        name: one line for people.
        trained_on: see ``docs/model_file.md``.
        temperature: that its logits are divided by before they become probabilities.
        parity: frames, complex [N] or [B, N]; one that all processors round alike goes into the file with its logits.
    Raises:
        ValueError: a node has no bits, or an accumulator could reach 2^24 (ModelFileError).
    """
    graph = network.graph
    folded = fold(network)
    tensors = {key: value if value.dtype == np.int8 else value.astype(np.float32) for key, value in folded.items()}
    model = ModelFile(
        name=name,
        class_names=graph.class_names,
        frame_length=graph.frame_length,
        nodes=model_nodes(graph),
        tensors=tensors,
        feature_names=graph.feature_names,
        temperature=float(temperature),
    )
    if trained_on is not None:
        model = replace(model, trained_on=dict(trained_on))
    if parity is not None:
        frame = integer.steadiest(model, np.atleast_2d(parity))
        logits = integer.run(model, frame[None])[0]
        tensors["parity.frame"] = np.stack([frame.real, frame.imag])
        model = replace(model, tensors=tensors, parity_logits=tuple(map(float, logits)))
    model.check()
    return model
