# SPDX-License-Identifier: GPL-3.0-or-later
"""A run directory that holds a trained network: what is kept of it, and how the next verb opens it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gr_softmod.classifier.config import DataConfig
from gr_softmod.classifier.data.presets import PRESETS
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network
from gr_softmod.config import load_config
from gr_softmod.modem.checkpoint import load_checkpoint
from gr_softmod.run_dir import RunDir, RunError, first_line

__all__ = ["Saved", "describe_training", "load_network", "load_saved", "masks_of", "open_run", "run_data"]


class Saved(NamedTuple):
    """What ``best.pt`` says beside the weights.

    Attributes:
        title: one line for people.
        trained_on: see :func:`describe_training`.
        history: one line a verb, in order.
        score: of the validation frames: loss, accuracy, accuracy_good.
    """

    graph: Graph
    title: str
    trained_on: dict[str, Any]
    history: list[str]
    score: dict[str, float]
    weights: dict[str, Tensor]

    def extra(self, graph: Graph, step: str) -> dict[str, Any]:
        """For the ``best.pt`` of the next verb, that made ``graph`` of it by ``step``."""
        return {
            "graph": graph.to_dict(),
            "title": self.title,
            "trained_on": self.trained_on,
            "history": [*self.history, step],
        }


def open_run(path: str | Path) -> RunDir:
    """The run directory that a verb reads.

    Raises:
        RunError: it holds no trained network.
    """
    run = RunDir(path)
    if not (run / "best.pt").exists():
        raise RunError(f"{run}: no run directory with a trained network (there is no best.pt)")
    return run


def load_saved(run: RunDir) -> Saved:
    """``best.pt`` of a run.

    Raises:
        RunError: there is none, or it is damaged.
    """
    state = load_checkpoint(run, "best")
    if state is None:
        raise RunError(f"{run}: no run directory with a trained network (there is no best.pt)")
    try:
        graph = Graph.from_dict(state["graph"])
        return Saved(
            graph, state["title"], state["trained_on"], state["history"], state.get("score", {}), state["weights"]
        )
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{run / 'best.pt'}: damaged ({first_line(error)})") from None


def load_network(run: RunDir, saved: Saved | None = None) -> Network:
    """The network of ``best.pt``, in evaluation mode: a :class:`Network`, or its quantised form where it has bits.

    Raises:
        RunError: there is none, or it is damaged.
    """
    saved = saved or load_saved(run)
    network: Network
    if any(node.weight_bits for node in saved.graph.nodes):
        from gr_softmod.classifier.quant_network import QuantNetwork

        network = QuantNetwork(saved.graph)
    else:
        network = Network(saved.graph)
    try:
        network.load_state_dict(saved.weights)
    except (RuntimeError, TypeError) as error:
        raise RunError(f"{run / 'best.pt'}: damaged ({first_line(error)})") from None
    return network.eval()


def run_data(run: RunDir, changes: Mapping[str, Any] | None = None) -> DataConfig:
    """The data of a run (``data`` of its configuration), with some of its keys changed."""
    return load_config(
        DataConfig, {**run.config["data"], **{k: v for k, v in (changes or {}).items() if v is not None}}
    )


def masks_of(network: Network) -> dict[str, Tensor]:
    """Where the weights of a pruned network are not exactly zero, by parameter name; whole ones are left out."""
    masks = {}
    for name, parameter in network.named_parameters():
        if name.endswith("layer.weight") and bool((parameter == 0).any()):
            masks[name] = parameter.detach() != 0
    return masks


def describe_training(data: DataConfig, device: torch.device) -> dict[str, Any]:
    """What model cards and model files say about the frames that a network learns from.

    ``frames`` (shown, the same one each time it is shown) and ``seconds`` are added while it learns.
    """
    preset = PRESETS[data.preset or "radioml2018"] if data.source == "synthetic" else None
    snr = data.snr_db or (preset.snr_db if preset else None)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return {
        "preset": (data.preset or "radioml2018") if preset else f"{data.source} file",
        "samples_per_symbol": list(preset.transmitters.samples_per_symbol) if preset else None,
        "snr_db": list(snr[:2]) if snr else None,
        "frames": 0,
        "seconds": 0.0,
        "different_frames": data.train,
        "seed": data.seed,
        "device": name,
        **({"shares": data.shares} if data.shares else {}),
    }
