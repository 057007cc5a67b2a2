# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod prune``: weights go in steps, and what is left learns again from labels and the whole network.

In its feedback form a step that costs too much accuracy is taken back and tried again half as large (after Krzyston,
Bhattacharjea, Stark, "Feedback magnitude pruning", entry to ITU-ML5G-PS-007, 2021).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from lightning.fabric import Fabric
from pydantic import Field
from torch import Tensor

from gr_softmod.classifier.config import DataConfig, DeviceConfig, FitConfig
from gr_softmod.classifier.fit import Fit, make_fabric, score
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.plots import plot_pruning
from gr_softmod.classifier.sparsity import RelativeTo, prunable, prune_masks
from gr_softmod.classifier.store import Store, open_feed
from gr_softmod.classifier.structured import prune_channels
from gr_softmod.classifier.train import fit_with_bar, open_validation, shared_run
from gr_softmod.classifier.trained import Saved, load_network, load_saved, masks_of, open_run, run_data
from gr_softmod.config import (
    Config,
    ConfigError,
    apply_overrides,
    find_config,
    is_override,
    load_config,
    read_yaml,
)
from gr_softmod.run_dir import RunDir

__all__ = ["PruneConfig", "PruneSettings", "prune", "run_prune"]


#: Parts of a pipeline's configuration, of which a verb takes its own.
_OF_PIPELINES = ("title", "model", "train", "prune", "quantize", "eval", "export")


class PruneFitConfig(FitConfig):
    """How the rest learns again after a step: shorter and gentler than from nothing, and with a teacher."""

    steps: int = Field(default=500, ge=1)
    lr: float = Field(default=2e-3, gt=0)
    auxiliary: float = Field(default=0.0, ge=0)
    distillation: float = Field(default=0.5, ge=0, le=1)


class PruneSettings(Config):
    """How weights are taken away."""

    fraction: float = Field(default=0.15, gt=0, lt=1, description="of the weights that are left, a step")
    steps: int = Field(default=8, ge=1, description="tried at most")
    sparsity: float = Field(default=0.95, gt=0, lt=1, description="share of zeros at which it ends")
    tolerance: float = Field(default=0.02, ge=0, lt=1, description="accuracy that may be lost, as a share of frames")
    feedback: bool = Field(default=True, description="take a step back that loses more, and halve the next ones")
    smallest: float = Field(default=0.02, gt=0, lt=1, description="fraction below which it ends")
    relative_to: RelativeTo = Field(default="nothing", description="what magnitudes are measured in")
    structured: bool = Field(default=False, description="whole channels instead of single weights: quicker on CPUs")
    fit: PruneFitConfig = PruneFitConfig()


class PruneConfig(Config):
    """``softmod prune``: a trained run becomes a sparse one."""

    run: str = Field(description="run directory of the network to prune")
    out: str | None = None
    seed: int = Field(default=2, ge=0)
    data: DataConfig
    prune: PruneSettings = PruneSettings()
    device: DeviceConfig = DeviceConfig()


def run_prune(arguments: Sequence[str]) -> RunDir:
    """What ``softmod prune RUN [CONFIG] [key=value ...]`` does: prune, or go on pruning.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    return prune(verb_config(PruneConfig, arguments))


def verb_config(model: type[Any], arguments: Sequence[str]) -> Any:
    """The configuration of a verb that reads a run: ``RUN [CONFIG] [key=value ...]``, data as in the run.

    CONFIG may be one of a pipeline: the parts of other verbs are left out.
    """
    paths = [argument for argument in arguments if not is_override(argument)]
    if len(paths) not in (1, 2):
        raise ConfigError(f"give a run directory and, if need be, a configuration, not {len(paths)} paths")
    given = read_yaml(find_config(paths[1])) if len(paths) == 2 else {}
    given = {key: value for key, value in given.items() if key in model.model_fields or key not in _OF_PIPELINES}
    given.pop("out", None)
    given = apply_overrides(given, [argument for argument in arguments if is_override(argument)])
    data = run_data(open_run(paths[0]), given.get("data"))
    return load_config(model, {**given, "run": paths[0], "data": data.to_dict()})


def prune(config: PruneConfig) -> RunDir:
    """Prune as ``config`` says, in ``config.out`` or else beside the run it reads."""
    fabric = make_fabric(config.device)
    source = open_run(config.run)
    run = shared_run(fabric, config.out or f"{str(source).rstrip('/')}-pruned", config)
    Pruning(config, fabric, source, run).go()
    return run


class Pruning:
    """The steps of one pruning; each has a run directory of its own in the pruned run.

    Attributes:
        records: one a step: fraction, sparsity, accuracy, whether it was kept.
    """

    def __init__(self, config: PruneConfig, fabric: Fabric, source: RunDir, run: RunDir) -> None:
        self.config, self.fabric, self.run, self.settings = config, fabric, run, config.prune
        self.teacher = load_network(source).to(fabric.device)
        self.validation: Store = open_validation(config.data, fabric)
        self.accuracy = score(self.teacher, self.validation, fabric.device).accuracy
        self.base, self.fraction = source, self.settings.fraction
        self.records: list[dict[str, Any]] = []

    def go(self) -> None:
        """All steps, and the run's own ``best.pt``, ``prune.json`` and figure."""
        for number in range(1, self.settings.steps + 1):
            if self.fraction < self.settings.smallest or self._sparsity() >= self.settings.sparsity:
                break
            self._step(number)
        if self.fabric.is_global_zero:
            shutil.copyfile(self.base / "best.pt", self.run / "best.pt")
            self.run.write_json(
                "prune.json", {"before": {"accuracy": self.accuracy}, "after": self._sparsity(), "steps": self.records}
            )
            plot_pruning(self.run, self.accuracy, self.records)
        self.fabric.barrier()

    def _step(self, number: int) -> None:
        saved = load_saved(self.base)
        network, masks, done = self._pruned(saved)
        child = self._child(number)
        extra = saved.extra(network.graph, done)
        seed = self.config.seed * 1000 + number
        feed = open_feed(self.config.data, seed, self.settings.fit.rotate)
        fit = Fit(
            child, network, feed, self.validation, self.settings.fit, self.fabric,
            seed=seed, teacher=self.teacher, masks=masks, extra=extra,
        )  # fmt: skip
        fit_with_bar(fit, f"prune {number}")
        reached = score(fit.load_best(), self.validation, self.fabric.device)
        kept = not self.settings.feedback or reached.accuracy >= self.accuracy - self.settings.tolerance
        self.records.append(
            {
                "step": number,
                "fraction": self.fraction,
                "sparsity": 1 - count_weights(network) / self._whole(),
                "accuracy": reached.accuracy,
                "accuracy_good": reached.accuracy_good,
                "kept": kept,
            }
        )
        if kept:
            self.base = child
        else:
            self.fraction /= 2

    def _pruned(self, saved: Saved) -> tuple[Network, dict[str, Tensor], str]:
        """The network after one more step, before it learns again; its masks; a line for its history."""
        network = load_network(self.base, saved)
        if self.settings.structured:
            network = prune_channels(network, self.fraction)
            return network, masks_of(network), f"prune: {100 * self.fraction:g} % of the channels left, {self._fit()}"
        masks = prune_masks(network, self.fraction, masks_of(network), self.settings.relative_to, saved.graph)
        return network, masks, f"prune: {100 * self.fraction:g} % of the weights left, {self._fit()}"

    def _fit(self) -> str:
        fit = self.settings.fit
        return f"then {fit.steps} steps of {fit.batch} frames, distillation {fit.distillation:g}"

    def _child(self, number: int) -> RunDir:
        config = {
            "step": number,
            "fraction": self.fraction,
            "base": self.base.path.name,
            "data": self.config.data.to_dict(),
            "fit": self.settings.fit.to_dict(),
        }
        return shared_run(self.fabric, self.run / f"step{number:02d}", config)

    def _whole(self) -> int:
        return sum(p.numel() for p in prunable(self.teacher).values())

    def _sparsity(self) -> float:
        return 1 - count_weights(load_network(self.base)) / self._whole()


def count_weights(network: Network) -> int:
    """Weights of convolutions and dense layers that are not zero."""
    return sum(int((p != 0).sum()) for p in prunable(network).values())
