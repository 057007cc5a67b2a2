# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod train``: a network learns from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.config import DataConfig, TrainConfig
from gr_softmod.classifier.fit import Fit, make_fabric, progress_bar
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.plots import plot_training
from gr_softmod.classifier.store import LiveFeed, Store, StoredFeed, open_feed, open_store
from gr_softmod.classifier.trained import describe_training
from gr_softmod.run_dir import RunDir

__all__ = ["fit_with_bar", "make_stores", "new_network", "open_validation", "train"]

#: Keys that change nothing about what is learnt.
AFTER_TRAINING = ("out", "title")
#: Frames that the features' means and deviations are measured on, at most.
MEASURED = 65_536


def train(config: TrainConfig, out: str | Path = "runs/classifier") -> RunDir:
    """Train as ``config`` says, in ``config.out`` or else ``out``."""
    fabric = make_fabric(config.device)
    run = shared_run(fabric, config.out or out, config)
    feed, validation = make_stores(config, fabric)
    network = new_network(config, feed)
    extra = {
        "graph": network.graph.to_dict(),
        "trained_on": describe_training(config.data, fabric.device),
        "title": config.title,
        "history": [f"train: {config.model.architecture}, {config.train.steps} steps of {config.train.batch} frames"],
    }
    fit = Fit(run, network, feed, validation, config.train, fabric, seed=config.seed, extra=extra)
    fit_with_bar(fit, "train")
    if fabric.is_global_zero:
        plot_training(run)
    return run


def shared_run(fabric: Fabric, path: str | Path, config: Any, may_change: Sequence[str] = AFTER_TRAINING) -> RunDir:
    """The run directory, made by the first process and opened by all."""
    if fabric.is_global_zero:
        RunDir.create(path, config, may_change=may_change)
    fabric.barrier()
    return RunDir(path)


def make_stores(config: TrainConfig, fabric: Fabric) -> tuple[StoredFeed | LiveFeed, Store]:
    """What to learn from and what to be validated on, made where missing."""
    shown = fabric.is_global_zero
    count = (config.data.train or 0) + config.data.validation
    with progress_bar(count, "frames", shown) as show:
        feed = open_feed(config.data, config.seed, config.train.rotate, lambda done: show(done, ""))
        first = config.data.train or 0
        validation = open_store(config.data, "validation", config.data.validation, lambda done: show(first + done, ""))
    return feed, validation


def open_validation(data: DataConfig, fabric: Fabric) -> Store:
    """What decides when a network is best, made where missing."""
    with progress_bar(data.validation, "frames", fabric.is_global_zero) as show:
        return open_store(data, "validation", data.validation, lambda done: show(done, ""))


def new_network(config: TrainConfig, feed: StoredFeed | LiveFeed) -> Network:
    """The network at the beginning: weights by the seed, features' scales measured on training frames."""
    source = config.data.open()
    graph = build(config.model.architecture, source.class_names, source.frame_length, **config.model.arguments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = Network(graph)
    if network.scaler is not None:
        if isinstance(feed, StoredFeed):
            network.scaler.measure(feed.store.features[:MEASURED])
        else:
            network.scaler.measure(torch.cat([feed.batch(i, 256).features for i in range(16)]))
    return network


def fit_with_bar(fit: Fit, what: str) -> None:
    """Learn to the end, with progress; Ctrl-C says how to go on."""
    with progress_bar(fit.config.steps, what, fit.fabric.is_global_zero) as show:
        try:
            fit.fit(lambda step, loss: show(step + 1, f"loss {loss:.3f}"))
        except KeyboardInterrupt:
            if fit.fabric.is_global_zero:
                print(f"Interrupted at step {fit.step}; the same command goes on from the last checkpoint.")
            raise
