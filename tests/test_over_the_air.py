# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning without a gradient of the channel: the policy gradient is that of backpropagation, and it learns."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from gr_softmod.modem import seeded_generator

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "over_the_air_training"


@pytest.fixture(scope="module")
def learn() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("learn")
    sys.path.remove(str(FOLDER))


def turned_noise(symbols: Tensor, noise_var: float, generator: torch.Generator) -> Tensor:
    """A channel that a plain 16-QAM receiver does not expect: strong symbols are turned."""
    noise = torch.randn(symbols.shape, dtype=torch.complex64, generator=generator) * noise_var**0.5
    return symbols * torch.exp(0.4j * symbols.abs().square()) + noise


def without_gradient(symbols: Tensor, noise_var: float, generator: torch.Generator) -> Tensor:
    return turned_noise(symbols.detach(), noise_var, generator)


def test_the_policy_gradient_points_where_backpropagation_does(learn: ModuleType) -> None:
    settings = learn.Settings(steps=150, batch=2048, lr_points=0.0, perturbation=0.01)
    pair = learn.train(turned_noise, settings, differentiable=True)
    count, noise_var = 400_000, 0.02
    labels = torch.randint(0, 16, (count,), generator=seeded_generator(1))
    pair.zero_grad()
    losses = pair.losses(turned_noise(pair.points()[labels], noise_var, seeded_generator(2)), labels, noise_var)
    (losses.mean() / losses.mean().detach()).backward()
    expected = pair.points.raw.grad.clone()
    pair.zero_grad()
    learn.policy_loss(pair, without_gradient, labels, noise_var, settings, seeded_generator(3)).backward()
    cosine = torch.nn.functional.cosine_similarity(pair.points.raw.grad.flatten(), expected.flatten(), dim=0)
    assert cosine > 0.9


def test_points_learn_without_a_gradient(learn: ModuleType) -> None:
    """Fewer errors than points that stand still, with the same receiver and as many steps."""
    scores = {}
    for lr_points in (0.0, 5e-3):
        settings = learn.Settings(steps=250, batch=2048, lr_points=lr_points, ebn0_db=(11.0, 12.0))
        pair = learn.train(without_gradient, settings, differentiable=False)
        labels = torch.randint(0, 16, (200_000,), generator=seeded_generator(1))
        with torch.no_grad():
            received = turned_noise(pair.points()[labels], 0.018, seeded_generator(2))
            scores[lr_points] = float(pair.losses(received, labels, 0.018).mean())
    assert scores[5e-3] < 0.9 * scores[0.0]
