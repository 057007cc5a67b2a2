# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of small perceptrons against torch's own layers: values, gradients, gradients of gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gr_softmod.modem import dense as module
from gr_softmod.modem.dense import dense
from gr_softmod.modem.trainable import mlp

pytestmark = pytest.mark.skipif(module._kernels is None, reason="the C++ kernels are not built")


def rows_of(n: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def network(*widths: int, activation: str = "relu") -> nn.Sequential:
    torch.manual_seed(1)
    return mlp(widths, activation)


def uses_kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each use of the kernel."""
    calls: list[int] = []
    forward = module._kernels.dense_forward
    monkeypatch.setattr(module._kernels, "dense_forward", lambda *a: (calls.append(1), forward(*a))[1])
    return calls


@pytest.mark.parametrize("n", [0, 1, 1000, 50_000])
@pytest.mark.parametrize("widths", [(3, 64, 64, 6), (2, 5), (3, 17, 33, 1)], ids=str)
def test_equals_torch(widths: tuple[int, ...], n: int, monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    calls = uses_kernel(monkeypatch)
    layers, rows, grad = network(*widths), rows_of(n, widths[0]), rows_of(n, widths[-1], 1)
    results = []
    for run in (layers, lambda x: dense(layers, x)):
        x = rows.clone().requires_grad_()
        y = run(x)
        results.append([y, *torch.autograd.grad(y, [x, *layers.parameters()], grad)])
    for got, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5 * max(1.0, math.sqrt(n)))
    with torch.no_grad():
        torch.testing.assert_close(dense(layers, rows), layers(rows), rtol=1e-4, atol=1e-5)
    assert calls


def test_gradients_of_gradients_and_of_some_inputs() -> None:
    layers, rows = network(3, 8, 2), rows_of(20, 3)
    found = []
    for run in (layers, lambda x: dense(layers, x)):
        x = rows.clone().requires_grad_()
        (slope,) = torch.autograd.grad(run(x).square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), [x, layers[0].weight]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
    layers[0].weight.requires_grad_(False)
    dense(layers, rows).sum().backward()
    assert layers[0].weight.grad is None and layers[2].bias.grad is not None


def test_is_a_proper_operator() -> None:
    layers, rows = network(3, 8, 2), rows_of(7, 3)
    weights, biases = ([getattr(layers[i], name).detach() for i in (0, 2)] for name in ("weight", "bias"))
    torch.library.opcheck(module._dense, (rows, weights, biases))
    for to_rows in (True, False):
        torch.library.opcheck(module._dense_backward, (rows_of(7, 2), rows, weights, biases, to_rows))


@pytest.mark.parametrize(
    "layers, rows",
    [(network(3, 8, 2, activation="tanh"), rows_of(5, 3)), (network(3, 8, 2).double(), rows_of(5, 3).double())],
    ids=["activation", "dtype"],
)
def test_torch_does_what_the_kernel_does_not(layers, rows, monkeypatch) -> None:
    calls = uses_kernel(monkeypatch)
    assert torch.equal(dense(layers, rows), layers(rows))
    layers, rows = network(3, 8, 2), rows_of(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert dense(layers, rows).dtype == torch.bfloat16
    together = torch.func.vmap(lambda row: dense(layers, row[None])[0])(rows)
    torch.testing.assert_close(together, layers(rows))
    assert not calls


def test_nan_shows() -> None:
    rows = rows_of(3, 3)
    rows[1, 0] = math.nan
    out = dense(network(3, 8, 8, 2), rows)
    assert torch.isnan(out[1]).all() and torch.isfinite(out[[0, 2]]).all()
