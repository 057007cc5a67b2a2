# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier's side of training: a small network of integers, what it starts with, what captured samples add."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import link
import numpy as np
import torch
from channel import DriftingChannel
from numpy.typing import NDArray
from settings import Settings
from torch import Tensor
from torch.nn.functional import cross_entropy

from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.export import to_model_file
from gr_softmod.classifier.network import Network, prepare
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.hooks.segment import Record
from gr_softmod.model_file import ModelFile

CLASSES = tuple(name.upper() for name in (*link.OTHERS[:3], link.MAIN, link.OTHERS[3]))
LENGTH = 1024
#: Frames of a step.
BATCH = 64
_SIZE = {"channels": [8, 12, 16], "kernels": [8, 7, 7], "strides": [8, 2, 2], "expert": 16, "head": 16}


class ClassifierTrainer:
    """Learns from samples whose modulation is known. Arguments as of the demapper's."""

    target = "classifier"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        torch.manual_seed(settings.seed)
        self._random = np.random.default_rng(settings.seed)
        graph = build("softmod", CLASSES, LENGTH, **_SIZE)
        self._network: Network = QuantNetwork(graph.with_bits(8, 8))
        self._float = Network(graph)
        self._rounds = 0

    def start(self, steps: int) -> ModelFile:
        """Learn the modulations of the link in white noise: in float, then as integers."""
        samples, labels = self._transmissions(96)
        signal, rows = prepare(torch.from_numpy(samples[:, :LENGTH].copy()))
        if self._float.scaler is not None:
            self._float.scaler.measure(rows)
        self._fit(self._float, samples, labels, steps, 5e-3)
        network = QuantNetwork.from_network(self._float, self._network.graph)
        network.measure(self._float, signal, rows)
        self._network = network
        self._fit(network, samples, labels, steps // 4, 1e-3)
        return self._file(samples[:32, :LENGTH])

    def learn(self, records: Sequence[Record]) -> ModelFile | None:
        """Go on with captured samples; None where that does not do better on the latest tenth of them."""
        found = [(record.message.label(), record.message.arrays["iq"]) for record in records]
        known = [(CLASSES.index(label.value), iq) for label, iq in found if label and label.value in CLASSES]
        samples, labels = np.stack([iq for _, iq in known]), np.array([label for label, _ in known])
        kept = len(samples) - len(samples) // 10
        before = {name: tensor.clone() for name, tensor in self._network.state_dict().items()}
        old = self._loss(samples[kept:], labels[kept:])
        self._fit(self._network, samples[:kept], labels[:kept], self._settings.steps // 4, 1e-3)
        if not self._loss(samples[kept:], labels[kept:]) < old:
            self._network.load_state_dict(before)
            return None
        self._rounds += 1
        return self._file(samples[:32, :LENGTH])

    def _transmissions(self, each: int) -> tuple[NDArray[np.complex64], NDArray[np.int64]]:
        """Payload samples of ``each`` frames of every class, without drift."""
        never = 1 << 60
        drift = self._settings.drift().at(never, never + 1, never)
        channel = DriftingChannel(drift, self._settings.noise_var, self._settings.seed + 1)
        samples, labels = [], []
        for label, name in enumerate(CLASSES):
            numbers = [n for n in range(64 * each) if link.modulation(n).upper() == name][:each]
            for number in numbers:
                pulses = np.kron(link.frame(number)[link.SYNC + link.NUMBER :], link.PULSE)
                samples.append(channel(pulses.astype(np.complex64)))
                labels.append(label)
        return np.stack(samples), np.array(labels)

    def _pieces(self, samples: NDArray[np.complex64], chosen: NDArray[np.int64]) -> Tensor:
        """A frame from anywhere in each of the chosen ones, its phase turned by chance."""
        starts = self._random.integers(0, samples.shape[1] - LENGTH + 1, len(chosen))
        pieces = samples[chosen[:, None], starts[:, None] + np.arange(LENGTH)]
        turned = pieces * np.exp(2j * np.pi * self._random.random((len(chosen), 1)))
        return torch.from_numpy(turned.astype(np.complex64))

    def _balanced(self, labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        share = 1 / np.bincount(labels, minlength=len(CLASSES)).clip(1)[labels]
        return self._random.choice(len(labels), count, p=share / share.sum())

    def _fit(
        self, network: Network, samples: NDArray[np.complex64], labels: NDArray[np.int64], steps: int, lr: float
    ) -> None:
        optimizer = torch.optim.AdamW(network.parameters(), lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        network.train()
        for _ in range(steps):
            chosen = self._balanced(labels, BATCH)
            loss = cross_entropy(network(self._pieces(samples, chosen)), torch.from_numpy(labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()

    @torch.no_grad()
    def _loss(self, samples: NDArray[np.complex64], labels: NDArray[np.int64]) -> float:
        chosen = self._balanced(labels, 4 * BATCH)
        return float(cross_entropy(self._network(self._pieces(samples, chosen)), torch.from_numpy(labels[chosen])))

    def _file(self, parity: NDArray[np.complex64]) -> ModelFile:
        assert isinstance(self._network, QuantNetwork)
        return to_model_file(self._network, f"modulations of the link, round {self._rounds}", parity=parity)

    def save(self, path: Path) -> None:
        torch.save(self._network.state_dict(), path)

    def load(self, path: Path) -> None:
        self._network.load_state_dict(torch.load(path, weights_only=True))
        self._network.eval()
