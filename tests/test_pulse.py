# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse shaping against closed forms, numpy's convolution and Nyquist's criterion; spectra against scipy."""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gr_softmod.modem.pulse import (
    MatchedFilter,
    PulseShaper,
    convolve,
    downsample,
    gaussian,
    raised_cosine,
    rectangular,
    root_raised_cosine,
    upsample,
)
from gr_softmod.modem.spectrum import aclr_db, welch


def random_complex(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def assert_close(actual, expected, tolerance):
    expected = torch.as_tensor(np.asarray(expected))
    assert actual.shape == expected.shape
    worst = (actual - expected).abs().max().item()
    assert worst <= tolerance, f"off by {worst}, allowed {tolerance}"


def textbook_rrc(t, b):
    """The usual quotient, with its three limits."""
    if t == 0:
        return 1 - b + 4 * b / math.pi
    if b and math.isclose(abs(t), 1 / (4 * b), rel_tol=1e-12):
        a = math.pi / (4 * b)
        return b / math.sqrt(2) * ((1 + 2 / math.pi) * math.sin(a) + (1 - 2 / math.pi) * math.cos(a))
    top = math.sin(math.pi * t * (1 - b)) + 4 * b * t * math.cos(math.pi * t * (1 + b))
    return top / (math.pi * t * (1 - (4 * b * t) ** 2))


def textbook_rc(t, b):
    sinc = np.sinc(t)
    if b and math.isclose(abs(t), 1 / (2 * b), rel_tol=1e-12):
        return math.pi / 4 * np.sinc(1 / (2 * b))
    return sinc * math.cos(math.pi * b * t) / (1 - (2 * b * t) ** 2)


# 0.25 and 0.5 put taps exactly on the singular points, 0.25 + 1e-9 right beside them.
@pytest.mark.parametrize("rolloff", [0.0, 0.05, 0.22, 0.25, 0.25 + 1e-9, 0.35, 0.5, 1.0])
@pytest.mark.parametrize("sps,span", [(1, 8), (2, 7), (4, 10), (8, 16)])
@pytest.mark.parametrize("taps,textbook", [(root_raised_cosine, textbook_rrc), (raised_cosine, textbook_rc)])
def test_taps_are_the_closed_form(taps, textbook, sps, span, rolloff):
    times = (np.arange(span * sps + 1) - span * sps / 2) / sps
    expected = np.array([textbook(t, rolloff) for t in times])
    # Beside a singular point the textbook quotient itself keeps only about half its digits.
    assert_close(
        taps(sps, rolloff, span), expected / np.linalg.norm(expected), 1e-7 if rolloff == 0.25 + 1e-9 else 1e-13
    )


def test_gaussian_is_3db_down_at_its_bandwidth():
    sps, bt = 64, 0.3
    taps = gaussian(sps, bt, 16).numpy()
    response = [abs(np.sum(taps * np.exp(-2j * np.pi * f / sps * np.arange(len(taps))))) for f in (0, bt)]
    assert response[1] / response[0] == pytest.approx(math.sqrt(0.5), abs=1e-6)


@pytest.mark.parametrize("taps", [root_raised_cosine(4, 0.3), raised_cosine(4, 0.3), gaussian(4, 0.5), rectangular(4)])
def test_taps_have_unit_energy_and_symmetry(taps):
    assert taps.dtype == torch.float64
    assert taps.square().sum().item() == pytest.approx(1, abs=1e-14)
    assert_close(taps, taps.flip(0), 1e-15)


@pytest.mark.parametrize("rolloff,span,tolerance", [(0.2, 64, 1e-3), (0.5, 32, 5e-4), (1.0, 32, 5e-4)])
def test_shaper_and_matched_filter_are_free_of_isi(rolloff, span, tolerance):
    """Nyquist: the cascade returns the symbols; what is left comes from cutting the pulse off at ``span``."""
    shaper = PulseShaper(root_raised_cosine(4, rolloff, span), 4)
    symbols = random_complex(3, 50)
    assert_close(shaper.matched_filter()(shaper(symbols)), symbols, tolerance * symbols.abs().max().item())


@settings(max_examples=60, deadline=None)
@given(
    sps=st.integers(1, 6),
    length=st.integers(1, 17),
    count=st.integers(1, 9),
    complex_taps=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_shaper_is_numpys_convolution_and_matched_filter_its_adjoint(sps, length, count, complex_taps, seed):
    taps = random_complex(length, seed=seed)
    taps = taps if complex_taps else taps.real.clone()
    shaper, symbols = PulseShaper(taps, sps), random_complex(2, count, seed=seed + 1)
    unit = (taps / taps.abs().square().sum().sqrt()).numpy()
    stuffed = np.zeros((2, (count - 1) * sps + 1), complex)
    stuffed[:, ::sps] = symbols.numpy()
    samples = shaper(symbols)
    assert_close(samples, np.stack([np.convolve(row, unit) for row in stuffed]), 1e-12)
    # <A s, y> = <s, A^H y> for every y: the matched filter is the adjoint, so the delay is exactly made up for.
    y = random_complex(*samples.shape, seed=seed + 2)
    left, right = (
        torch.vdot(samples.flatten(), y.flatten()),
        torch.vdot(symbols.flatten(), shaper.matched_filter()(y).flatten()),
    )
    assert abs(left - right) < 1e-11


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 20), taps=st.integers(1, 12), factor=st.integers(1, 5), offset=st.integers(0, 6))
def test_convolve_upsample_downsample(n, taps, factor, offset):
    signal, filter_taps = random_complex(n, seed=n), random_complex(taps, seed=taps)
    assert_close(convolve(signal, filter_taps), np.convolve(signal.numpy(), filter_taps.numpy()), 1e-12)
    assert torch.equal(downsample(upsample(signal, factor), factor), signal)
    assert torch.equal(downsample(signal, factor, offset=offset), signal[offset::factor])
    assert upsample(signal, factor).shape == (n * factor,)
    assert torch.count_nonzero(upsample(signal, factor)) == n


@pytest.mark.parametrize("length", [1, 5, 33, 41])
def test_receive_filter_of_another_length_stays_aligned(length):
    """A symmetric receive filter of any odd length is centred on the pulse, longer or shorter."""
    pulse = raised_cosine(8, 0.4, 4)
    receive = torch.zeros(length, dtype=torch.float64)
    receive[length // 2] = 1
    receiver = MatchedFilter(receive, 8, pulse_length=len(pulse))
    symbols = random_complex(30)
    assert_close(receiver(PulseShaper(pulse, 8)(symbols)) / pulse.max(), symbols, 1e-12)


def test_white_noise_keeps_its_variance():
    noise = random_complex(200_000) * math.sqrt(0.3)
    out = PulseShaper(root_raised_cosine(4, 0.25), 4).matched_filter()(noise)
    assert out.abs().square().mean().item() == pytest.approx(0.3, rel=0.03)  # 50,000 values: 1 sigma is 0.5 %


def test_delay_is_the_peak():
    shaper = PulseShaper(root_raised_cosine(8, 0.25, 6), 8)
    samples = shaper(torch.ones(1, dtype=torch.complex64))
    assert samples.abs().argmax().item() == shaper.delay == 24


def test_trailing_channel_samples_add_no_symbol():
    shaper = PulseShaper(rectangular(4), 4)
    samples = shaper(random_complex(5))
    assert shaper.matched_filter()(torch.nn.functional.pad(samples, (0, 3))).shape == (5,)


@pytest.mark.parametrize("complex_taps", [False, True])
def test_gradients_to_signal_and_taps(complex_taps):
    taps = random_complex(7)
    shaper = PulseShaper(taps if complex_taps else taps.real.clone(), 3, trainable=True)
    matched = shaper.matched_filter()

    def link(symbols, taps):
        samples = torch.func.functional_call(shaper, {"taps": taps}, symbols)
        return samples, torch.func.functional_call(matched, {"taps": taps}, samples * (1 + 0.1 * samples.abs()))

    assert torch.autograd.gradcheck(link, (random_complex(2, 4).requires_grad_(), shaper.taps))


def test_gradient_to_rolloff():
    assert torch.autograd.gradcheck(
        lambda b: root_raised_cosine(4, b, 6), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    )
    assert torch.autograd.gradcheck(
        lambda b: raised_cosine(4, b, 6), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    )


def test_trainable_taps_are_shared_and_stay_at_unit_energy():
    shaper = PulseShaper(rectangular(4), 4, trainable=True)
    link = nn.Sequential(shaper, shaper.matched_filter())
    assert len(list(link.parameters())) == 1
    link.double()
    with torch.no_grad():
        shaper.taps.mul_(7.0)
    symbols = random_complex(6)
    assert_close(link(symbols), symbols, 1e-14)


def test_training_taps_removes_the_interference_of_a_bad_pulse():
    shaper = PulseShaper(gaussian(4, 0.3, 4), 4, trainable=True)
    link, symbols = nn.Sequential(shaper, shaper.matched_filter()), random_complex(4, 64)
    optimizer = torch.optim.Adam(link.parameters(), lr=0.02)
    errors = []
    for _ in range(60):
        error = (link(symbols) - symbols).abs().square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.02 * errors[0]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_dtype_follows_the_signal_and_autocast_does_not_reach_it(dtype):
    shaper = PulseShaper(root_raised_cosine(4, 0.25), 4)
    symbols = random_complex(8, dtype=dtype)
    plain = shaper.matched_filter()(shaper(symbols))
    assert plain.dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(shaper.matched_filter()(shaper(symbols)), plain)


def test_compiles():
    shaper = PulseShaper(root_raised_cosine(4, 0.25, 4), 4)
    link = nn.Sequential(shaper, shaper.matched_filter())
    symbols = random_complex(2, 16, dtype=torch.complex64)
    compiled = torch.compile(link, fullgraph=True, backend="aot_eager")
    assert_close(compiled(symbols), link(symbols), 1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: root_raised_cosine(4, 1.01),
        lambda: root_raised_cosine(4, float("nan")),
        lambda: root_raised_cosine(0, 0.2),
        lambda: raised_cosine(4, 0.2, 0),
        lambda: gaussian(4, 0.0),
        lambda: rectangular(1.5),
        lambda: PulseShaper(torch.zeros(4), 2),
        lambda: PulseShaper(torch.ones(2, 2), 2),
        lambda: PulseShaper(torch.tensor([1.0, float("inf")]), 2),
        lambda: MatchedFilter(torch.ones(4), 2, pulse_length=5),
        lambda: PulseShaper(torch.ones(4), 2)(torch.ones(3)),
        lambda: PulseShaper(torch.ones(4), 2)(torch.ones(0, dtype=torch.complex64)),
        lambda: MatchedFilter(torch.ones(4), 2)(torch.ones(3, dtype=torch.complex64)),
        lambda: downsample(torch.ones(3), 2, offset=-1),
        lambda: welch(torch.ones(8, dtype=torch.complex64), segment=9),
        lambda: welch(torch.ones(8), segment=4),
        lambda: welch(torch.ones(8, dtype=torch.complex64), segment=4, overlap=1.0),
        lambda: aclr_db(torch.ones(2048, dtype=torch.complex64), bandwidth=0.3, spacing=0.4),
    ],
)
def test_wrong_values_are_refused(build):
    with pytest.raises(ValueError, match="must|is|are|cannot"):
        build()


@pytest.mark.parametrize("segment,overlap", [(64, 0.5), (100, 0.25), (33, 0.0), (128, 0.75)])
def test_welch_is_scipys(segment, overlap):
    signal = random_complex(1000)
    _, expected = scipy.signal.welch(
        signal.numpy(), nperseg=segment, noverlap=int(segment * overlap), return_onesided=False, detrend=False
    )
    frequencies, density = welch(signal, segment=segment, overlap=overlap)
    assert_close(density, np.fft.fftshift(expected), 1e-12)
    assert_close(frequencies, np.fft.fftshift(np.fft.fftfreq(segment)), 1e-15)


def test_welch_mean_is_the_power():
    signal = random_complex(4, 50_000) * 2
    assert welch(signal)[1].mean().item() == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("lower_db,upper_db", [(20.0, 20.0), (30.0, 45.0)])
def test_aclr_of_tones(lower_db, upper_db):
    n = torch.arange(20_000, dtype=torch.float64)
    tone = lambda f, db: torch.exp(2j * torch.pi * f * n) * 10 ** (-db / 20)  # noqa: E731
    signal = tone(0.003, 0) + tone(-0.2, lower_db) + tone(0.21, upper_db)
    assert_close(aclr_db(signal, bandwidth=0.15, spacing=0.2), [lower_db, upper_db], 1e-3)


def test_aclr_of_white_noise_is_0_db_with_bins_in_part():
    """Bands not a whole number of bins wide must still compare equal power."""
    assert_close(aclr_db(random_complex(400_000), bandwidth=0.1234, spacing=0.2), [0.0, 0.0], 0.1)


def test_aclr_has_gradients():
    assert torch.autograd.gradcheck(
        lambda x: aclr_db(x, bandwidth=0.2, spacing=0.3, segment=16), random_complex(2, 40).requires_grad_()
    )
