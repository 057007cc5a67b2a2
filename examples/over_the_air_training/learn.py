# SPDX-License-Identifier: GPL-3.0-or-later
"""Points and a demapper that learn together: through any channel by a policy gradient, or by backpropagation.

Source: Aoudia, Hoydis, "Model-free training of end-to-end communication systems", IEEE JSAC, 2019: the transmitter
perturbs its symbols, and moves its points towards those perturbations that the receiver says served it well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gr_softmod.conventions import noise_var_of_ebn0_db
from gr_softmod.model_file import DemapperFile
from gr_softmod.modem import seeded_generator
from gr_softmod.modem.export_link import LLR_UNIT, float_layers
from gr_softmod.modem.neural import NeuralDemapper
from gr_softmod.modem.trainable import TrainableConstellation

#: Symbols [n], noise variance and generator to what arrives [n].
Channel = Callable[[Tensor, float, torch.Generator], Tensor]
Tell = Callable[[int, float], None]


@dataclass(frozen=True)
class Settings:
    """Of a training.

    Attributes:
        start: points to begin with.
        steps: of the receiver and of the transmitter alike.
        alone: share of the steps, first and last, in which the receiver learns alone.
        batch: symbols a step.
        ebn0_db: lowest and highest.
        lr, lr_points: of Adam, of receiver and transmitter; both fall to zero along a cosine.
        perturbation: share of a symbol's energy that the policy replaces by chance.
    """

    start: str = "16qam"
    steps: int = 3000
    alone: tuple[float, float] = (0.1, 0.2)
    batch: int = 8192
    ebn0_db: tuple[float, float] = (9.0, 16.0)
    lr: float = 3e-3
    lr_points: float = 5e-3
    perturbation: float = 0.01
    seed: int = 1


class Pair(nn.Module):
    """Transmitter and receiver."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.points = TrainableConstellation(start)
        self.demapper = NeuralDemapper(self.points.bits_per_symbol, (64, 64), scaled=True)
        self.register_buffer("bits", torch.from_numpy(self.points.constellation().bits.astype(np.float32)))

    def losses(self, received: Tensor, labels: Tensor, noise_var: float) -> Tensor:
        """Cross-entropy of each symbol [n], in nat."""
        llr = self.demapper(received, noise_var).reshape(len(labels), -1)
        return binary_cross_entropy_with_logits(llr, self.bits[labels], reduction="none").sum(-1)

    def model(self) -> DemapperFile:
        """The receiver, for flowgraphs."""
        points = self.points.constellation().points
        pairs = np.stack([points.real, points.imag], -1)[None].astype(np.float32)
        return DemapperFile("receiver", float_layers(self.demapper), LLR_UNIT, pairs, np.ones(1, np.float32))


def policy_loss(pair: Pair, send: Channel, labels: Tensor, noise_var: float, settings: Settings,
                generator: torch.Generator) -> Tensor:  # fmt: skip
    """Its gradient is, on average, that of the receiver's loss by the points, though the channel gives none.

    The policy sends ``y = sqrt(1 - v) x + w``, w complex Gaussian of variance v; ``loss * ln p(y | x)`` has the
    gradient of the mean loss (REINFORCE). The mean loss of a label is taken off first, which leaves that gradient as it
    is and takes most of the chance out of it.
    """
    v = settings.perturbation
    mean = (1 - v) ** 0.5 * pair.points()[labels]
    noise = torch.randn(len(labels), dtype=torch.complex64, generator=generator)
    sent = mean.detach() + v**0.5 * noise
    received = send(sent, noise_var, generator)
    with torch.no_grad():
        losses = pair.losses(received, labels, noise_var)
        order = len(pair.bits)
        sums = torch.zeros(order).index_add_(0, labels, losses)
        baseline = (sums / torch.bincount(labels, minlength=order).clamp(min=1))[labels]
    log_policy = -(sent - mean).abs().square() / v
    return ((losses - baseline) * log_policy).mean() / losses.mean()


def train(send: Channel, settings: Settings, *, differentiable: bool, tell: Tell = lambda step, loss: None) -> Pair:
    """Points and demapper, trained in turn (policy gradient) or at once (``differentiable``)."""
    torch.manual_seed(settings.seed)
    pair = Pair(settings.start)
    groups = (pair.demapper.parameters(), settings.lr), (pair.points.parameters(), settings.lr_points)
    receiver, transmitter = (torch.optim.Adam(parameters, lr=rate) for parameters, rate in groups)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, settings.steps) for o in (receiver, transmitter)]
    first, last = settings.alone[0] * settings.steps, (1 - settings.alone[1]) * settings.steps
    for step in range(settings.steps):
        generator = seeded_generator(settings.seed, int(differentiable), step)
        low, high = settings.ebn0_db
        ebn0_db = low + (high - low) * float(torch.rand((), generator=generator))
        noise_var = float(noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=pair.points.bits_per_symbol))
        labels = torch.randint(0, len(pair.bits), (settings.batch,), generator=generator)
        moves = first <= step < last
        pair.zero_grad()
        losses = pair.losses(send(pair.points()[labels], noise_var, generator), labels, noise_var)
        loss = losses.mean()
        (loss / loss.detach()).backward()  # every Eb/N0 counts alike
        receiver.step()
        if moves and not differentiable:
            pair.zero_grad()
            policy_loss(pair, send, labels, noise_var, settings, generator).backward()
        if not moves:
            pair.points.zero_grad()  # without a gradient, the step does nothing
        transmitter.step()
        for schedule in schedules:
            schedule.step()
        tell(step, float(loss.detach()) / pair.points.bits_per_symbol)
    return pair
