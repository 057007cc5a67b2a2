# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel: noise, oscillator, mixer, amplifier and converter against theory."""

import math

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gr_softmod.modem.channel import (
    AWGN,
    DCOffset,
    FrequencyOffset,
    IQImbalance,
    MaskedPhaseNoise,
    PhaseNoise,
    PhaseOffset,
    Quantizer,
    Rapp,
    Saleh,
    ThirdOrder,
    TimingOffset,
)
from gr_softmod.modem.seeding import seeded_generator


def random_complex(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def power(x):
    return x.abs().square().mean().item()


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize("noise_var", [1e-6, 0.3, 1e3])
def test_awgn_has_the_variance_half_per_dimension_and_is_gaussian(noise_var):
    noise = AWGN(noise_var)(torch.zeros(200_000, dtype=torch.complex128), generator=seeded_generator(1))
    assert power(noise) == pytest.approx(noise_var, rel=0.01)  # 1 sigma is 0.22 %
    assert noise.real.square().mean().item() == pytest.approx(noise_var / 2, rel=0.02)
    assert abs((noise**2).mean()) < 0.02 * noise_var  # circular
    assert scipy.stats.kstest(noise.imag / math.sqrt(noise_var / 2), "norm").pvalue > 1e-3


def test_awgn_takes_one_variance_a_row_and_prefers_the_calls():
    variance = torch.tensor([[0.1], [10.0]])
    noise = AWGN(5.0)(torch.zeros(2, 50_000, dtype=torch.complex64), variance, generator=seeded_generator(2))
    assert power(noise[0]) == pytest.approx(0.1, rel=0.03)
    assert power(noise[1]) == pytest.approx(10.0, rel=0.03)
    assert noise.dtype == torch.complex64


def test_no_noise_is_no_change():
    signal = random_complex(5)
    assert torch.equal(AWGN(0.0)(signal), signal)


@pytest.mark.parametrize("linewidth", [1e-3, 1e-2])
def test_wiener_phase_noise_has_a_lorentzian_autocorrelation(linewidth):
    out = PhaseNoise(linewidth)(torch.ones(4000, 200, dtype=torch.complex128), generator=seeded_generator(3))
    assert torch.allclose(out.abs(), torch.ones((), dtype=torch.float64))
    assert torch.equal(out[:, 0], torch.ones(4000, dtype=torch.complex128))
    for lag in (1, 10, 60):
        seen = (out[:, lag:] * out[:, :-lag].conj()).mean()
        assert abs(seen - math.exp(-math.pi * linewidth * lag)) < 0.02


def test_masked_phase_noise_has_the_masks_density():
    mask = MaskedPhaseNoise([1e3, 1e4, 1e5], [-80.0, -80.0, -110.0], sample_rate_hz=1e6)
    out = mask(torch.ones(200, 4096, dtype=torch.complex128), generator=seeded_generator(4))
    f, seen = scipy.signal.periodogram(out.angle().numpy(), fs=1e6, window="hann", return_onesided=False)
    seen = seen.mean(0)
    for low, high in ((2e3, 8e3), (2e4, 4e4), (6e4, 9e4), (2e5, 4e5)):
        band = (f > low) & (f < high)
        expected = mask.density(torch.tensor(f[band])).numpy().mean()
        assert seen[band].mean() == pytest.approx(expected, rel=0.1)
    # The mask itself: -95 dBc/Hz half way (in the logarithm) between -80 and -110, flat outside.
    at = torch.tensor([10.0, 1e4, 10**4.5, 1e6], dtype=torch.float64)
    assert torch.allclose(10 * mask.density(at).log10(), torch.tensor([-80.0, -80.0, -95.0, -110.0]).double())


# ---------------------------------------------------------------- offsets


def test_phase_and_frequency_offset_are_the_formula():
    signal = random_complex(2, 50)
    expected = signal.numpy() * np.exp(1j * 0.7)
    np.testing.assert_allclose(PhaseOffset(0.7)(signal), expected, atol=1e-14)
    expected = signal.numpy() * np.exp(2j * np.pi * 0.013 * np.arange(50))
    np.testing.assert_allclose(FrequencyOffset(0.013)(signal), expected, atol=1e-13)


def test_frequency_offset_stays_exact_over_a_long_complex64_signal():
    count, frequency = 3_000_001, 0.1234567
    out = FrequencyOffset(frequency)(torch.ones(count, dtype=torch.complex64))
    exact = np.exp(2j * np.pi * ((frequency * (count - 1)) % 1))
    assert abs(out[-1].item() - exact) < 1e-6


@pytest.mark.parametrize("delay", [-7, -1, 0, 1, 5, 32])
def test_whole_delays_shift_exactly(delay):
    signal = random_complex(3, 32)
    expected = torch.zeros_like(signal)
    if delay >= 0:
        expected[:, delay:] = signal[:, : 32 - delay]
    else:
        expected[:, :delay] = signal[:, -delay:]
    assert torch.allclose(TimingOffset(float(delay))(signal), expected, atol=1e-12)


@pytest.mark.parametrize("delay", [0.5, -0.25, 3.1, 17.77])
def test_fractional_delay_of_a_band_limited_pulse_is_its_closed_form(delay):
    """A Gaussian pulse 4 samples wide is band-limited to 1e-17 here; its delayed samples are known exactly."""
    n = torch.arange(128, dtype=torch.float64)
    pulse = lambda centre: torch.exp(-((n - centre) ** 2) / 32) * torch.exp(2j * torch.pi * 0.05 * (n - centre))  # noqa: E731
    assert torch.allclose(TimingOffset(delay)(pulse(60)), pulse(60 + delay), atol=1e-12)


def test_each_row_has_its_own_delay_and_real_signals_stay_real():
    signal = torch.randn(2, 33, dtype=torch.float64).to(torch.complex128)
    out = TimingOffset(torch.tensor([[2.0], [0.4]], dtype=torch.float64))(signal)
    assert torch.allclose(out[0, 2:], signal[0, :-2])
    assert torch.allclose(out[1], TimingOffset(0.4)(signal[1]))
    assert out.imag.abs().max() < 1e-13


@pytest.mark.parametrize("gain_db,phase", [(0.0, 0.0), (1.0, 0.0), (0.0, 0.1), (-0.5, -0.05)])
def test_iq_imbalance_rejects_the_image_by_the_formula(gain_db, phase):
    n = np.arange(256)
    tone = torch.tensor(np.exp(2j * np.pi * 10 / 256 * n))
    spectrum = np.fft.fft(IQImbalance(gain_db, phase)(tone).numpy()) / 256
    g = 10 ** (gain_db / 20)
    assert abs(spectrum[10]) ** 2 == pytest.approx((1 + 2 * g * math.cos(phase) + g * g) / 4, abs=1e-12)
    assert abs(spectrum[-10]) ** 2 == pytest.approx((1 - 2 * g * math.cos(phase) + g * g) / 4, abs=1e-12)


def test_dc_offset():
    signal = random_complex(9, dtype=torch.complex64)
    out = DCOffset(0.1 - 0.2j)(signal)
    assert out.dtype == torch.complex64
    assert torch.allclose(out - signal, torch.tensor(0.1 - 0.2j))


# ---------------------------------------------------------------- amplifier and converter


@pytest.mark.parametrize("smoothness", [0.8, 2.0, 3.0, 50.0])
@pytest.mark.parametrize("saturation,gain", [(1.0, 1.0), (2.5, 10.0)])
def test_rapp_compresses_by_1_db_where_it_should(saturation, gain, smoothness):
    amplifier = Rapp(saturation, smoothness, gain)
    drive = saturation * (10 ** (smoothness / 10) - 1) ** (1 / (2 * smoothness)) / gain
    out = amplifier(torch.tensor([drive * 1j], dtype=torch.complex128))
    assert 20 * math.log10(gain * drive / out.abs().item()) == pytest.approx(1.0, abs=1e-9)
    assert out.angle().item() == pytest.approx(math.pi / 2)


def test_rapp_is_linear_when_small_and_saturates_without_overflow():
    out = Rapp(1.0, 3.0)(torch.tensor([0, 1e-4, 1e3, 1e30], dtype=torch.complex64))
    assert torch.allclose(out.real, torch.tensor([0, 1e-4, 1.0, 1.0]), atol=1e-9)
    signal = torch.tensor([0, 1e-30, 1e30], dtype=torch.complex64, requires_grad=True)
    Rapp(1.0, 0.7)(signal).abs().sum().backward()
    assert torch.isfinite(torch.view_as_real(signal.grad)).all()


def test_saleh_is_the_formula_and_saturates_at_its_known_point():
    r = np.linspace(0, 3, 50)
    out = Saleh()(torch.tensor(r * np.exp(0.3j))).numpy()
    np.testing.assert_allclose(np.abs(out), 2.1587 * r / (1 + 1.1517 * r**2), atol=1e-12)
    turn = np.exp(1j * (0.3 + 4.0033 * r**2 / (1 + 9.1040 * r**2)))
    np.testing.assert_allclose(out, np.abs(out) * turn, atol=1e-12)
    peak = Saleh()(torch.tensor([1 / math.sqrt(1.1517)], dtype=torch.complex128)).abs().item()
    assert peak == pytest.approx(2.1587 / (2 * math.sqrt(1.1517))) and peak >= np.abs(out).max()


@pytest.mark.parametrize("beta", [-0.08, 0.0, 0.1])
def test_third_order_is_the_polynomial_and_its_compression_is_where_it_says(beta: float) -> None:
    x = np.array([0, 0.3 + 0.1j, -1.2j, 1.5])
    np.testing.assert_allclose(ThirdOrder(beta)(torch.tensor(x)).numpy(), x + beta * np.abs(x) ** 2 * x, rtol=1e-12)
    if beta < 0:
        drive = math.sqrt(0.10875 / -beta)
        out = ThirdOrder(beta)(torch.tensor([drive], dtype=torch.complex128)).abs().item()
        assert 20 * math.log10(out / drive) == pytest.approx(-1.0, abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(bits=st.integers(1, 10), full_scale=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_quantizer_levels_error_and_idempotence(bits, full_scale, seed):
    signal = random_complex(200, seed=seed) * full_scale
    out = torch.view_as_real(Quantizer(bits, full_scale)(signal))
    step = 2 * full_scale / 2**bits
    level = out / step - 0.5
    assert torch.allclose(level, level.round(), atol=1e-9)
    assert out.abs().max() <= full_scale - step / 2 + 1e-9
    inside = torch.view_as_real(signal).abs() < full_scale
    assert (out - torch.view_as_real(signal))[inside].abs().max() <= step / 2 + 1e-9
    again = Quantizer(bits, full_scale)(torch.view_as_complex(out))
    assert torch.allclose(torch.view_as_real(again), out)


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_quantizer_of_a_full_scale_sine_has_the_textbook_snr(bits):
    phase = torch.rand(100_000, dtype=torch.float64, generator=seeded_generator(5)) * 2 * torch.pi
    sine = torch.polar(torch.ones_like(phase), phase)
    snr = 10 * math.log10(power(sine) / power(Quantizer(bits)(sine) - sine))
    assert snr == pytest.approx(6.02 * bits + 1.76, abs=0.3)


def test_quantizer_gradient_is_straight_through_and_learns_its_range():
    signal = torch.tensor([0.3 + 0.26j, 1.7 - 0.1j], dtype=torch.complex128, requires_grad=True)
    scale = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    out = Quantizer(2, scale)(signal)
    torch.view_as_real(out).sum().backward()
    assert torch.equal(signal.grad, torch.tensor([1 + 1j, 0 + 1j], dtype=torch.complex128))
    # Levels at +-0.25, +-0.75: (level - x) / scale where it rounds, level / scale = 0.75 where it clips.
    expected = (0.25 - 0.3) + (0.25 - 0.26) + 0.75 + (-0.25 + 0.1)
    assert scale.grad.item() == pytest.approx(expected)
