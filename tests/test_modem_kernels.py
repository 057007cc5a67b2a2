# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ kernels as torch operators: registered rightly, many threads, what they decline."""

from __future__ import annotations

import math

import pytest
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem import Demodulator, Modulator, kernels
from modem_helpers import complex_normal, normal, uniform

pytestmark = pytest.mark.skipif(kernels.TrainingDemapper is None, reason="the C++ kernels are not built")


def demap_inputs(n: int, name: str = "16qam", dtype: torch.dtype = torch.complex64) -> tuple:
    points = torch.tensor(Constellation.from_name(name).points, dtype=dtype)
    bits = len(points).bit_length() - 1
    return complex_normal(n, dtype=dtype), uniform(n).float(), normal(n * bits).float().reshape(n, bits), points


@pytest.mark.parametrize("soft", [False, True])
def test_demap_is_a_proper_operator(soft: bool) -> None:
    y, noise_var, priors, points = demap_inputs(7)
    torch.library.opcheck(kernels._demap, (y, noise_var, priors, points, "exact", soft))
    torch.library.opcheck(kernels._demap, (y, noise_var[:1], None, points, "maxlog", soft))
    for needs in ([True] * 4, [False, True, False, True]):
        torch.library.opcheck(kernels._demap_backward, (priors, y, noise_var, priors, points, "exact", needs))


def test_expect_is_a_proper_operator() -> None:
    probabilities, levels, grad = uniform(7, 3, low=0.0).float(), normal(4).float(), normal(7, 2).float()
    torch.library.opcheck(kernels._expect, (probabilities, levels, None, [2, 1], []))
    arguments = (probabilities, levels, levels * 2, [0, 2], [1, 0])
    torch.library.opcheck(kernels._expect, arguments)
    for needs in ([True] * 3, [False, True, False]):
        torch.library.opcheck(kernels._expect_backward, (grad, *arguments, needs))


def test_threads_give_the_same(monkeypatch) -> None:
    y, noise_var, priors, points = demap_inputs(100_000)
    weight = normal(400_000, seed=9).float().reshape(100_000, 4)

    def everything() -> list[torch.Tensor]:
        inputs = [value.clone().requires_grad_() for value in (y, noise_var, priors, points)]
        llr = kernels.demap(*inputs, "exact")
        p = torch.sigmoid(priors).requires_grad_()
        symbols = kernels.expect(p, points.real.contiguous(), points.imag.contiguous(), range(4), range(4))
        grads = torch.autograd.grad((llr * weight).sum(), inputs)
        return [llr, *grads, symbols, *torch.autograd.grad((symbols.real * weight[:, 0]).sum(), p)]

    one = [value.detach() for value in everything()]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    for got, expected in zip(everything(), one, strict=True):
        torch.testing.assert_close(got.detach(), expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


def test_what_the_kernels_decline_the_formulas_take() -> None:
    """Points, samples and gradients beyond any float32 result: nothing raises, NaN shows."""
    demodulator = Demodulator("16qam")
    y = complex_normal(20, dtype=torch.complex64)
    y[3] = 1e30
    y.requires_grad_()
    llr = demodulator(y, 1e-25)
    llr.sum().backward()
    assert torch.isfinite(llr).all() and torch.isfinite(y.grad).all()
    broken = torch.full((4,), math.nan, dtype=torch.complex64)
    assert torch.isnan(kernels.demap(y.detach(), torch.ones(1), None, broken, "exact")).all()
    nowhere = torch.zeros_like(broken)
    assert torch.isfinite(kernels.demap(y.detach()[:2], torch.ones(1), None, nowhere, "exact")).all()


def test_points_change_from_call_to_call() -> None:
    """More sets of points than are kept, each with its own result."""
    y = complex_normal(5, dtype=torch.complex64)
    for turn in range(100):
        points = torch.polar(torch.ones(2), torch.tensor([0.0, math.pi]) + 0.01 * turn)
        llr = kernels.demap(y, torch.ones(1), None, points, "exact")[:, 0]
        torch.testing.assert_close(llr, -4 * (y * points[0].conj()).real)
    assert len(kernels._kept) <= kernels._KEEP


def test_transforms_of_functions() -> None:
    """Forward mode and vmap give what they give in float64, where the formulas serve."""
    y, tangent, weight = complex_normal(6), complex_normal(6, seed=3), normal(24).float()

    def loss(y: torch.Tensor) -> torch.Tensor:
        llr = Demodulator("16qam").forward_soft(y, 0.3)
        return (Modulator("16qam").forward_soft(llr).abs() * weight[: len(llr) // 4].to(llr.dtype)).sum()

    def results(complex_: torch.dtype) -> list[torch.Tensor]:
        forward = torch.func.jvp(loss, (y.to(complex_),), (tangent.to(complex_),))
        rows = y.to(complex_).reshape(3, 2)
        return [*forward, torch.func.vmap(loss)(rows), torch.func.vmap(torch.func.grad(loss))(rows)]

    for got, expected in zip(results(torch.complex64), results(torch.complex128), strict=True):
        torch.testing.assert_close(got.to(expected.dtype), expected, rtol=1e-4, atol=1e-4)
