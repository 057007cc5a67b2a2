# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod quantize``: a float network learns to be one of integers, of ever fewer bits.

First all layers together (8 bits, then 6), then bit by bit: what loses least for what it saves goes, the network learns
again from labels and from its float self, and a step that falls under the accuracy floor is taken back. Each step has a
run directory of its own in the quantised run; one that is there already is not made again, so that an interrupted
quantisation ends as one that was not.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from lightning.fabric import Fabric
from pydantic import Field, field_validator

from gr_softmod.classifier.bit_search import Change, candidates, lowered, nonzero_weights, rank
from gr_softmod.classifier.config import DataConfig, DeviceConfig, FitConfig
from gr_softmod.classifier.cost import graph_cost
from gr_softmod.classifier.fit import Fit, make_fabric, progress_bar, score
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.prune import verb_config
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.quant_plot import plot_quantising
from gr_softmod.classifier.store import Prepared, Store, open_feed
from gr_softmod.classifier.train import open_validation, shared_run
from gr_softmod.classifier.trained import load_network, load_saved, masks_of, open_run
from gr_softmod.config import Config
from gr_softmod.modem import distributed
from gr_softmod.run_dir import RunDir

T = TypeVar("T")

__all__ = ["LowerSettings", "QuantizeConfig", "QuantizeSettings", "quantize", "run_quantize"]


class RoundConfig(FitConfig):
    """A round with new bits for all layers: gentler than learning from nothing, and with a teacher."""

    steps: int = Field(default=1000, ge=1)
    lr: float = Field(default=1e-3, gt=0)
    auxiliary: float = Field(default=0.0, ge=0)
    distillation: float = Field(default=0.5, ge=0, le=1)


class LowerRoundConfig(RoundConfig):
    """A round with a few bits less."""

    steps: int = Field(default=400, ge=1)
    lr: float = Field(default=5e-4, gt=0)
    validate_every: int = Field(default=200, ge=1)


class LowerSettings(Config):
    """How bits are taken away one by one."""

    weights: int = Field(default=4, ge=2, le=8, description="bits that are left at least")
    results: int = Field(default=4, ge=2, le=8, description="bits of activations that are left at least")
    ends: bool = Field(default=False, description="also those of inputs, of weights that read them, of the logits")
    share: float = Field(default=0.34, gt=0, le=1, description="of the bits that could go, tried at once")
    tolerance: float = Field(default=0.02, ge=0, lt=1, description="accuracy that may be lost against the float run")
    floor: float | None = Field(default=None, ge=0, le=1, description="accuracy to keep, instead of the tolerance")
    attempts: int = Field(default=12, ge=0, description="at most; 0: none")
    frames: int = Field(default=2048, ge=1, description="of the validation part, that the ranking is measured on")
    fit: LowerRoundConfig = LowerRoundConfig()


class QuantizeSettings(Config):
    """How a network is quantised."""

    bits: list[tuple[int, int]] = Field(
        default=[(8, 8), (6, 6)], min_length=1, description="of weights and activations, one round of learning each"
    )
    first: int = Field(default=8, ge=2, le=8, description="bits of the inputs and of the weights that read them")
    last: int = Field(default=8, ge=2, le=8, description="bits of the logits' weights")
    percentile: float = Field(default=99.9, gt=50, le=100, description="of magnitudes, that ranges begin with")
    measured: int = Field(default=1024, ge=1, description="frames that ranges are measured on")
    freeze_norm: float = Field(default=0.25, ge=0, le=1, description="share of each round, at its end, in which the "
                               "statistics of batch normalisation stand still")  # fmt: skip
    fit: RoundConfig = RoundConfig()
    lower: LowerSettings = LowerSettings()

    @field_validator("bits")
    @classmethod
    def _possible(cls, value: list[tuple[int, int]]) -> list[tuple[int, int]]:
        if any(not 2 <= bits <= 8 for pair in value for bits in pair):
            raise ValueError(f"{value}: bits must lie within 2 to 8")
        return value


class QuantizeConfig(Config):
    """``softmod quantize``: a trained or pruned run becomes one of integers."""

    run: str = Field(description="run directory of the float network")
    teacher: str | None = Field(default=None, description="run directory to be distilled from; the run itself without")
    out: str | None = None
    seed: int = Field(default=3, ge=0)
    data: DataConfig
    quantize: QuantizeSettings = QuantizeSettings()
    device: DeviceConfig = DeviceConfig()


def run_quantize(arguments: Sequence[str]) -> RunDir:
    """What ``softmod quantize RUN [CONFIG] [key=value ...]`` does: quantise, or go on quantising.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    return quantize(verb_config(QuantizeConfig, arguments))


def quantize(config: QuantizeConfig) -> RunDir:
    """Quantise as ``config`` says, in ``config.out`` or else beside the run it reads."""
    fabric = make_fabric(config.device)
    source = open_run(config.run)
    run = shared_run(fabric, config.out or f"{str(source).rstrip('/')}-quantized", config)
    try:
        Quantising(config, fabric, source, run).go()
    except KeyboardInterrupt:
        if fabric.is_global_zero:
            print("Interrupted; the same command goes on from the last checkpoint.")
        raise
    return run


class Quantising:
    """The rounds of one quantisation.

    Attributes:
        records: one a round: name, bits, accuracy, cost, whether it was kept.
        base: the run directory of the last round that was kept.
    """

    def __init__(self, config: QuantizeConfig, fabric: Fabric, source: RunDir, run: RunDir) -> None:
        self.config, self.fabric, self.run, self.settings = config, fabric, run, config.quantize
        self.source, self.base = source, source
        self.network: Network = load_network(source)
        if isinstance(self.network, QuantNetwork):
            raise ValueError(f"{source}: its network is quantised already; give a float one")
        self.masks = masks_of(self.network)
        self.teacher = load_network(open_run(config.teacher) if config.teacher else source).to(fabric.device)
        self.validation: Store = open_validation(config.data, fabric)
        self.before = score(self.teacher, self.validation, fabric.device)
        self.records: list[dict[str, Any]] = []

    def go(self) -> None:
        """All rounds, and the run's own ``best.pt``, ``quantize.json`` and figure."""
        for weights, results in self.settings.bits:
            graph = load_saved(self.source).graph
            graph = graph.with_bits(weights, results, self.settings.first, self.settings.last)
            number = len(self.records) + 1
            self._keep(*self._round(f"{number:02d}-w{weights}a{results}", graph, self.settings.fit))
        self._lower()
        if self.fabric.is_global_zero:
            shutil.copyfile(self.base / "best.pt", self.run / "best.pt")
        self.fabric.barrier()

    def _lower(self) -> None:
        """Take bits away as long as accuracy allows it."""
        lower = self.settings.lower
        floor = lower.floor if lower.floor is not None else self.before.accuracy - lower.tolerance
        refused: set[Change] = set()
        share = lower.share
        for attempt in range(1, lower.attempts + 1):
            graph = self.network.graph
            possible = [c for c in candidates(graph, lower.weights, lower.results, lower.ends) if c not in refused]
            if not possible:
                break
            count = max(1, math.floor(share * len(possible)))
            chosen = self._choose(f"{len(self.records) + 1:02d}-lower{attempt}", possible, count)
            child, network, record = self._round(
                f"{len(self.records) + 1:02d}-lower{attempt}", lowered(graph, chosen), lower.fit, chosen
            )
            if record["accuracy"] >= floor:
                self._keep(child, network, record)
            else:
                self._record({**record, "kept": False})
                share /= 2
                refused |= set(chosen) if len(chosen) == 1 else set()

    def _choose(self, name: str, possible: list[Change], count: int) -> list[Change]:
        """The bits to take away; those of a round that was begun before are read from it."""
        begun = (self.run.path / name / "config.yaml").exists()
        self.fabric.barrier()
        if begun:
            return [Change(*change) for change in RunDir(self.run / name).config["lowered"]]
        given = self.validation.rows(torch.arange(min(self.settings.lower.frames, self.validation.count)))
        assert isinstance(self.network, QuantNetwork)
        return _agreed(rank(self.network, possible, given.to(self.fabric.device))[:count])

    def _round(
        self, name: str, graph: Graph, fit_config: FitConfig, chosen: Sequence[Change] = ()
    ) -> tuple[RunDir, QuantNetwork, dict[str, Any]]:
        """One round of learning with the bits of ``graph``, from the last kept round."""
        network = QuantNetwork.from_network(self.network, graph)
        seed = self.config.seed * 1000 + len(self.records)
        feed = open_feed(self.config.data, seed, fit_config.rotate)
        if not isinstance(self.network, QuantNetwork):
            given: Prepared = feed.batch(0, self.settings.measured)
            network.measure(self.network, given.signal, given.features, self.settings.percentile)
        told = {
            "base": self.base.path.name,
            "graph": graph.to_dict(),
            "lowered": [list(change) for change in chosen],
            "data": self.config.data.to_dict(),
            "fit": fit_config.to_dict(),
        }
        child = shared_run(self.fabric, self.run / name, told)
        step = f"quantize: {describe_bits(graph)}, {fit_config.steps} steps of {fit_config.batch} frames"
        fit = Fit(
            child, network, feed, self.validation, fit_config, self.fabric,
            seed=seed, teacher=self.teacher, masks=self.masks, extra=load_saved(self.base).extra(graph, step),
        )  # fmt: skip
        self._fit(fit, network, name)
        fit.load_best()
        network.freeze_norm(False)
        reached = score(network, self.validation, self.fabric.device)
        cost = graph_cost(graph, nonzero_weights(network))
        return child, network, _agreed({
            "name": name, "bits": describe_bits(graph), "accuracy": reached.accuracy,
            "accuracy_good": reached.accuracy_good, "loss": reached.loss, "bops": cost.bops,
            "weight_bits": cost.weight_bits, "score": cost.score, "kept": True,
        })  # fmt: skip

    def _fit(self, fit: Fit, network: QuantNetwork, name: str) -> None:
        frozen_from = round((1 - self.settings.freeze_norm) * fit.config.steps)
        network.train()
        with progress_bar(fit.config.steps, name, self.fabric.is_global_zero) as show:
            while fit.step < fit.config.steps:
                if network.frozen_norm != (fit.step >= frozen_from):
                    network.freeze_norm(fit.step >= frozen_from)
                show(fit.step + 1, f"loss {fit.advance():.3f}")

    def _keep(self, child: RunDir, network: QuantNetwork, record: dict[str, Any]) -> None:
        self.base, self.network = child, network.eval()
        self._record(record)

    def _record(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        if self.fabric.is_global_zero:
            self.run.write_json("quantize.json", {"before": self.before._asdict(), "rounds": self.records})
            plot_quantising(self.run, self.before.accuracy, self.records)


def _agreed(value: T) -> T:
    """What the first process found, in all: processors that round differently must not take different ways."""
    result: T = distributed.share(value)
    return result


def describe_bits(graph: Graph) -> str:
    """Bits of weights and of activations, ``w6a6`` or ``w4-8a4-6``, for people."""

    def span(bits: list[int]) -> str:
        return f"{min(bits)}" if min(bits) == max(bits) else f"{min(bits)}-{max(bits)}"

    weights = [node.weight_bits for node in graph.nodes if node.weight_bits]
    results = [node.activation_bits for node in graph.nodes if node.activation_bits]
    return f"w{span(weights)}a{span(results)}"
