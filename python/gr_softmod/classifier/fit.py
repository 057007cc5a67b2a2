# SPDX-License-Identifier: GPL-3.0-or-later
"""One round of learning, whatever the network is: from nothing, after pruning, quantised.

:class:`Fit` owns the loop, the schedule, checkpoints and the log. Batch i depends on (seed, i) alone and every number
that a step needs is in ``last.pt``, so that a run which was interrupted ends as one that was not, bit for bit on a CPU.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from gr_softmod.classifier.config import DeviceConfig, FitConfig
from gr_softmod.classifier.losses import training_loss
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.store import Feed, Prepared, Store
from gr_softmod.modem.checkpoint import load_checkpoint, save_checkpoint
from gr_softmod.modem.distributed import leave_group_at_exit
from gr_softmod.run_dir import RunDir, RunError, first_line

__all__ = ["Fit", "Score", "make_fabric", "progress_bar", "score"]

#: The SNR from which a signal counts as well received, in every table.
GOOD_SNR_DB = 10.0


class Score(NamedTuple):
    """How a network does on a set of frames."""

    loss: float
    accuracy: float
    accuracy_good: float


class Heads(nn.Module):
    """``forward`` gives all logits, so that gradients of several processes are averaged behind it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, signal: Tensor, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.network.all_logits(signal, rows)


def make_fabric(config: DeviceConfig) -> Fabric:
    """Fabric for this process: alone, or one of those that ``torchrun`` started."""
    torch.set_num_threads(config.threads)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    nodes = max(1, world // int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))) if world > 1 else 1
    fabric = Fabric(
        accelerator=config.accelerator,
        devices=world // nodes,
        num_nodes=nodes,
        strategy="ddp" if world > 1 else "auto",
        precision=config.precision,
    )
    fabric.launch()
    leave_group_at_exit()
    return fabric


@torch.no_grad()
def score(network: Network, store: Store, device: torch.device, size: int = 1024) -> Score:
    """Mean cross-entropy and accuracy over a store; the network is left in the mode it was in."""
    training = network.training
    network.eval()
    losses, right = [], []
    for part in store.batches(size):
        part = part.to(device)
        logits = network.logits(part.signal, part.features)
        losses.append(F.cross_entropy(logits.float(), part.labels, reduction="none").cpu())
        right.append((logits.argmax(1) == part.labels).cpu())
    network.train(training)
    hits = torch.cat(right).double()
    good = store.snr_db >= GOOD_SNR_DB
    return Score(
        float(torch.cat(losses).double().mean()),
        float(hits.mean()),
        float(hits[good].mean()) if good.any() else math.nan,
    )


class Fit:
    """The state of one round of learning.

    Args:
        run: where ``last.pt``, ``best.pt`` and ``log.jsonl`` are; an existing ``last.pt`` is taken up.
        network: learns in place; float or quantised.
        feed: what it learns from.
        validation: what decides when it was best: the lowest loss.
        config: how.
        fabric: on what.
        seed: of dropout.
        teacher: what it is distilled from; needed where ``config.distillation`` is not 0.
        masks: by parameter name, what stays (True) and what is held at zero.
        extra: kept in ``best.pt`` beside the weights; to the frames and seconds of ``trained_on`` in it, this round's
            are added.
    Attributes:
        step: how many batches have been learnt from.
        seconds: how long that took, interruptions left out.
    Raises:
        RunError: ``last.pt`` is damaged.
    """

    def __init__(
        self,
        run: RunDir,
        network: Network,
        feed: Feed,
        validation: Store,
        config: FitConfig,
        fabric: Fabric,
        *,
        seed: int,
        teacher: Network | None = None,
        masks: Mapping[str, Tensor] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.run, self.network, self.feed, self.validation = run, network, feed, validation
        self.config, self.fabric, self.seed, self.teacher = config, fabric, seed, teacher
        self.extra = dict(extra or {})
        optimizer = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.lr)
        self.heads, self.optimizer = fabric.setup(Heads(network), optimizer)
        if teacher is not None:
            teacher.to(fabric.device).eval()
        parameters = dict(network.named_parameters())
        self.masks = {name: mask.to(fabric.device) for name, mask in (masks or {}).items()}
        self._masked = [(parameters[name], mask) for name, mask in self.masks.items()]
        self.average = copy.deepcopy(network) if config.ema else None
        self.step, self.best, self.seconds = 0, math.inf, 0.0
        self._take_up(load_checkpoint(run))
        self._hold_masks()

    def fit(self, on_step: Callable[[int, float], object] = lambda step, loss: None) -> None:
        """Learn until the end; checkpoints are kept at every validation."""
        self.network.train()
        while self.step < self.config.steps:
            on_step(self.step, self.advance())

    def advance(self) -> float:
        """Learn from the next batch; log, validate and save when it is time. Returns the loss."""
        began = time.perf_counter()
        config = self.config
        given = self.feed.batch(self.step, config.batch, self.fabric.global_rank, self.fabric.world_size)
        given = given.to(self.fabric.device)
        torch.manual_seed((self.seed << 24) + self.step)  # dropout
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * _schedule(self.step, config.steps, config.warmup)
        loss = self._loss(given)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.heads, self.optimizer, max_norm=config.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self._hold_masks()
        self._update_average()
        self.step += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise RunError(f"{self.run}: the loss is {value} at step {self.step}; a lower train.lr may help")
        self.seconds += time.perf_counter() - began
        if self.step % config.log_every == 0:
            self._log(step=self.step, loss=value, lr=self.optimizer.param_groups[0]["lr"])
        if self.step % config.validate_every == 0 or self.step == config.steps:
            self._validate()
        return value

    @property
    def learnt(self) -> Network:
        """The network that is judged: the running mean where there is one."""
        return self.average if self.average is not None else self.network

    def load_best(self) -> Network:
        """``network`` with the weights of ``best.pt``."""
        state = load_checkpoint(self.run, "best")
        if state is None:
            raise RunError(f"{self.run}: there is no best.pt; the run has not come to its first validation")
        self.network.load_state_dict(state["weights"])
        return self.network.eval()

    def _loss(self, given: Prepared) -> Tensor:
        config = self.config
        logits, helpers = self.heads(given.signal, given.features)
        word = None
        if self.teacher is not None and config.distillation:
            with torch.no_grad():
                word = self.teacher.logits(given.signal, given.features)
        return training_loss(
            logits,
            helpers,
            given.labels,
            teacher=word,
            distillation=config.distillation,
            temperature=config.temperature,
            auxiliary_weight=config.auxiliary,
            label_smoothing=config.label_smoothing,
        )

    @torch.no_grad()
    def _hold_masks(self) -> None:
        for parameter, mask in self._masked:
            parameter.mul_(mask)

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.average is None:
            return
        # A plain mean at first, so that the beginning does not weigh for ever.
        share = max(1 - self.config.ema, 1 / (1 + self.step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, share)
        for kept, buffer in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)

    def _validate(self) -> None:
        result = score(self.learnt, self.validation, self.fabric.device)
        self._log(step=self.step, validation=result._asdict(), seconds=round(self.seconds, 1))
        if result.loss < self.best:
            self.best = result.loss
            kept = {"step": self.step, "score": result._asdict(), "weights": _weights(self.learnt)}
            self._save({**self.extra, **kept, "trained_on": self._trained_on()}, "best")
        self._save(self._state(), "last")

    def _trained_on(self) -> dict[str, Any]:
        told = dict(self.extra.get("trained_on", {}))
        told["frames"] = told.get("frames", 0) + self.step * self.config.batch
        told["seconds"] = round(told.get("seconds", 0.0) + self.seconds, 1)
        return told

    def _log(self, **record: Any) -> None:
        if self.fabric.is_global_zero:
            self.run.log(**record)

    def _save(self, state: Mapping[str, Any], name: str) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(self.run, state, name)
        self.fabric.barrier()

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "step": self.step,
            "weights": _weights(self.network),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "seconds": self.seconds,
            "log_records": len(self.run.read_log()) if self.fabric.is_global_zero else 0,
        }
        if self.average is not None:
            state["average"] = _weights(self.average)
        return state

    def _take_up(self, state: dict[str, Any] | None) -> None:
        if state is None:
            if self.fabric.is_global_zero:
                self.run.rewind_log(0)
            return
        try:
            self.network.load_state_dict(state["weights"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best, self.seconds = int(state["step"]), float(state["best"]), float(state["seconds"])
            records = int(state["log_records"])
        except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise RunError(
                f"{self.run / 'last.pt'}: does not fit config.yaml ({first_line(error)}); delete it to start over"
            ) from None
        if self.fabric.is_global_zero:
            self.run.rewind_log(records)


@contextmanager
def progress_bar(total: int, what: str, shown: bool = True) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr; the callable takes how much is done and a text."""
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done, text: bars.update(task, completed=done, description=f"{what} {text}")


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: a linear rise, then a cosine to 0."""
    rise = max(1.0, warmup * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - rise) / max(1.0, steps - rise)))


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases, normalisations and scales do not."""
    matrices = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
