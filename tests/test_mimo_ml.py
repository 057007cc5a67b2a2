# SPDX-License-Identifier: GPL-3.0-or-later
"""Maximum likelihood detection against a brute force over all symbol vectors."""

import itertools

import numpy as np
import pytest
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem.mimo import MLDetector
from mimo_link import link, priors_like


def brute_force(name, received, gains, noise_var, priors=None, exact=False):
    """LLRs [B, T, N m] in float64 by numpy, one received vector at a time; gains [B, R, T] or [B, R, T, N]."""
    constellation = Constellation.from_name(name)
    batch, _, count = received.shape
    streams, m = gains.shape[2], constellation.bits_per_symbol
    vectors = np.array(list(itertools.product(range(constellation.order), repeat=streams)))
    bits = constellation.bits[vectors].reshape(len(vectors), -1)  # [V, T m]
    points = constellation.points[vectors]
    llr = np.zeros((batch, streams, count, m))
    noise = np.broadcast_to(noise_var, (batch, count))
    for b, n in itertools.product(range(batch), range(count)):
        h = (gains[b] if gains.ndim == 3 else gains[b, ..., n]).numpy()
        metric = -np.sum(np.abs(received[b, :, n].numpy() - points @ h.T) ** 2, -1) / noise[b, n]
        if priors is not None:
            metric = metric + bits @ priors[b].reshape(streams, count, m)[:, n].numpy().ravel()
        reduce = np.logaddexp.reduce if exact else np.max
        each = [reduce(metric[bits[:, k] == 1]) - reduce(metric[bits[:, k] == 0]) for k in range(streams * m)]
        llr[b, :, n] = np.reshape(each, (streams, m))
    return llr.reshape(batch, streams, count * m)


@pytest.mark.parametrize("name,streams,antennas", [("qpsk", 2, 2), ("16qam", 2, 3), ("8psk", 3, 2), ("bpsk", 4, 4)])
@pytest.mark.parametrize("method", ["maxlog", "exact"])
@pytest.mark.parametrize("with_priors", [False, True])
def test_all_vectors_equal_brute_force(name, streams, antennas, method, with_priors):
    bits, _, received, gains = link(name, streams, antennas, 5, 0.2)
    priors = priors_like(bits) if with_priors else None
    llr = MLDetector(name, method)(received, gains, 0.2, priors)
    expected = brute_force(name, received, gains, 0.2, priors, exact=method == "exact")
    np.testing.assert_allclose(llr, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name,streams,survivors", [("16qam", 2, 16), ("qpsk", 3, 16), ("qpsk", 3, 40)])
@pytest.mark.parametrize("with_priors", [False, True])
def test_a_search_with_enough_survivors_is_brute_force(name, streams, survivors, with_priors):
    bits, _, received, gains = link(name, streams, streams + 1, 6, 0.1, doppler=0.05)
    priors = priors_like(bits) if with_priors else None
    llr = MLDetector(name, survivors=survivors)(received, gains, 0.1, priors)
    np.testing.assert_allclose(llr, brute_force(name, received, gains, 0.1, priors), atol=1e-9)


@pytest.mark.parametrize("noise_var", [1e-6, 0.03, 0.3, 1e3])
def test_a_short_search_comes_close_and_errs_to_the_confident_side(noise_var):
    """Each candidate is a real vector, so what the list misses can only lower the competitor's likelihood."""
    _, _, received, gains = link("16qam", 3, 3, 40, noise_var)
    full = MLDetector("16qam")(received, gains, noise_var)
    short = MLDetector("16qam", survivors=16)(received, gains, noise_var)
    agree = (full > 0) == (short > 0)
    assert agree.double().mean() > 0.97
    if noise_var < 0.1:  # in more noise the best vector itself is missed at times
        assert (short.abs() >= full.abs() * (1 - 1e-9))[agree].all()
    assert torch.isclose(short, full, rtol=1e-9).double().mean() > 0.7


def test_search_finds_the_transmitted_vector_of_8x8_without_noise():
    bits, _, received, gains = link("64qam", 8, 8, 20, 1e-9, batch=2)
    llr = MLDetector("64qam", survivors=32)(received.to(torch.complex64), gains.to(torch.complex64), 1e-6)
    assert torch.isfinite(llr).all()
    assert torch.equal(llr > 0, bits.bool())


def test_ordering_is_undone():
    """Streams of very different strength are searched in another order than they are sent."""
    bits, symbols, _, gains = link("16qam", 4, 4, 10, 0.01)
    gains = gains * torch.tensor([2.0, 0.3, 1.0, 0.6])
    llr = MLDetector("16qam", survivors=64)(gains @ symbols, gains, 1e-4)
    assert torch.equal(llr > 0, bits.bool())
