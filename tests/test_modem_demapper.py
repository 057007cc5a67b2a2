# SPDX-License-Identifier: GPL-3.0-or-later
"""Demodulator: LLRs against the float64 brute force, gradients against finite differences, calibration, faults."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from gr_softmod.constellation import Constellation
from gr_softmod.modem import Demodulator, Modulator, kernels
from modem_helpers import assert_calibrated, complex_normal, normal, uniform
from oracle import assert_llr_close, brute_force_llr

ALL = [Constellation.from_name(name) for name in Constellation.names()]
SEPARABLE_AND_NOT = ["bpsk", "qpsk", "16qam", "8pam", "8psk", "16apsk", "ook", "pi4-qpsk", "bpsk-3gpp"]
METHODS = ["exact", "maxlog"]
GRID = [1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0, 1e3]


def received(constellation: Constellation, noise_var: float, n: int = 48) -> np.ndarray:
    """Noisy symbols, some far out, some between points, a zero."""
    rng = np.random.default_rng(7)
    y = constellation.points[rng.integers(constellation.order, size=n)]
    y = y + math.sqrt(min(noise_var, 10.0) / 2) * (rng.normal(size=n) + 1j * rng.normal(size=n))
    y[:4] = 5 * (rng.normal(size=4) + 1j * rng.normal(size=4))
    y[4:8] = (constellation.points[0] + constellation.points[rng.integers(constellation.order, size=4)]) / 2
    y[8] = 0
    return y.astype(np.complex64)


@pytest.fixture(params=["kernels", "formulas"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the C++ kernels, and as where they are not built."""
    if request.param == "formulas":
        monkeypatch.setattr(kernels, "TrainingDemapper", None)
    elif kernels.TrainingDemapper is None:
        pytest.skip("the C++ kernels are not built")


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constellation", ALL, ids=str)
def test_llr_equals_brute_force(constellation: Constellation, method: str) -> None:
    demodulator = Demodulator(constellation, method)
    for noise_var in GRID:
        y = received(constellation, noise_var)
        llr = demodulator(torch.from_numpy(y), noise_var=noise_var)
        assert llr.dtype == torch.float32
        expected = brute_force_llr(constellation, constellation.derotate(y), noise_var, method=method)
        assert_llr_close(llr, expected, y, noise_var)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SEPARABLE_AND_NOT)
def test_with_gradients_wanted_the_llrs_are_the_same(name: str, method: str) -> None:
    demodulator = Demodulator(name, method)
    y = torch.from_numpy(received(demodulator.points.constellation, 0.1)).requires_grad_()
    for noise_var in GRID:
        expected = brute_force_llr(
            demodulator.points.constellation,
            demodulator.points.constellation.derotate(y.detach().numpy()),
            noise_var,
            method=method,
        )
        assert_llr_close(demodulator(y, noise_var).detach(), expected, y.detach(), noise_var)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SEPARABLE_AND_NOT)
def test_float64_priors_and_noise_for_each_symbol(name: str, method: str) -> None:
    demodulator = Demodulator(name, method)
    constellation = demodulator.points.constellation
    y, noise_var, priors = complex_normal(3, 20), uniform(3, 20), 3 * normal(3, 20 * constellation.bits_per_symbol)
    expected = brute_force_llr(constellation, constellation.derotate(y), noise_var, priors=priors, method=method)
    llr = demodulator(y, noise_var, priors)
    assert llr.dtype == torch.float64
    np.testing.assert_allclose(llr, expected, rtol=1e-9, atol=1e-9)
    llr = demodulator(y.to(torch.complex64), noise_var, priors)
    assert_llr_close(llr, expected, y, noise_var)


def test_sure_priors_cost_no_precision() -> None:
    """The sign bits are known for certain; the others are as sharp as if there were no priors at all."""
    constellation = Constellation.qam(16)
    y = torch.from_numpy(received(constellation, 0.1))
    priors = torch.tensor([-1e30, 1e30, 0.0, 0.0])
    llr = Demodulator(constellation)(y, 0.1, priors).reshape(-1, 4)
    points = constellation.points[4:8]  # of the quadrant that is left
    expected = brute_force_llr(Constellation(points).points * math.sqrt(np.mean(np.abs(points) ** 2)), y, 0.1)
    assert_llr_close(llr[:, 2:].reshape(-1), expected, y, 0.1)


@pytest.mark.parametrize("shape", [(1,), (7,), (2, 5), (2, 3, 4), (0,), (3, 0)])
def test_batch_shapes(shape: tuple[int, ...]) -> None:
    y = complex_normal(*shape, dtype=torch.complex64)
    demodulator = Demodulator("16qam")
    assert demodulator(y, 0.5).shape == (*shape[:-1], 4 * shape[-1])
    rows = y.reshape(-1, 1)
    flat = torch.stack([demodulator(row, 0.5) for row in rows]) if len(rows) else torch.empty(0, 4)
    torch.testing.assert_close(demodulator(y, 0.5).reshape(-1, 4), flat)


@pytest.mark.parametrize("noise_shape", [(), (1,), (5,), (3, 1), (3, 5), (1, 5)])
def test_noise_var_broadcasts(noise_shape: tuple[int, ...]) -> None:
    y, noise_var = complex_normal(3, 5), uniform(*noise_shape)
    demodulator = Demodulator("8psk")
    each = zip(y.flatten(), noise_var.expand(3, 5).flatten(), strict=True)
    expected = torch.cat([demodulator(symbol[None], float(noise)) for symbol, noise in each])
    torch.testing.assert_close(demodulator(y, noise_var).flatten(), expected)


def test_non_contiguous_and_conjugated_symbols() -> None:
    y = complex_normal(4, 6, dtype=torch.complex64)
    demodulator = Demodulator("16qam")
    torch.testing.assert_close(demodulator(y.T, 0.3), demodulator(y.T.contiguous(), 0.3))
    torch.testing.assert_close(demodulator(y.conj(), 0.3), demodulator(y.conj().resolve_conj(), 0.3))
    torch.testing.assert_close(demodulator(y[:, ::2], 0.3), demodulator(y[:, ::2].contiguous(), 0.3))


# ------------------------------------------------------------------------------------------------------- extremes

BIG = float(np.finfo(np.float32).max)
values = st.floats(-BIG, BIG, width=32) | st.sampled_from([0.0, BIG, -BIG, 1e20])
positive = st.floats(2.0**-149, BIG, width=32) | st.sampled_from([1e-6, 1.0])


@pytest.mark.usefixtures("either")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(re=values, im=values, noise_var=positive, prior=values, grad=st.booleans(), method=st.sampled_from(METHODS))
@pytest.mark.parametrize("name", ["bpsk", "16qam", "16apsk"])
def test_finite_inputs_give_finite_llrs(name, re, im, noise_var, prior, grad, method) -> None:
    y = torch.tensor([complex(re, im)] * 3, dtype=torch.complex64, requires_grad=grad)
    demodulator = Demodulator(name, method)
    priors = torch.full((3 * demodulator.bits_per_symbol,), prior)
    for noise in (noise_var, torch.tensor([noise_var, 1.0, 1e-6])):
        assert torch.isfinite(demodulator(y, noise)).all()
        assert torch.isfinite(demodulator(y, noise, priors)).all()
        assert torch.isfinite(demodulator.forward_soft(y, noise, priors)).all()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", ["qpsk", "8psk"])
def test_nan_shows_and_stays_where_it_is(name: str, grad: bool) -> None:
    y = torch.ones(5, dtype=torch.complex64)
    y[2] = complex(math.nan, 1.0)
    y.requires_grad_(grad)
    demodulator = Demodulator(name)
    llr = demodulator(y, 0.1).reshape(5, -1)
    assert torch.isfinite(llr[[0, 1, 3, 4]]).all()
    assert torch.isnan(llr[2]).any()


@pytest.mark.usefixtures("either")
def test_infinite_symbols_saturate() -> None:
    llr = Demodulator("16qam")(torch.tensor([complex(math.inf, 0.0)]), 0.1)
    assert torch.isfinite(llr).all() and llr[0] < -1e30


# ------------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SEPARABLE_AND_NOT)
def test_gradients(name: str, method: str) -> None:
    demodulator = Demodulator(name, method)
    m = demodulator.bits_per_symbol
    y, noise_var, priors = (v.requires_grad_() for v in (complex_normal(2, 3), uniform(2, 3), normal(2, 3 * m)))
    assert gradcheck(demodulator, (y, noise_var, priors))
    one = uniform(1).requires_grad_()
    assert gradcheck(demodulator, (y, one[0], priors[0, :m].detach().requires_grad_()))
    assert gradcheck(demodulator.forward_soft, (y, one[0]))


@pytest.mark.parametrize("name", ["16qam", "8psk"])
def test_second_gradients(name: str) -> None:
    y, noise_var = complex_normal(3).requires_grad_(), uniform(3).requires_grad_()
    assert gradgradcheck(Demodulator(name), (y, noise_var))


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("noise_var", [1e-4, 0.05, 10.0])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["bpsk", "64qam", "8pam", "16apsk", "32qam", "128apsk"])
def test_float32_gradients_equal_those_of_float64(name: str, method: str, noise_var: float) -> None:
    """The accelerated float32 form against autograd's work on the plain formula in float64."""
    demodulator = Demodulator(name, method)
    m = demodulator.bits_per_symbol
    y = torch.from_numpy(received(demodulator.points.constellation, noise_var, 64) + np.float32(1e-3))
    noise = noise_var * (1 + uniform(64, seed=3))
    priors, weight = normal(64 * m, seed=4), normal(64 * m, seed=5)

    def gradients(real: torch.dtype) -> list[torch.Tensor]:
        inputs = [y.to(torch.complex64 if real == torch.float32 else torch.complex128), noise.to(real), priors.to(real)]
        inputs = [value.detach().requires_grad_() for value in inputs]
        if real == torch.float32:
            llr = demodulator(*inputs)
        else:
            llr = plain_llr(demodulator.points.constellation, *inputs, method)
        return list(torch.autograd.grad((llr * weight.to(real)).sum(), inputs))

    for got, expected in zip(gradients(torch.float32), gradients(torch.float64), strict=True):
        scale = expected.abs().max()
        assert (got - expected).abs().max() <= 2e-4 * scale


def plain_llr(constellation, y, noise_var, priors, method):
    """The definition in torch, for autograd to differentiate."""
    bits = torch.from_numpy(constellation.bits.astype(np.float64))
    distance = (y[:, None] - torch.tensor(constellation.points)).abs().square()
    metric = -distance / noise_var[:, None] + priors.reshape(len(y), -1) @ bits.T
    total = torch.logsumexp if method == "exact" else torch.amax
    return torch.stack([total(metric[:, b == 1], 1) - total(metric[:, b == 0], 1) for b in bits.T], 1).flatten()


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("name", ["16qam", "8psk"])
def test_float32_second_gradients_equal_those_of_float64(name: str) -> None:
    demodulator = Demodulator(name)
    bits = demodulator.bits_per_symbol
    weight, direction = normal(5 * bits, seed=6), complex_normal(5, seed=7)

    def second(real: torch.dtype) -> list[torch.Tensor]:
        complex_ = torch.complex64 if real == torch.float32 else torch.complex128
        y = complex_normal(5).to(complex_).requires_grad_()
        noise_var = uniform(5).to(real).requires_grad_()
        loss = (demodulator.forward_soft(y, noise_var) * weight.to(real)).sum()
        (slope,) = torch.autograd.grad(loss, y, create_graph=True)
        return list(torch.autograd.grad((slope * direction.to(complex_).conj()).real.sum(), (y, noise_var)))

    for got, expected in zip(second(torch.float32), second(torch.float64), strict=True):
        assert (got - expected).abs().max() < 1e-3 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_func(dtype: torch.dtype) -> None:
    demodulator = Demodulator("16qam")
    y, noise_var = complex_normal(6).to(dtype.to_complex()), torch.tensor(0.4, dtype=dtype)

    def loss(noise_var: torch.Tensor) -> torch.Tensor:
        return demodulator(y, noise_var).square().sum()

    variable = noise_var.clone().requires_grad_()
    expected = torch.autograd.grad(loss(variable), variable)[0]
    torch.testing.assert_close(torch.func.grad(loss)(noise_var), expected)


# ---------------------------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize(
    "name, noise_var", [("bpsk", 1.0), ("16qam", 0.2), ("8psk", 0.3), ("64qam", 0.05), ("ook", 0.7)]
)
def test_calibration(name: str, noise_var: float) -> None:
    """P(b=1 | llr) is sigmoid(llr): catches errors of sign, scale and noise convention together."""
    generator = torch.Generator().manual_seed(11)
    modulator, demodulator = Modulator(name), Demodulator(name)
    m = modulator.bits_per_symbol
    bits = torch.randint(0, 2, (60_000 * m,), generator=generator)
    noise = torch.randn(60_000, dtype=torch.complex64, generator=generator) * math.sqrt(noise_var)
    soft = demodulator.forward_soft(modulator(bits) + noise, noise_var)
    assert_calibrated(soft, bits)


# ------------------------------------------------------------------------------------------- decisions, sharpness


def test_temperature_and_straight_through() -> None:
    y = complex_normal(50, dtype=torch.complex64)
    llr = Demodulator("16qam")(y, 0.3)
    torch.testing.assert_close(Demodulator("16qam", temperature=2.5).forward_soft(y, 0.3), torch.sigmoid(llr / 2.5))
    hard = Demodulator("16qam", straight_through=True)
    plain, through = y.clone().requires_grad_(), y.clone().requires_grad_()
    soft = Demodulator("16qam").forward_soft(plain, 0.3)
    decided = hard.forward_soft(through, 0.3)
    assert torch.equal(decided, (llr > 0).float())
    assert torch.equal(hard.hard(y, 0.3), (llr > 0).to(torch.uint8))
    soft.sum().backward()
    decided.sum().backward()
    torch.testing.assert_close(plain.grad, through.grad)


@pytest.mark.parametrize("name", ["16qam", "8psk", "32qam"])
def test_hard_maxlog_bits_are_those_of_the_nearest_point(name: str) -> None:
    demodulator = Demodulator(name, "maxlog")
    constellation = demodulator.points.constellation
    y = complex_normal(500, dtype=torch.complex64)
    expected = constellation.bits[constellation.nearest(y.numpy())].reshape(-1)
    assert np.array_equal(demodulator.hard(y), expected)


# --------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Demodulator("16qam")(torch.ones(4), 0.1), "symbols are torch.float32"),
        (lambda: Demodulator("16qam")(torch.ones((), dtype=torch.complex64), 0.1), "no dimension"),
        (lambda: Demodulator("16qam")(complex_normal(4), 0.0), "noise_var is 0.0"),
        (lambda: Demodulator("16qam")(complex_normal(4), -1), "noise_var is -1"),
        (lambda: Demodulator("16qam")(complex_normal(4), math.nan), "noise_var is nan"),
        (lambda: Demodulator("16qam")(complex_normal(4), math.inf), "noise_var is inf"),
        (lambda: Demodulator("16qam")(complex_normal(4), "0.1"), "noise_var is 0.1"),
        (lambda: Demodulator("16qam")(complex_normal(4), torch.tensor([1.0, 0.0, 1.0, 1.0])), "noise_var has 0.0"),
        (lambda: Demodulator("16qam")(complex_normal(4), torch.tensor(math.nan)), "noise_var has nan"),
        (lambda: Demodulator("16qam")(complex_normal(4), torch.ones(3)), "noise_var of shape .3."),
        (lambda: Demodulator("16qam")(complex_normal(4), torch.ones(2, 4)), "noise_var of shape .2, 4."),
        (lambda: Demodulator("16qam")(complex_normal(4), complex_normal(4)), "must be real"),
        (lambda: Demodulator("16qam")(complex_normal(4), 0.1, torch.ones(5)), "priors of shape .5."),
        (lambda: Demodulator("16qam")(complex_normal(4), 0.1, complex_normal(16)), "priors are torch.complex"),
        (lambda: Demodulator("16qam", "app"), "method is 'app'"),
        (lambda: Demodulator("16qam", temperature=0.0), "temperature is 0"),
        (lambda: Demodulator("17qam"), "no constellation"),
    ],
)
def test_faults(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_points_of_all_kinds_and_casts_of_the_module() -> None:
    constellation = Constellation.qam(16)
    y = complex_normal(9, dtype=torch.complex64)
    expected = Demodulator(constellation)(y, 0.2)
    for other in ("16qam", constellation.points, torch.tensor(constellation.points)):
        torch.testing.assert_close(Demodulator(other)(y, 0.2), expected)
    for cast in (torch.nn.Module.half, torch.nn.Module.bfloat16, torch.nn.Module.double):
        assert torch.equal(cast(Demodulator(constellation))(y, 0.2), expected)
    assert not Demodulator(constellation).state_dict()
