# SPDX-License-Identifier: GPL-3.0-or-later
"""Fading channels against their distributions, correlations, standard tables and the BER formula."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from gr_softmod.modem.channel import (
    AWGN,
    PROFILES,
    MIMOChannel,
    Multipath,
    RayleighFading,
    RicianFading,
    exponential_correlation,
)
from gr_softmod.modem.seeding import seeded_generator


def ones(*shape):
    return torch.ones(*shape, dtype=torch.complex128)


def random_complex(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=seeded_generator(seed))


def test_block_fading_is_rayleigh_and_constant_over_a_frame():
    gains = RayleighFading()(ones(20_000, 3), generator=seeded_generator(1))
    assert torch.equal(gains, gains[:, :1].expand(-1, 3))
    assert scipy.stats.kstest(gains[:, 0].abs(), "rayleigh", args=(0, math.sqrt(0.5))).pvalue > 1e-3
    assert scipy.stats.kstest(gains[:, 0].angle(), "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-3


@pytest.mark.parametrize("k_factor", [0.5, 4.0, 50.0])
@pytest.mark.parametrize("doppler", [None, 0.05])
def test_rician_magnitude(k_factor, doppler):
    gains = RicianFading(k_factor, doppler, sinusoids=64)(ones(10_000, 2), generator=seeded_generator(2))
    scale = math.sqrt(0.5 / (k_factor + 1))
    line = math.sqrt(k_factor / (k_factor + 1)) / scale
    assert scipy.stats.kstest(gains[:, 1].abs(), "rice", args=(line, 0, scale)).pvalue > 1e-3
    assert gains.abs().square().mean().item() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("doppler", [0.002, 0.03])
def test_doppler_autocorrelation_is_j0(doppler):
    gains = RayleighFading(doppler)(ones(4000, 128), generator=seeded_generator(3))
    for lag in (0, 1, 7, 40, 100):
        seen = (gains[:, lag:] * gains[:, : 128 - lag].conj()).mean().item()
        assert abs(seen - scipy.special.j0(2 * math.pi * doppler * lag)) < 0.05
    assert gains.abs().pow(4).mean().item() == pytest.approx(2 - 1 / 32, rel=0.05)


def test_line_of_sight_has_its_own_doppler_shift():
    gains = RicianFading(1e9, 0.04, los_angle=math.pi / 3)(ones(100), generator=seeded_generator(4))
    steps = (gains[1:] * gains[:-1].conj()).angle() / (2 * math.pi)
    assert torch.allclose(steps, torch.full_like(steps, 0.02), atol=1e-4)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_bpsk_over_known_rayleigh_fading_has_the_textbook_ber(snr_db):
    fading, symbols = RayleighFading(), torch.ones(400_000, 1, dtype=torch.complex64)
    g, noise_var = seeded_generator(5), 10 ** (-snr_db / 10)
    gains = fading.draw(symbols, generator=g)
    received = AWGN(noise_var)(fading(symbols, gains), generator=g)
    errors = ((received * gains.conj()).real < 0).double().mean().item()
    snr = 1 / noise_var
    expected = 0.5 * (1 - math.sqrt(snr / (1 + snr)))  # Proakis, "Digital Communications", eq. 14-3-7
    assert errors == pytest.approx(expected, abs=4 * math.sqrt(expected / 400_000))


# ---------------------------------------------------------------- multipath


@pytest.mark.parametrize(
    "name,spread,tolerance",
    # The tables of TR 38.901 are normalised to an RMS delay spread of 1 (TDL-D's rounds to 0.994);
    # TS 36.101 table B.2.1-1 states 45, 357 and 991 ns (the rounded taps of EPA give 43).
    [("TDL-A", 1, 1e-4), ("TDL-B", 1, 1e-4), ("TDL-C", 1, 1e-4), ("TDL-D", 1, 7e-3), ("TDL-E", 1, 1e-3)]
    + [("EPA", 45, 2), ("EVA", 357, 0.5), ("ETU", 991, 0.5)],
)
def test_profiles_have_the_delay_spread_their_standard_states(name, spread, tolerance):
    delays, powers_db, *_ = PROFILES[name]
    delays, power = np.array(delays), 10 ** (np.array(powers_db) / 10)
    power /= power.sum()
    mean = power @ delays
    assert math.sqrt(power @ (delays - mean) ** 2) == pytest.approx(spread, abs=tolerance)


@pytest.mark.parametrize("name", ["TDL-D", "TDL-E"])
def test_line_of_sight_profiles_sum_to_the_tables_first_path(name):
    delays, powers_db, k_db, _ = PROFILES[name]
    line, scatter = {"TDL-D": (-0.2, -13.5), "TDL-E": (-0.03, -22.03)}[name]
    k = 10 ** (k_db / 10)
    total = 10 ** (powers_db[0] / 10)
    assert 10 * math.log10(total * k / (k + 1)) == pytest.approx(line, abs=1e-9)
    assert 10 * math.log10(total / (k + 1)) == pytest.approx(scatter, abs=1e-9)


@pytest.mark.parametrize("doppler_hz", [None, 300.0])
def test_from_profile_scales_delays_and_keeps_the_power(doppler_hz):
    channel = Multipath.from_profile("TDL-C", sample_rate_hz=1e6, delay_spread_s=2e-6, doppler_hz=doppler_hz)
    assert channel.delays[-1].item() == pytest.approx(8.6523 * 2)
    gains = channel.draw(ones(3000, 4), generator=seeded_generator(6))
    assert gains.shape == (3000, 24, 1 if doppler_hz is None else 4)
    expected = channel.powers / channel.powers.sum()
    assert torch.allclose(gains.abs().square().mean((0, 2)), expected, rtol=0.15)
    assert gains.abs().square().sum(1).mean().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("keep_tail", [False, True])
def test_whole_delays_are_a_plain_sum_of_echoes(moving, keep_tail):
    channel = Multipath([0, 2, 5], [1, 1, 1], doppler=0.01 if moving else None, keep_tail=keep_tail)
    signal = random_complex(2, 20)
    length = 25 if keep_tail else 20
    gains = random_complex(2, 3, length if moving else 1, seed=1)
    expected = np.zeros((2, length), complex)
    padded = np.pad(signal.numpy(), ((0, 0), (0, 5)))
    for p, delay in enumerate((0, 2, 5)):
        echo = np.pad(padded, ((0, 0), (delay, 0)))[:, :length]
        expected += gains[:, p].numpy() * echo
    np.testing.assert_allclose(channel(signal, gains), expected, atol=1e-12)


def test_moving_and_still_forms_agree_on_fractional_delays():
    signal, gains = random_complex(2, 30), random_complex(2, 3, 1, seed=2)
    channel = Multipath([0, 0.5, 3.3], [1, 1, 1])
    assert torch.allclose(channel(signal, gains), channel(signal, gains.expand(2, 3, 30)), atol=1e-12)


def test_frequency_response_of_a_tone():
    """Far from the frame's edges a tone leaves with the gain sum_p h_p exp(-j 2 pi f d_p)."""
    n, f = torch.arange(4096, dtype=torch.float64), 0.0625
    gains = random_complex(3, 1, seed=3)
    delays = torch.tensor([0.0, 0.7, 2.2], dtype=torch.float64)
    tone = torch.exp(2j * torch.pi * f * n)
    out = Multipath(delays, [1, 1, 1])(tone, gains)
    response = (gains[:, 0] * torch.exp(-2j * torch.pi * f * delays)).sum()
    assert torch.allclose(out[1000:3000] / tone[1000:3000], response, atol=3e-4)


def test_exponential_profile():
    channel = Multipath.exponential(4, 2.0)
    assert torch.allclose(channel.powers[1:] / channel.powers[:-1], torch.tensor(math.exp(-0.5), dtype=torch.float64))


# ---------------------------------------------------------------- MIMO


def test_mimo_is_matrix_times_streams():
    channel, signal = MIMOChannel(2, 3), random_complex(4, 2, 7)
    gains = random_complex(4, 3, 2, seed=1)
    np.testing.assert_allclose(channel(signal, gains), gains.numpy() @ signal.numpy(), atol=1e-12)
    moving = random_complex(4, 3, 2, 7, seed=2)
    expected = np.einsum("brtn,btn->brn", moving.numpy(), signal.numpy())
    np.testing.assert_allclose(channel(signal, moving), expected, atol=1e-12)
    one_for_all = random_complex(3, 2, seed=3)
    np.testing.assert_allclose(channel(signal, one_for_all), one_for_all.numpy() @ signal.numpy(), atol=1e-12)


def test_mimo_correlation_is_kronecker():
    transmit = exponential_correlation(2, 0.6 + 0.3j)
    receive = exponential_correlation(3, 0.8)
    channel = MIMOChannel(2, 3, transmit_correlation=transmit, receive_correlation=receive)
    gains = channel.draw(ones(100_000, 2, 1), generator=seeded_generator(8)).flatten(1)
    seen = gains.T @ gains.conj() / len(gains)
    assert torch.allclose(seen, torch.kron(receive.to(seen.dtype), transmit.to(seen.dtype)), atol=0.02)


def test_mimo_with_doppler_moves_with_j0():
    channel = MIMOChannel(2, 2, doppler=0.02)
    gains = channel.draw(ones(2000, 2, 20), generator=seeded_generator(9))
    assert gains.shape == (2000, 2, 2, 20)
    seen = (gains[..., 10] * gains[..., 0].conj()).mean().item()
    assert abs(seen - scipy.special.j0(2 * math.pi * 0.2)) < 0.04
    assert channel(ones(5, 2, 20), generator=seeded_generator(9)).shape == (5, 2, 20)
