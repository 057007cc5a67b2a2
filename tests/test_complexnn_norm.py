# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch and layer normalisation of complex tensors: whitening, statistics, invariance."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

from gr_softmod.modem import complexnn as cnn


def random_complex(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def moments(z, across):
    """Mean, E|z|^2 and E z^2 about the mean."""
    mean = z.mean(across, keepdim=True)
    c = z - mean
    return mean, c.abs().square().mean(across), (c * c).mean(across)


def skewed(batch=64, channels=3, count=50, seed=0):
    """Elliptic, correlated, off centre: another distribution in each channel."""
    z = random_complex(batch, channels, count, seed=seed)
    factor = torch.tensor([1.0, 0.3, 3.0])[:channels, None]
    return torch.complex(z.real * 2 + 1, (0.8 * z.real + 0.2 * z.imag) * factor - 3)


@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm_whitens_as_the_inverse_matrix_root(affine):
    z = skewed()
    layer = cnn.BatchNorm(3, affine=affine, eps=1e-3)
    out = layer(z)
    for c in range(3):
        parts = np.stack([z[:, c].real.numpy().ravel(), z[:, c].imag.numpy().ravel()])
        parts = parts - parts.mean(1, keepdims=True)
        covariance = parts @ parts.T / parts.shape[1] + 1e-3 * np.eye(2)
        white = np.linalg.inv(scipy.linalg.sqrtm(covariance)) @ parts * (math.sqrt(0.5) if affine else 1)
        np.testing.assert_allclose(out[:, c].detach().real.numpy().ravel(), white[0], atol=1e-6)
        np.testing.assert_allclose(out[:, c].detach().imag.numpy().ravel(), white[1], atol=1e-6)


def test_batch_norm_leaves_unit_energy_and_no_correlation():
    mean, energy, pseudo = moments(cnn.BatchNorm(3, eps=1e-9)(skewed()), [0, 2])
    assert mean.abs().max() < 1e-6
    assert torch.allclose(energy, torch.ones(3, dtype=torch.float64), atol=1e-3)
    assert pseudo.abs().max() < 1e-3


def test_running_statistics_reach_the_truth_and_are_used_in_evaluation():
    layer = cnn.BatchNorm(3, momentum=None)
    for seed in range(20):
        layer(skewed(seed=seed))
    everything = torch.cat([skewed(seed=seed) for seed in range(20)])
    assert torch.allclose(layer.running_mean, everything.mean([0, 2]).to(torch.complex64), atol=1e-5)
    flat = everything.movedim(1, 0).flatten(1)
    cov = torch.stack([torch.cov(torch.stack([c.real, c.imag])) for c in flat]).float()
    assert torch.allclose(layer.running_cov, cov, rtol=2e-3, atol=1e-4)
    assert layer.num_batches_tracked == 20
    layer.eval()
    one, alone = skewed(seed=99), skewed(seed=99)[:1]
    torch.testing.assert_close(layer(one)[:1], layer(alone))  # the other rows do not matter
    _, energy, pseudo = moments(layer(one), [0, 2])
    assert torch.allclose(energy, torch.ones_like(energy), atol=0.1) and pseudo.abs().max() < 0.1


def test_momentum_is_torchs():
    """Mean and variance of the real part follow nn.BatchNorm1d when the imaginary part is independent of it."""
    ours, theirs = cnn.BatchNorm(2, momentum=0.3), torch.nn.BatchNorm1d(2, momentum=0.3)
    for seed in range(3):
        z = random_complex(30, 2, seed=seed, dtype=torch.complex64) + 2
        ours(z), theirs(z.real)
    assert torch.allclose(ours.running_mean.real, theirs.running_mean, atol=1e-6)
    # The variance starts at 1/2 here (E|z|^2 = 1), at 1 there: after three steps the start still counts 0.7^3.
    assert torch.allclose(ours.running_cov[:, 0, 0] + 0.7**3 * 0.5, theirs.running_var, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_signal_on_one_line_stays_finite(scale):
    """BPSK behind a phase turn has a singular covariance; float32 rounding must not make its determinant negative."""
    z = (torch.randn(4, 2, 500) * scale * torch.exp(torch.tensor(0.7j))).to(torch.complex64).requires_grad_()
    out = cnn.BatchNorm(2)(z)
    out.abs().square().sum().backward()
    assert torch.isfinite(torch.view_as_real(out)).all() and torch.isfinite(torch.view_as_real(z.grad)).all()


def test_layer_norm_turns_with_its_input():
    z = random_complex(4, 3, 8) * 5 + (2 - 1j)
    layer = cnn.LayerNorm(8, eps=1e-9)
    out, turned = layer(z), layer(z * torch.exp(torch.tensor(1j)))
    torch.testing.assert_close(turned, out * torch.exp(torch.tensor(1j)))
    mean, energy, _ = moments(out, [-1])
    assert mean.abs().max() < 1e-12 and torch.allclose(energy, torch.ones_like(energy))


def test_layer_norm_whitened_decorrelates_each_sample():
    z = skewed(batch=5, count=40)
    out = cnn.LayerNorm((3, 40), whitened=True, eps=1e-9)(z)
    mean, energy, pseudo = moments(out, [1, 2])
    assert mean.abs().max() < 1e-12 and pseudo.abs().max() < 1e-6
    assert torch.allclose(energy, torch.ones_like(energy), atol=1e-6)
