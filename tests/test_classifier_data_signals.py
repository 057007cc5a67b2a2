# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic signals against theory: pulses, cumulants, envelopes, spectra, SNR, echoes and receivers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gr_softmod.classifier.data import SyntheticFrames, presets, pulses
from gr_softmod.classifier.data import impairments as on
from gr_softmod.classifier.data.audio import AUDIO_RATE, audio, tones
from gr_softmod.classifier.data.draw import Draw
from gr_softmod.classifier.data.presets import FIELD, LEAD_IN, LEAD_OUT, RADIOML2018
from gr_softmod.classifier.data.pulses import LEAD, Instants, rolloff_row
from gr_softmod.classifier.data.waveforms import KNOWN_CLASSES, Signals, Transmitters, make_signals
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.modem.cpm import phase_pulse
from gr_softmod.modem.pulse import root_raised_cosine

LINEAR = tuple(n for n in CLASS_NAMES if n not in ("FM", "GMSK") and not n.startswith("AM"))


def draw_of(seed: int, frames: int) -> Draw:
    return Draw(torch.Generator().manual_seed(seed), frames)


def clean(name: str, frames: int, length: int, how: Transmitters = RADIOML2018.transmitters, seed: int = 1) -> Signals:
    return make_signals((name,), torch.zeros(frames, dtype=torch.int64), length, how, draw_of(seed, frames))


def decibel(ratio: Tensor | float) -> float:
    return 10 * float(torch.log10(torch.as_tensor(ratio)))


def symbols_of(seed: int, count: int) -> Tensor:
    return torch.randn(count, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


# --- Pulses ----------------------------------------------------------------------------------------------------------


def rrc(t: np.ndarray, b: float) -> np.ndarray:
    """Textbook root-raised cosine, peak 1; its singular points are not asked for."""
    top = np.sin(np.pi * t * (1 - b)) + 4 * b * t * np.cos(np.pi * t * (1 + b))
    return top / (np.pi * t * (1 - (4 * b * t) ** 2)) / (1 - b + 4 * b / np.pi)


@pytest.mark.parametrize("rolloff", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("samples_per_symbol", [2.0, 5.317, 31.9])
def test_sum_of_pulses_at_any_rate(rolloff: float, samples_per_symbol: float) -> None:
    symbols = symbols_of(1, 200)
    time = LEAD + 0.1234567 + torch.arange(300) / samples_per_symbol
    row = rolloff_row(pulses.RRC, torch.tensor([rolloff]))
    made = Instants(time[None], row, 200).sum(symbols[None])[0]
    distance = time.double().numpy()[:, None] - np.arange(200)
    exact = (rrc(distance, rolloff) * (np.abs(distance) < LEAD)) @ symbols.numpy().astype(np.complex128)
    # The table has 512 values a symbol: -58 dB.
    assert decibel(((made - torch.tensor(exact)).abs() ** 2).mean() / made.abs().square().mean()) < -55


@pytest.mark.parametrize(("rolloff", "limit"), [(0.1, -37), (0.2, -44), (0.4, -54)])
def test_matched_filter_finds_the_symbols(rolloff: float, limit: float) -> None:
    symbols = symbols_of(2, 400)
    time = LEAD + 2 + torch.arange(380 * 8) / 8
    signal = (
        Instants(time[None], rolloff_row(pulses.RRC, torch.tensor([rolloff])), 400)
        .sum(symbols[None])[0]
        .to(torch.complex128)
    )
    taps = root_raised_cosine(8, rolloff, 40)
    filtered = torch.nn.functional.conv1d(torch.stack((signal.real, signal.imag))[:, None], taps[None, None], stride=8)
    found = torch.complex(filtered[0, 0], filtered[1, 0])
    sent = symbols[LEAD + 2 + 20 :][: len(found)].to(torch.complex128)
    gain = torch.vdot(sent, found) / sent.abs().square().sum()
    # What is left is the pulse being cut off at 8 symbols.
    assert decibel((found - gain * sent).abs().square().mean() / (gain * sent).abs().square().mean()) < limit


def test_phase_pulses_count_symbols_that_are_over() -> None:
    steps = symbols_of(3, 64).real.sign()
    time = LEAD + torch.arange(300) * 0.13
    for number, bt in enumerate(pulses.GAUSSIAN_BT):
        made = Instants(time[None], torch.tensor([pulses.GAUSSIAN + number]), 64).sum_steps(steps[None])[0]
        rise = 2 * phase_pulse(np.clip(time.double().numpy()[:, None] - np.arange(64) + 3, 0, 6), "gaussian", 6, bt)
        np.testing.assert_allclose(made.numpy(), rise @ steps.numpy(), atol=3e-3)


# --- Classes ---------------------------------------------------------------------------------------------------------


def cumulants(symbols: Tensor) -> tuple[complex, complex]:
    """C40 and C42 of zero-mean symbols, by the power squared (Swami, Sadler, "Hierarchical digital modulation
    classification using cumulants", 2000, eq. 5 and 7)."""
    s = (symbols - symbols.mean()).to(torch.complex128)
    power, square = s.abs().square().mean(), (s**2).mean()
    c40 = (s**4).mean() - 3 * square**2
    c42 = s.abs().pow(4).mean() - square.abs() ** 2 - 2 * power**2
    return complex(c40 / power**2), complex(c42 / power**2)


@pytest.mark.parametrize("name", LINEAR)
def test_symbols_have_the_cumulants_of_their_points(name: str) -> None:
    rectangles = replace(FIELD.transmitters, pulses=(0, 0, 1), clock_sigma=0)
    if name == "OQPSK":
        rectangles = replace(rectangles, samples_per_symbol=(8, 8))
    made = clean(name, 64, 1024, rectangles).samples
    points = torch.tensor(Constellation.from_name(name.lower()).points)
    if name == "OQPSK":  # I and Q change at different times, and are independent all the same
        assert torch.isclose(made.real.abs(), made.imag.abs()).all()
    for measured, expected in zip(cumulants(made.flatten()), cumulants(points), strict=True):
        assert abs(measured - expected) < 0.06, (measured, expected)


@pytest.mark.parametrize(
    ("name", "c40", "c42"),
    [
        ("BPSK", -2, -2),
        ("QPSK", -1, -1),
        ("8PSK", 0, -1),
        ("16QAM", -0.68, -0.68),
        ("32QAM", -0.19, -0.69),
        ("64QAM", -0.619, -0.619),
    ],
)
def test_known_cumulants(name: str, c40: float, c42: float) -> None:
    # Swami and Sadler, table I; C40 of QPSK and QAM as these points lie.
    measured = cumulants(torch.tensor(Constellation.from_name(name.lower()).points))
    assert measured == pytest.approx((c40, c42), abs=0.005)


def test_every_point_is_sent_equally_often() -> None:
    rectangles = replace(FIELD.transmitters, pulses=(0, 0, 1), clock_sigma=0, samples_per_symbol=(2, 2))
    for name in ("OOK", "32QAM", "256QAM", "128APSK"):
        constellation = Constellation.from_name(name.lower())
        labels = constellation.nearest(clean(name, 64, 1024, rectangles).samples[:, ::2].flatten().numpy())
        share = np.bincount(labels, minlength=constellation.order) / len(labels)
        assert np.abs(share * constellation.order - 1).max() < 0.5


def test_quadrature_of_oqpsk_is_half_a_symbol_late() -> None:
    how = replace(FIELD.transmitters, pulses=(0, 0, 1), clock_sigma=0, samples_per_symbol=(8, 8))
    samples = clean("OQPSK", 8, 1024, how).samples
    changes = [(part.diff(dim=1).abs() > 0.1).float().reshape(8, -1) for part in (samples.real, samples.imag)]
    for frame in range(8):
        phase_i, phase_q = (set((c[frame].nonzero()[:, 0] % 8).tolist()) for c in changes)
        assert len(phase_i) == len(phase_q) == 1 and (phase_i.pop() + 4) % 8 == phase_q.pop()


@pytest.mark.parametrize("how", [RADIOML2018.transmitters, FIELD.transmitters], ids=["radioml2018", "field"])
@pytest.mark.parametrize("name", ["GMSK", "FM"])
def test_constant_envelope(name: str, how: Transmitters) -> None:
    torch.testing.assert_close(clean(name, 32, 1280, how).samples.abs(), torch.ones(32, 1280))


def test_gmsk_turns_a_quarter_each_symbol() -> None:
    samples = clean("GMSK", 16, 1024, replace(RADIOML2018.transmitters, clock_sigma=0)).samples
    step = (samples[:, 8:] * samples[:, :-8].conj()).angle().abs()
    assert step.max() < np.pi / 2 + 0.02 and (step > np.pi / 2 - 0.02).any()


def test_carriers_and_side_bands() -> None:
    how = replace(RADIOML2018.transmitters, clock_sigma=0)
    for name in (n for n in CLASS_NAMES if n.startswith("AM")):
        samples = clean(name, 64, 4096, how).samples
        carrier = samples.mean(1).abs().square() / samples.abs().square().mean(1)
        assert (carrier.median() > 0.5) == name.endswith("WC")
        if "DSB" in name:
            assert samples.imag.abs().max() < 1e-5
        else:
            spectrum = torch.fft.fft((samples - samples.mean(1, keepdim=True)) * torch.hann_window(4096)).abs().square()
            upper, lower = spectrum[:, 4:2048].sum(1), spectrum[:, 2049:-3].sum(1)
            weak = torch.minimum(upper, lower) / torch.maximum(upper, lower)
            assert weak.median() < 1e-3 and 10 < (upper > lower).sum() < 54  # both sides are used
        if name == "AM-DSB-WC":
            assert samples.real.min() > -1e-3  # the envelope is never over-modulated


@pytest.mark.parametrize("how", [RADIOML2018.transmitters, FIELD.transmitters], ids=["radioml2018", "field"])
@pytest.mark.parametrize("name", CLASS_NAMES)
def test_power_lies_in_the_occupied_band(name: str, how: Transmitters) -> None:
    signals = clean(name, 32, 4096, replace(how, pulses=(1, 0, 0)))
    spectrum = torch.fft.fft(signals.samples * torch.hann_window(4096)).abs().square()
    frequency = torch.fft.fftfreq(4096).abs()
    # GMSK's width is its symbol rate: 90 % or so for the largest BT; Carson's rule promises 98 % of FM for tones.
    least = {"GMSK": 0.85, "FM": 0.95}.get(name, 0.995)
    inside = (spectrum * (frequency <= signals.occupied / 2 + 2 / 4096)).sum(1) / spectrum.sum(1)
    assert inside.min() > least
    assert (signals.occupied <= 1).all()


def test_audio_is_no_tone_and_stays_in_its_band() -> None:
    bandwidth = torch.full((64, 1), 4000.0)
    sound = audio(1 << 14, bandwidth, draw_of(5, 64))
    assert sound.real.abs().max() <= 1
    spectrum = torch.fft.fft(sound * torch.hann_window(1 << 14)).abs().square()
    frequency = torch.fft.fftfreq(1 << 14, 1 / AUDIO_RATE)
    share = spectrum / spectrum.sum(1, keepdim=True)
    assert share[:, (frequency < -10) | (frequency > 4050)].sum(1).max() < 1e-3
    # No line has most of the power, and the level changes within half a second.
    assert share.unfold(1, 8, 8).sum(-1).amax(1).median() < 0.6
    level = sound.real.unfold(1, 1024, 1024).square().mean(-1)
    assert (level.amax(1) / level.mean(1)).median() > 1.3
    assert 0.05 < sound.real.square().mean(1).sqrt().median() < 0.5


def test_tones_are_lines_under_the_bandwidth() -> None:
    sound = tones(8192, torch.full((200, 1), 3000.0), draw_of(2, 200))
    peaks = sound.abs().amax(1)
    assert (sound.real.abs() <= 1).all() and peaks.min() > 0.29 and peaks.max() <= 1.0
    spectrum = torch.fft.fft(sound * torch.hann_window(8192)).abs().square()
    share = spectrum / spectrum.sum(1, keepdim=True)
    frequency = torch.arange(8192) * (AUDIO_RATE / 8192)
    assert (share[:, (frequency > 150) & (frequency < 2800)].sum(1) > 0.999).all()
    strongest = share.topk(15).values.sum(1)  # a line is five bins wide, and there are three at most
    assert (strongest > 0.98).all() and (share.topk(5).values.sum(1) > 0.99).float().mean() > 0.4


def test_pauses_are_there_and_not_silent() -> None:
    level = audio(256, torch.full((2000, 1), 4000.0), draw_of(6, 2000))[0::2].real.square().mean(1).sqrt()
    assert 0.1 < (level < 0.01).float().mean() < 0.35 and level.min() > 1e-4


# --- SNR and channels ------------------------------------------------------------------------------------------------


def test_snr_of_radioml2018_is_exact() -> None:
    """The same seed without noise gives the signal; what is left of a frame is its noise."""
    for snr_db in (-6.0, 0.0, 12.0):
        loud, noisy = (SyntheticFrames(snr_db=(s, s, 1), seed=3).batch(0, 240).frames for s in (150.0, snr_db))
        torch.testing.assert_close(on.power(noisy), torch.ones(240, 1))
        gain = (loud.conj() * noisy).mean(1, keepdim=True)
        measured = gain.abs().square() / on.power(noisy - gain * loud)
        assert decibel(measured.mean()) == pytest.approx(snr_db, abs=0.15)
        assert (10 * measured.log10() - snr_db).abs().max() < 1.5  # a frame's own noise: 1024 samples of it


def test_snr_of_field_is_counted_in_the_signals_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """Es/N0 at 4 and 16 samples a symbol, from frames of which only the noise is unknown."""
    monkeypatch.setattr(presets, "_receiver_band", lambda *_: 1.0)  # noise that a filter takes away does not count
    for per_symbol in (4.0, 16.0):
        how = replace(FIELD.transmitters, samples_per_symbol=(per_symbol, per_symbol))
        frames = {}
        for snr_db in (100.0, 8.0):
            draw = draw_of(4, 400)
            signals = make_signals(("QPSK",), torch.zeros(400, dtype=torch.int64), 1024 + LEAD_IN + LEAD_OUT, how, draw)
            none = torch.zeros(400, 1, dtype=torch.bool)
            frames[snr_db] = FIELD.receive(signals, none, torch.full((400, 1), snr_db), (), 1024, draw)
        loud, noisy = frames[100.0], frames[8.0]
        # What differs is noise, gain and (by level) DC; frames with a burst or a neighbour spread a little.
        loud, noisy = loud - loud.mean(1, keepdim=True), noisy - noisy.mean(1, keepdim=True)
        gain = (loud.conj() * noisy).mean(1, keepdim=True) / on.power(loud)
        measured = on.power(gain * loud) / on.power(noisy - gain * loud) * per_symbol
        assert decibel(measured.median()) == pytest.approx(8.0, abs=0.8)


def test_frames_without_a_signal_know_no_snr() -> None:
    for preset in ("radioml2018", "field"):
        batch = SyntheticFrames(preset, class_names=("BPSK", "noise")).batch(0, 64)
        assert torch.equal(batch.snr_db.isnan(), batch.labels == 1)
    noise = SyntheticFrames(class_names=("noise",)).batch(0, 64).frames
    spectrum = torch.fft.fft(noise).abs().square().mean(0)
    assert spectrum.max() / spectrum.min() < 4  # white


def test_echoes_are_delayed_by_any_fraction_of_a_sample() -> None:
    draw = draw_of(7, 5)
    delay, gain = draw.uniform(0, 100, columns=4), draw.complex_normal(4)
    frequency = np.fft.fftfreq(1280)
    exact = (gain.numpy()[:, :, None] * np.exp(-2j * np.pi * frequency * delay.double().numpy()[:, :, None])).sum(1)
    np.testing.assert_allclose(on.path_response(delay, gain, 1280).numpy(), exact, atol=2e-4)


def test_without_spread_radioml2018_has_no_echo() -> None:
    frames = SyntheticFrames(class_names=("GMSK",), snr_db=(60, 60, 1), delay_spread=(0,)).batch(0, 32).frames
    torch.testing.assert_close(frames.abs(), torch.ones(32, 1024), atol=0.01, rtol=0)
    spread = SyntheticFrames(class_names=("GMSK",), snr_db=(60, 60, 1), delay_spread=(4,)).batch(0, 32).frames
    assert (spread.abs().std(1) > 0.1).float().mean() > 0.8


def test_carrier_and_clock_of_radioml2018_err_together() -> None:
    """A constant (OOK's mean) turns by the offset that the clock has."""
    batch = SyntheticFrames(class_names=("AM-SSB-WC",), snr_db=(90, 90, 1), delay_spread=(0,)).batch(0, 400).frames
    turned = (batch[:, 512:].mean(1) * batch[:, :512].mean(1).conj()).angle() / (2 * torch.pi * 512)
    assert float(turned.std()) == pytest.approx(1e-4, rel=0.35)


def test_converter_has_256_levels_and_clips() -> None:
    signal = draw_of(8, 4).complex_normal(4096) * 0.5
    made = torch.view_as_real(on.quantised(signal, 8))
    assert len(made.unique()) == 256 and made.max() == 255 / 256 and made.min() == -255 / 256
    inside = torch.view_as_real(signal).abs() < 1
    assert (made - torch.view_as_real(signal)).abs()[inside].max() <= 1 / 256 + 1e-6


def test_iq_imbalance_makes_the_image_it_should() -> None:
    tone = on.turn(torch.arange(1024) / 16)[None]
    made = on.iq_imbalance(tone, torch.tensor([[1.0]]), torch.tensor([[np.radians(4.0)]], dtype=torch.float32))
    spectrum = torch.fft.fft(made)[0].abs()
    ratio = 10 ** (1 / 20) * np.exp(1j * np.radians(4.0))
    assert float(spectrum[-64] / spectrum[64]) == pytest.approx(abs((ratio - 1) / (ratio + 1)), rel=1e-3)


def test_noise_of_field_is_white_or_shaped_by_the_receiver() -> None:
    noise = SyntheticFrames("field", class_names=("noise",)).batch(0, 1000).frames
    spectrum = torch.fft.fft(noise - noise.mean(1, keepdim=True)).abs().square().unfold(1, 64, 64).mean(-1)
    ratio = spectrum.amax(1) / spectrum.amin(1)
    white = (ratio < 4).float().mean()  # 64 lines a value: they spread by +-1/8
    assert 0.35 < white < 0.6 and (ratio > 30).float().mean() > 0.15


def test_field_level_seldom_clips_and_bursts_leave_frames_part_empty() -> None:
    frames = SyntheticFrames("field", class_names=("GMSK",), snr_db=(30, 30, 1)).batch(0, 1000).frames
    clipped = (torch.view_as_real(frames).abs() > 0.99).float().mean((1, 2)) > 0.01
    assert 0.005 < clipped.float().mean() < 0.1
    level = frames.abs().square().unfold(1, 64, 64).mean(-1)
    part_empty = level.amin(1) < 0.1 * level.amax(1)
    assert 0.1 < part_empty.float().mean() < 0.35


@pytest.mark.parametrize("name", KNOWN_CLASSES)
@pytest.mark.parametrize("length", [64, 2048])
def test_every_class_alone_and_other_lengths(name: str, length: int) -> None:
    for preset in ("radioml2018", "field"):
        frames = SyntheticFrames(preset, class_names=(name,), frame_length=length).batch(0, 5).frames
        assert frames.shape == (5, length) and torch.isfinite(torch.view_as_real(frames)).all()
        assert (on.power(frames) > 0).all()
