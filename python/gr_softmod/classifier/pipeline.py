# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod pipeline``: all verbs in a row from one configuration, each a run directory, each resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from gr_softmod.classifier.config import TrainConfig
from gr_softmod.classifier.cost_report import run_cost
from gr_softmod.classifier.evaluate import EvaluateConfig, evaluate
from gr_softmod.classifier.export_run import ExportConfig, export_run
from gr_softmod.classifier.prune import PruneConfig, PruneSettings, prune
from gr_softmod.classifier.quantize import QuantizeConfig, QuantizeSettings, quantize
from gr_softmod.classifier.train import train
from gr_softmod.config import ConfigError, is_override, load_config
from gr_softmod.modem.distributed import rank
from gr_softmod.run_dir import RunDir

__all__ = ["PipelineConfig", "run_pipeline", "run_train"]


class PipelineConfig(TrainConfig):
    """A training and what follows it. Every configuration of a classifier is one; ``train`` reads its part alone."""

    prune: PruneSettings | None = Field(default=None, description="null: nothing is pruned")
    quantize: QuantizeSettings | None = Field(default=None, description="null: it stays float, and is not exported")
    eval: EvaluateConfig = EvaluateConfig()
    export: ExportConfig = ExportConfig()

    def training(self) -> TrainConfig:
        """The part of ``softmod train``."""
        return TrainConfig(**{name: getattr(self, name) for name in TrainConfig.model_fields})


def run_train(arguments: Sequence[str]) -> RunDir:
    """What ``softmod train CONFIG [key=value ...]`` does: train, or go on training.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    config, out = _read(arguments)
    return train(config.training(), out)


def run_pipeline(arguments: Sequence[str]) -> list[RunDir]:
    """What ``softmod pipeline CONFIG [key=value ...]`` does: every stage, in ``OUT/1-train``, ``OUT/2-prune``, ...

    A stage that was interrupted goes on; one that is done is not made again. Each is judged and its cost counted; the
    last one, where it is quantised, is exported.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    config, default = _read(arguments)
    out = Path(config.out or default)
    whole = train(config.training().model_copy(update={"out": str(out / "1-train")}))
    runs = [whole]
    common: dict[str, Any] = {"data": config.data, "device": config.device}
    if config.prune is not None:
        folder = str(out / f"{len(runs) + 1}-prune")
        runs.append(prune(PruneConfig(run=str(runs[-1]), out=folder, prune=config.prune, **common)))
    if config.quantize is not None:
        folder = str(out / f"{len(runs) + 1}-quantize")
        settings = QuantizeConfig(run=str(runs[-1]), teacher=str(whole), out=folder, quantize=config.quantize, **common)
        runs.append(quantize(settings))
    if rank() == 0:
        _finish(config, runs)
    return runs


def _finish(config: PipelineConfig, runs: list[RunDir]) -> None:
    """Cost, judgement and export: one process does them."""
    run_cost([str(run) for run in runs])
    for run in runs:
        evaluate(str(run), config.eval)
    if config.quantize is not None:
        export_run(str(runs[-1]), config.export)


def _read(arguments: Sequence[str]) -> tuple[PipelineConfig, str]:
    """The configuration, and where its runs go unless it says otherwise."""
    paths = [argument for argument in arguments if not is_override(argument)]
    if len(paths) != 1:
        raise ConfigError(f"give one configuration, not {len(paths)} (for example configs/classifier_radioml2018.yaml)")
    overrides = [argument for argument in arguments if is_override(argument)]
    return load_config(PipelineConfig, paths[0], overrides), f"runs/{Path(paths[0]).stem}"
