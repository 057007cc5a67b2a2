# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod eval``: a trained network is judged on frames that decided nothing about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from gr_softmod.classifier.card import write_card
from gr_softmod.classifier.config import DeviceConfig
from gr_softmod.classifier.fit import make_fabric, progress_bar
from gr_softmod.classifier.metrics import fit_temperature, judge
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.plots import plot_accuracy, plot_calibration, plot_confusion, plot_rejection
from gr_softmod.classifier.store import Store, open_store
from gr_softmod.classifier.trained import load_network, load_saved, open_run, run_data
from gr_softmod.config import Config, ConfigError, is_override, load_config
from gr_softmod.run_dir import RunDir, machine

__all__ = ["EvaluateConfig", "evaluate", "predict", "run_evaluate"]


class EvaluateConfig(Config):
    """``softmod eval``."""

    frames: int | None = Field(default=None, ge=1, description="of the test split; data.test without it")
    store: str | None = Field(default=None, description="folder of stored frames; data.store without it")
    device: DeviceConfig = DeviceConfig()


def run_evaluate(arguments: Sequence[str]) -> RunDir:
    """What ``softmod eval RUN [key=value ...]`` does.

    Raises:
        ConfigError, RunError: each with one line of text for the person who called.
    """
    paths = [argument for argument in arguments if not is_override(argument)]
    if len(paths) != 1:
        raise ConfigError(f"give one run directory, not {len(paths)}")
    return evaluate(paths[0], load_config(EvaluateConfig, {}, [a for a in arguments if is_override(a)]))


def evaluate(path: str, config: EvaluateConfig | None = None) -> RunDir:
    """Judge a run on its test frames; leaves ``eval.json``, four figures and ``MODEL_CARD.md`` in it."""
    config = config or EvaluateConfig()
    run = open_run(path)
    data = run_data(run, {"store": config.store})
    fabric = make_fabric(config.device)
    saved = load_saved(run)
    network = load_network(run, saved).to(fabric.device)
    count = config.frames or data.test
    with progress_bar(count + data.validation, "frames") as show:
        test = open_store(data, "test", count, lambda done: show(done, ""))
        validation = open_store(data, "validation", data.validation, lambda done: show(count + done, ""))
    temperature = fit_temperature(predict(network, validation, fabric.device), validation.labels.numpy())
    logits = predict(network, test, fabric.device)
    result = judge(logits, test.labels.numpy(), test.snr_db.numpy(), saved.graph.class_names, temperature)
    write_evaluation(run, result)
    return run


def write_evaluation(run: RunDir, result: dict[str, Any]) -> None:
    """``eval.json``, figures and card of what :func:`~gr_softmod.classifier.metrics.judge` found."""
    run.write_json("eval.json", {**result, "machine": machine()})
    plot_accuracy(run, result["by_snr"])
    plot_confusion(
        run, [(name, np.array(matrix)) for name, matrix in result["confusion"].items()], result["class_names"]
    )
    plot_calibration(run, result["calibration"]["bins"], result["calibration"]["error"])
    plot_rejection(run, result["rejection"])
    write_card(run)


@torch.no_grad()
def predict(network: Network, store: Store, device: torch.device, size: int = 1024) -> NDArray[np.float32]:
    """Logits [count, C] of every frame of a store."""
    rows = []
    for part in store.batches(size):
        part = part.to(device)
        rows.append(network.logits(part.signal, part.features).float().cpu().numpy())
    return np.concatenate(rows)
