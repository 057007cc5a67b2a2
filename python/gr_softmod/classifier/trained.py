# SPDX-License-Identifier: GPL-3.0-or-later
"""A run directory that holds a trained network: what is kept of it, and how the next verb opens it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.classifier.config import DataConfig
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.store import open_source
from gr_softmod.config import load_config
from gr_softmod.modem.checkpoint import load_checkpoint
from gr_softmod.run_dir import RunDir, RunError

__all__ = ["describe_training", "load_network", "masks_of", "open_run", "run_data", "trained_on"]


def open_run(path: str | Path) -> RunDir:
    """The run directory that a verb reads.

    Raises:
        RunError: it holds no trained network.
    """
    run = RunDir(path)
    if not (run / "best.pt").exists():
        raise RunError(f"{run}: no run directory with a trained network (there is no best.pt)")
    return run


def load_network(run: RunDir) -> nn.Module:
    """The network of ``best.pt``, in evaluation mode: a :class:`Network`, or its quantised form where it has bits.

    Raises:
        RunError: there is none, or it is damaged.
    """
    state = _state(run)
    try:
        graph = Graph.from_dict(state["graph"])
        network: nn.Module
        if any(node.weight_bits for node in graph.nodes):
            from gr_softmod.classifier.quantize import QuantNetwork

            network = QuantNetwork(graph)
        else:
            network = Network(graph)
        network.load_state_dict(state["weights"])
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise RunError(f"{run / 'best.pt'}: damaged ({str(error).splitlines()[0]})") from None
    return network.eval()


def trained_on(run: RunDir) -> dict[str, Any]:
    """What :func:`describe_training` said of the run; its round of learning and those before it."""
    return dict(_state(run).get("trained_on", {}))


def run_data(run: RunDir) -> DataConfig:
    """The data of a run: ``data`` of its configuration."""
    return load_config(DataConfig, run.config["data"])


def masks_of(network: nn.Module) -> dict[str, Tensor]:
    """Where the weights of a pruned network are not exactly zero, by parameter name; weights that are whole are left out."""
    masks = {}
    for name, parameter in network.named_parameters():
        if name.endswith("layer.weight") and bool((parameter == 0).any()):
            masks[name] = parameter.detach() != 0
    return masks


def describe_training(
    data: DataConfig, frames: int, device: torch.device, before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a model card and a model file say about the frames that a network has learnt from.

    Args:
        frames: how many were shown in this round (the same frame each time it is shown).
        before: what this function said of the network that this round began with.
    """
    from gr_softmod.classifier.data.presets import PRESETS

    source, preset = open_source(data), PRESETS[data.preset]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return {
        "preset": data.preset,
        "samples_per_symbol": list(preset.transmitters.samples_per_symbol),
        "snr_db": [min(source.snr_grid), max(source.snr_grid)],
        "frames": frames + int((before or {}).get("frames", 0)),
        "different_frames": data.train,
        "seed": data.seed,
        "device": name,
    }


def _state(run: RunDir) -> dict[str, Any]:
    state = load_checkpoint(run, "best")
    if state is None:
        raise RunError(f"{run}: no run directory with a trained network (there is no best.pt)")
    return state
