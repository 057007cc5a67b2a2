# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod train-link``: a constellation and a neural demapper learn together, through a channel.

One batch holds ``rows`` blocks, each at an Eb/N0 of its own stratum of the range. The loss of a block, the binary
cross-entropy of its LLRs, spans six decades over that range; it is divided by a running mean for its Eb/N0, so that
every Eb/N0 asks for the same relative improvement. Rare errors are found by importance sampling.

Batch i depends only on (seed, i), so a run that was interrupted and taken up again is the run that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TaskID
from torch import Tensor, nn

from gr_softmod.config import ConfigError, is_override, load_config
from gr_softmod.modem.channel import Channel
from gr_softmod.modem.checkpoint import load_checkpoint, save_checkpoint
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.importance import BoostedAWGN
from gr_softmod.modem.link import build_channel
from gr_softmod.modem.losses import bit_cross_entropy
from gr_softmod.modem.seeding import seeded_generator
from gr_softmod.modem.trained_link import OptimizerConfig, TrainedLink, TrainLinkConfig, save_link
from gr_softmod.modem.trained_report import write_report
from gr_softmod.run_dir import RunDir, RunError

#: The first index of seeds: what is drawn.
_TRAINING, _VALIDATION = 0, 1
#: Keys that do not change what is trained: a run may be taken up again with other values.
AFTER_TRAINING = ("out", "title", "rates_ebn0_db", "rates_symbols", "ber")
#: Eb/N0 [dB] whose points are kept at each validation, for the figure.
SNAPSHOTS_DB = (2.0, 8.0, 12.0, 18.0)


def run_train_link(arguments: Sequence[str]) -> RunDir:
    """What ``softmod train-link CONFIG [key=value ...]`` does: train, or go on training, and write the run directory.

    Raises:
        ConfigError, RunError, ValueError: each with one line of text for the person who called.
    """
    paths = [argument for argument in arguments if not is_override(argument)]
    if len(paths) != 1:
        raise ConfigError(f"give one configuration, not {len(paths)} (for example configs/link_64.yaml)")
    config = load_config(TrainLinkConfig, paths[0], [argument for argument in arguments if is_override(argument)])
    run = RunDir.create(config.out or f"runs/{Path(paths[0]).stem}", config, may_change=AFTER_TRAINING)
    torch.set_num_threads(config.threads)
    with _bar(config.train.steps) as (bars, task):
        trainer = Trainer(config, run)
        try:
            while trainer.step < config.train.steps:
                loss = trainer.advance()
                bars.update(task, completed=trainer.step, description=f"loss {loss:.4f}")
        except KeyboardInterrupt:
            bars.console.print(
                f"Interrupted at step {trainer.step}; the same command goes on from the last checkpoint."
            )
            raise
    best = trainer.best()
    save_link(run, best)
    write_report(run, config, best, trainer.history)
    return run


class Losses(NamedTuple):
    """Cross-entropies [rows] of a batch in nat per bit, of both demappers, and the Eb/N0 [rows] in dB."""

    neural: Tensor
    exact: Tensor | None
    ebn0_db: Tensor


class Trainer:
    """The state of a training: everything that a checkpoint holds.

    Args:
        config: what to train.
        run: where ``last.pt``, ``best.pt`` and ``log.jsonl`` are; an existing ``last.pt`` is taken up.
    Attributes:
        step: how many batches have been learnt from.
        history: points at each validation, complex [validations, len(SNAPSHOTS_DB), M].
    Raises:
        RunError: ``last.pt`` is damaged.
    """

    def __init__(self, config: TrainLinkConfig, run: RunDir) -> None:
        self.config, self.run, self.train = config, run, config.train
        self.device = torch.device(config.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.link = TrainedLink(config.constellation, config.demapper).to(self.device)
        self.exact = Demodulator(self.link.points) if self.train.points_learn_from == "exact" else None
        self.noise = BoostedAWGN(self._threshold_distance() if self.train.importance else 0.0)
        parts = [[self.noise] if name == "awgn" else build_channel({name: a}) for name, a in config.channel.items()]
        self.channel = Channel(*(module for part in parts for module in part)).to(self.device)
        demapper, points = list(self.link.demapper.parameters()), list(self.link.points.parameters())
        groups: list[dict[str, Any]] = [{"params": demapper, "peak": self.train.lr, "span": (0.0, 1.0)}]
        if points:
            span = (self.train.points_after, self.train.points_until)
            groups.append({"params": points, "peak": self.train.lr_points, "span": span})
        self.optimizer = torch.optim.Adam(groups)
        #: Running mean of the loss of each stratum.
        self.reference = torch.zeros(self.train.rows, device=self.device)
        self.step, self.best_score = 0, math.inf
        self.history = self._points()[None]
        self._take_up(load_checkpoint(run))

    # ---- one step

    def advance(self) -> float:
        """Learn from the next batch; log, validate and save when it is time. Returns the loss, 1 where it stands."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self._schedule(*group["span"])
            for parameter in group["params"]:  # what stands still needs no gradient, which saves most of the time
                parameter.requires_grad_(group["lr"] > 0)
        losses = self.batch(seeded_generator(self.config.seed, _TRAINING, self.step, device=self.device))
        self._update_reference(losses)
        reference = self._reference(losses.ebn0_db)
        loss = (losses.neural / reference).mean()
        value = float(loss.detach())
        if losses.exact is not None:
            loss = loss + (losses.exact / reference).mean()
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], self.train.clip)
        self.optimizer.step()
        self.step += 1
        if self.step % self.train.log_every == 0:
            log_loss = float(self.reference.clamp(min=1e-12).log().mean())
            self.run.log(step=self.step, loss=value, log_loss=log_loss, time=_now())
        if self.step % self.train.validate_every == 0 or self.step == self.train.steps:
            self._validate()
        return value

    def batch(self, generator: torch.Generator) -> Losses:
        """Send one batch; its losses, weighted to be those of ordinary noise."""
        rows, m = self.train.rows, self.link.bits_per_symbol
        low, high = self.train.ebn0_db
        place = torch.arange(rows, device=self.device) + torch.rand(rows, generator=generator, device=self.device)
        ebn0_db = low + (high - low) * place / rows
        noise_var = (10 ** (-ebn0_db / 10) / m)[:, None]
        shape = (rows, self.train.symbols * m)
        bits = torch.randint(0, 2, shape, generator=generator, device=self.device, dtype=torch.uint8)
        symbols = self.link.modulator(bits, noise_var)
        received = self.channel(symbols, noise_var=noise_var, generator=generator)
        if self.exact is None:
            return Losses(self._loss(self.link.demapper(received, noise_var), bits), None, ebn0_db)
        llr = self.exact(received, noise_var)
        # The network learns the exact soft bits instead of the bits that were sent: the same expectation, with none of
        # the chance of a bit whose symbol came to lie near a threshold. It does not move the points: it would hold them
        # where it has learnt to demap them.
        neural = self._loss(self.link.demapper(received.detach(), noise_var), torch.sigmoid(llr.detach()))
        return Losses(neural, self._loss(llr, bits), ebn0_db)

    def _loss(self, llr: Tensor, bits: Tensor) -> Tensor:
        """Cross-entropy of each row, of ordinary noise."""
        rows = zip(llr, bits, self.noise.weights, strict=True)
        return torch.stack([bit_cross_entropy(*row) for row in rows])

    def _schedule(self, start: float, end: float) -> float:
        """Share of the peak learning rate between two shares of the steps: a linear rise, a cosine to 0."""
        done = ((self.step + 0.5) / self.train.steps - start) / (end - start)
        if not 0 < done < 1:
            return 0.0
        rise = min(1.0, done / self.train.warmup) if self.train.warmup else 1.0
        return rise * 0.5 * (1 + math.cos(math.pi * done))

    def _update_reference(self, losses: Losses) -> None:
        # Starts as a plain mean, so that the first batches do not count for ever.
        share = max(0.02, 1 / (1 + self.step))
        self.reference += share * (losses.neural.detach() - self.reference)

    def _reference(self, ebn0_db: Tensor) -> Tensor:
        """The running loss at each Eb/N0: straight lines in the logarithm between the centres of the strata."""
        low, high = self.train.ebn0_db
        place = (ebn0_db - low) / (high - low) * self.train.rows - 0.5
        left = place.floor().clamp(0, self.train.rows - 2).to(torch.int64)
        logarithm = self.reference.clamp(min=1e-12).log()
        return (logarithm[left] + (place - left) * (logarithm[left + 1] - logarithm[left])).exp()

    def _threshold_distance(self) -> float:
        """Half the least distance of the points that training begins with."""
        points = self.link.points(torch.float32, torch.tensor(0.1)).detach().cpu()
        distance = (points[:, None] - points).abs() + 2 * torch.eye(len(points))
        return 0.5 * float(distance.min())

    # ---- validation and checkpoints

    @torch.no_grad()
    def _validate(self) -> None:
        """Score 16 batches that are never learnt from; keep the best weights; save a checkpoint."""
        scores = [
            self.batch(seeded_generator(self.config.seed, _VALIDATION, i, device=self.device)).neural for i in range(16)
        ]
        score = float(torch.stack(scores).mean(0).clamp(min=1e-12).log().mean())
        self.run.log(step=self.step, validation=score, time=_now())
        self.history = torch.cat([self.history, self._points()[None]])
        if score < self.best_score:
            self.best_score = score
            save_checkpoint(self.run, {"step": self.step, "score": score, "weights": self.link.weights()}, "best")
        save_checkpoint(self.run, self._state())

    def best(self) -> TrainedLink:
        """The link with the best weights so far."""
        state = load_checkpoint(self.run, "best")
        if state is not None:
            self._load_weights(state, "best.pt")
        return self.link.eval()

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "weights": self.link.weights(),
            "optimizer": self.optimizer.state_dict(),
            "reference": self.reference,
            "best_score": self.best_score,
            "history": self.history,
            "log_records": len(self.run.read_log()),
        }

    def _take_up(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self.run.rewind_log(0)
            return
        self._load_weights(state, "last.pt")
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            self.reference = state["reference"].to(self.device)
            self.step, self.best_score = int(state["step"]), float(state["best_score"])
            self.history = state["history"]
            records = int(state["log_records"])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise RunError(f"{self.run / 'last.pt'}: damaged checkpoint ({error}); delete it to start over") from None
        self.run.rewind_log(records)

    def _load_weights(self, state: dict[str, Any], name: str) -> None:
        weights = state.get("weights", {})
        shapes = {key: tensor.shape for key, tensor in weights.items()}
        if shapes != {key: tensor.shape for key, tensor in self.link.weights().items()}:
            raise RunError(f"{self.run / name}: the weights do not fit config.yaml; delete it to start over")
        self.link.load_state_dict(weights, strict=False)  # the modulator shares the points

    @torch.no_grad()
    def _points(self) -> Tensor:
        """Points at the Eb/N0 of the figure, complex64 [len(SNAPSHOTS_DB), M], on the CPU."""
        noise_var = [10 ** (-db / 10) / self.link.bits_per_symbol for db in SNAPSHOTS_DB]
        rows = [self.link.constellation(value).points for value in noise_var]
        return torch.tensor(np.stack(rows), dtype=torch.complex64)


def _now() -> float:
    return round(time.time(), 1)


@contextmanager
def _bar(steps: int) -> Iterator[tuple[Progress, TaskID]]:
    with Progress(console=Console(stderr=True), transient=True) as bars:
        yield bars, bars.add_task("loss", total=steps)


__all__ = ["OptimizerConfig", "Trainer", "run_train_link"]
