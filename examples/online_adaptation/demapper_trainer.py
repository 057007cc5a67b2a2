# SPDX-License-Identifier: GPL-3.0-or-later
"""The demapper's side of training: what it starts with, and what it makes of captured symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import link
import numpy as np
import torch
from settings import Settings
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gr_softmod.hooks.segment import Record
from gr_softmod.model_file import DemapperFile
from gr_softmod.modem.channel import AWGN
from gr_softmod.modem.export_link import LLR_UNIT, float_layers
from gr_softmod.modem.neural import NeuralDemapper

HIDDEN = (32, 32)
#: Symbols of a step.
BATCH = 2048


class DemapperTrainer:
    """Learns from symbols whose bits are known.

    Args:
        settings: of the run.
    """

    target = "demapper"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bits = link.constellation(link.MAIN).bits_per_symbol
        torch.manual_seed(settings.seed)
        self._network = NeuralDemapper(self._bits, HIDDEN, scaled=True)
        self._rounds = 0

    def start(self, steps: int) -> DemapperFile:
        """Learn 16-QAM in white noise, as one would before the radio is switched on."""
        generator = torch.Generator().manual_seed(self._settings.seed)
        bits = torch.randint(0, 2, (64 * BATCH, self._bits), generator=generator)
        points = torch.from_numpy(link.constellation(link.MAIN).points.astype(np.complex64))
        labels = (bits << torch.arange(self._bits - 1, -1, -1)).sum(1)
        received = AWGN()(points[labels], noise_var=self._settings.noise_var, generator=generator)
        self._fit(received, bits.float(), steps, 5e-3)
        return self._file()

    def learn(self, records: Sequence[Record]) -> DemapperFile | None:
        """Go on with captured symbols; None where what was learnt does not do better on the latest tenth of them."""
        arrays = [record.message.arrays for record in records if "bits" in record.message.arrays]
        received = torch.from_numpy(np.concatenate([each["iq"] for each in arrays]))
        bits = torch.from_numpy(np.concatenate([each["bits"] for each in arrays])).reshape(-1, self._bits).float()
        kept = len(received) - len(received) // 10
        before = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        old = self._loss(received[kept:], bits[kept:])
        self._fit(received[:kept], bits[:kept], self._settings.steps, 3e-3)
        if not self._loss(received[kept:], bits[kept:]) < old:
            self._network.load_state_dict(before)
            return None
        self._rounds += 1
        return self._file()

    def _fit(self, received: Tensor, bits: Tensor, steps: int, lr: float) -> None:
        optimizer = torch.optim.Adam(self._network.parameters(), lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            chosen = torch.randint(0, len(received), (BATCH,))
            llr = self._network(received[chosen], self._settings.noise_var).reshape(-1, self._bits)
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(llr, bits[chosen]).backward()
            optimizer.step()
            schedule.step()

    @torch.no_grad()
    def _loss(self, received: Tensor, bits: Tensor) -> float:
        llr = self._network(received, self._settings.noise_var).reshape(-1, self._bits)
        loss = float(binary_cross_entropy_with_logits(llr, bits))
        return loss if math.isfinite(loss) else math.inf

    def _file(self) -> DemapperFile:
        points = link.constellation(link.MAIN).points
        return DemapperFile(
            name=f"16-QAM, round {self._rounds}",
            layers=float_layers(self._network),
            llr_unit=LLR_UNIT,
            points=np.stack([points.real, points.imag], -1)[None].astype(np.float32),
            points_noise_var=np.ones(1, np.float32),
            trained_on={"round": self._rounds, "esn0_db": self._settings.esn0_db},
        ).with_parity(self._settings.noise_var)

    def save(self, path: Path) -> None:
        torch.save(self._network.state_dict(), path)

    def load(self, path: Path) -> None:
        self._network.load_state_dict(torch.load(path, weights_only=True))
