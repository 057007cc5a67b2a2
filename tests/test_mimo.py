# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear MIMO detection against theory, calibration of all detectors, and what they have in common."""

import math

import numpy as np
import pytest
import torch

from gr_softmod.constellation import Constellation
from gr_softmod.modem import Demodulator
from gr_softmod.modem.mimo import LMMSEDetector, MLDetector, MMSEPICDetector, equalize
from gr_softmod.modem.mimo.linear import soft_symbols
from mimo_link import link, priors_like

# ---------------------------------------------------------------- linear detection and cancellation


def test_equalizer_is_the_matrix_formula():
    _, _, received, gains = link("qpsk", 3, 4, 5, 0.3, batch=2)
    symbols, left = equalize(received, gains, 0.3)
    for b in range(2):
        h = gains[b].numpy()
        gram = h.conj().T @ h
        w = np.linalg.inv(gram + 0.3 * np.eye(3)) @ h.conj().T
        mu = np.diag(w @ h).real
        np.testing.assert_allclose(symbols[b], (w @ received[b].numpy()) / mu[:, None], atol=1e-12)
        np.testing.assert_allclose(left[b, :, 0], 1 / mu - 1, atol=1e-12)


def test_filter_with_priors_is_the_minimum_of_its_class():
    """Each stream's filter against the direct solution with the stream's own variance 1 (not cancelled)."""
    bits, _, received, gains = link("16qam", 3, 3, 4, 0.2, batch=1)
    mean, variance = soft_symbols(Demodulator("16qam").points, priors_like(bits))
    symbols, left = equalize(received, gains, 0.2, mean, variance)
    h = gains[0].numpy()
    for n in range(4):
        for t in range(3):
            v = variance[0, :, n].numpy().copy()
            v[t] = 1.0
            x = mean[0, :, n].numpy().copy()
            x[t] = 0.0
            cov = h @ np.diag(v) @ h.conj().T + 0.2 * np.eye(3)
            w = np.linalg.solve(cov, h[:, t]).conj()
            mu = (w @ h[:, t]).real
            assert abs(symbols[0, t, n] - w @ (received[0, :, n].numpy() - h @ x) / mu) < 1e-10
            assert left[0, t, n].item() == pytest.approx(1 / mu - 1, rel=1e-9)


@pytest.mark.parametrize("streams,antennas", [(2, 2), (4, 4), (3, 5)])
@pytest.mark.parametrize("with_priors", [False, True])
def test_estimates_are_unbiased_with_the_stated_variance(streams, antennas, with_priors):
    bits, symbols, received, gains = link("16qam", streams, antennas, 100, 0.3, batch=300)
    mean, variance = soft_symbols(Demodulator("16qam").points, priors_like(bits)) if with_priors else (None, None)
    estimates, left = equalize(received, gains, 0.3, mean, variance)
    error = (estimates - symbols) / left.sqrt()
    count = error.numel()
    assert error.abs().square().mean().item() == pytest.approx(1, abs=0.03)
    # Unbiased: the error does not lean on the symbol (an LMMSE estimate left biased leans by 1 - mu).
    assert abs((error * symbols.conj()).mean()) < 6 / math.sqrt(count)


def test_one_antenna_is_a_demodulator():
    _, _, received, gains = link("16qam", 1, 1, 20, 0.1)
    expected = Demodulator("16qam")(received / gains, 0.1 / gains.abs().square())
    torch.testing.assert_close(LMMSEDetector("16qam")(received, gains, 0.1), expected)
    torch.testing.assert_close(MLDetector("16qam", "exact")(received, gains, 0.1), expected)
    torch.testing.assert_close(MMSEPICDetector("16qam")(received, gains, 0.1), expected)


def test_pic_without_priors_is_lmmse_and_with_certain_ones_a_single_stream():
    bits, symbols, received, gains = link("16qam", 4, 4, 50, 0.2)
    torch.testing.assert_close(
        MMSEPICDetector("16qam")(received, gains, 0.2), LMMSEDetector("16qam")(received, gains, 0.2)
    )
    certain = 1e6 * (2 * bits - 1)
    mean, variance = soft_symbols(Demodulator("16qam").points, certain)
    torch.testing.assert_close(mean, symbols)
    estimates, left = equalize(received, gains, 0.2, mean, variance)
    bound = 0.2 / gains.abs().square().sum(1)[..., None]  # noise over the energy of the stream's column
    torch.testing.assert_close(left, bound.expand_as(left))


def test_priors_and_iterations_improve_cancellation():
    bits, _, received, gains = link("qpsk", 4, 4, 200, 0.3, batch=50)
    truth = bits.bool()

    def error_rate(llr):
        return ((llr > 0) != truth).double().mean().item()

    once = error_rate(MMSEPICDetector("qpsk")(received, gains, 0.3))
    twice = error_rate(MMSEPICDetector("qpsk", iterations=3)(received, gains, 0.3))
    priors = priors_like(bits)
    informed = MMSEPICDetector("qpsk")(received, gains, 0.3, priors)
    alone = LMMSEDetector("qpsk")(received, gains, 0.3, priors)
    assert twice < 0.9 * once
    assert error_rate(informed - priors) < 0.7 * once  # extrinsic: the priors' own share is taken out
    assert error_rate(informed) < error_rate(alone)


def test_detectors_rank_as_they_should():
    bits, _, received, gains = link("16qam", 4, 4, 60, 0.02, batch=60)
    rates = [
        ((detector(received.to(torch.complex64), gains.to(torch.complex64), 0.02) > 0) != bits.bool()).double().mean()
        for detector in (
            LMMSEDetector("16qam"),
            MMSEPICDetector("16qam", iterations=3),
            MLDetector("16qam", survivors=32),
        )
    ]
    assert rates[0] > 1.05 * rates[1] and rates[1] > 1.5 * rates[2]


# ---------------------------------------------------------------- calibration


def calibration_error(llr, bits):
    """Mean over equally filled bins of |share of ones - mean of sigmoid(llr)|."""
    order = llr.flatten().argsort()
    ones, predicted = bits.flatten()[order].chunk(40), torch.sigmoid(llr).flatten()[order].chunk(40)
    return float(np.mean([abs(b.mean() - p.mean()) for b, p in zip(ones, predicted, strict=True)]))


@pytest.mark.parametrize(
    "detector,streams,antennas,noise_var,allowed",
    [
        (MLDetector("qpsk", "exact"), 2, 2, 0.4, 0.006),
        (LMMSEDetector("16qam"), 8, 8, 0.4, 0.012),  # many interferers are nearly Gaussian
        (LMMSEDetector("qpsk"), 4, 8, 4.0, 0.01),
    ],
    ids=["ml", "lmmse 8x8", "lmmse 4x8"],
)
def test_llrs_are_calibrated(detector, streams, antennas, noise_var, allowed):
    """P(b=1 | llr) = sigmoid(llr): catches a wrong sign, a bias left in, a wrong noise variance, a factor of 2."""
    name = "16qam" if "16qam" in str(detector) else "qpsk"
    bits, _, received, gains = link(name, streams, antennas, 20, noise_var, batch=600)
    llr = detector(received.to(torch.complex64), gains.to(torch.complex64), noise_var)
    assert calibration_error(llr, bits) < allowed
    assert calibration_error(llr * 1.3, bits) > 1.5 * allowed  # the test would see a wrong scale


def test_calibrated_with_priors():
    """Consistent Gaussian priors (mean half their variance) in, calibrated a posteriori LLRs out."""
    bits, _, received, gains = link("qpsk", 4, 8, 20, 4.0, batch=600)
    llr = MMSEPICDetector("qpsk")(received, gains, 4.0, priors_like(bits, strength=1.0))
    assert calibration_error(llr, bits) < 0.01 < calibration_error(llr * 1.3, bits)


# ---------------------------------------------------------------- shapes, gradients, faults


DETECTORS = {
    "lmmse": lambda c: LMMSEDetector(c),
    "lmmse maxlog": lambda c: LMMSEDetector(c, "maxlog"),
    "pic": lambda c: MMSEPICDetector(c, iterations=2),
    "ml": lambda c: MLDetector(c),
    "ml exact": lambda c: MLDetector(c, "exact"),
    "search": lambda c: MLDetector(c, survivors=6),
}


SIZES = [(2, 2), (3, 4), (8, 8)]


@pytest.mark.parametrize(
    "streams,antennas,detector", [(*s, d) for s in SIZES for d in DETECTORS if s[0] < 8 or d[:2] != "ml"]
)
def test_shapes_and_time_varying_gains(detector, streams, antennas):
    build = DETECTORS[detector]("qpsk")
    bits, _, received, gains = link("qpsk", streams, antennas, 7, 0.1, batch=3)
    still = build(received, gains, 0.1)
    assert still.shape == bits.shape and torch.isfinite(still).all()
    moving = build(received, gains[..., None].expand(*gains.shape, 7), torch.full((3, 7), 0.1))
    torch.testing.assert_close(moving, still, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(build(received[0], gains[0], 0.1), still[0])
    torch.testing.assert_close(build(received, gains[0], torch.tensor(0.1))[0], still[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("detector", DETECTORS)
def test_gradients_to_everything(detector):
    """Signal, gains, noise, priors; also through gains that change with time."""
    bits, _, received, gains = link("qpsk", 2, 2, 2, 0.3, batch=2)
    noise = torch.full((2, 1), 0.3, dtype=torch.float64)
    priors = priors_like(bits, 1.0)
    build = DETECTORS[detector]("qpsk")
    inputs = [value.clone().requires_grad_() for value in (received, gains, noise, priors)]
    assert torch.autograd.gradcheck(build, inputs)


@pytest.mark.parametrize("detector", DETECTORS)
def test_trained_points_get_gradients(detector):
    from gr_softmod.modem import TrainableConstellation

    points = TrainableConstellation("qpsk")
    _, _, received, gains = link("qpsk", 2, 2, 4, 0.3, batch=2)
    DETECTORS[detector](points)(received.to(torch.complex64), gains.to(torch.complex64), 0.3).square().sum().backward()
    grads = [p.grad for p in points.parameters()]
    assert grads and all(g is not None and torch.isfinite(g.abs()).all() and g.abs().sum() > 0 for g in grads)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("noise_var", [1e-6, 1e3])
def test_float32_stays_finite_and_near_float64(detector, noise_var):
    _, _, received, gains = link("qpsk", 2, 3, 50, noise_var)
    build = DETECTORS[detector]("qpsk")
    exact = build(received, gains, noise_var)
    llr = build(received.to(torch.complex64), gains.to(torch.complex64), noise_var)
    assert torch.isfinite(llr).all()
    assert ((llr - exact).abs() <= 1e-3 + 2e-3 * exact.abs()).all()


@pytest.mark.parametrize("detector", DETECTORS)
def test_compiled_detectors_agree(detector):
    _, _, received, gains = link("qpsk", 2, 2, 4, 0.3, batch=2)
    build = DETECTORS[detector]("qpsk")
    compiled = torch.compile(build, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(received, gains, 0.3), build(received, gains, 0.3))


@pytest.mark.parametrize("detector", ["lmmse", "pic", "ml"])
def test_a_stream_that_nobody_hears_has_llr_0(detector):
    bits, _, received, gains = link("qpsk", 2, 2, 5, 0.1)
    gains = gains.clone()
    gains[..., 1] = 0
    llr = DETECTORS[detector]("qpsk")(received, gains, 0.1)
    assert llr[:, 1].abs().max() < 1e-6
    expected = LMMSEDetector("qpsk")(received, gains[..., :1], 0.1)[:, 0]
    if detector != "ml":
        torch.testing.assert_close(llr[:, 0], expected)


def test_rotated_constellations_are_turned_back():
    bits, _, received, gains = link("pi4-qpsk", 2, 3, 9, 1e-4)
    for detector in DETECTORS.values():
        assert torch.equal(detector("pi4-qpsk")(received, gains, 0.01) > 0, bits.bool())


def test_soft_symbols_are_the_moments():
    constellation = Constellation.from_name("16qam")
    llr = torch.tensor([0.5, -1.0, 2.0, 0.1], dtype=torch.float64)
    mean, variance = soft_symbols(Demodulator(constellation).points, llr)
    p = torch.sigmoid(llr).numpy()
    weights = np.prod(np.where(constellation.bits == 1, p, 1 - p), 1)
    expected = weights @ constellation.points
    assert mean.item() == pytest.approx(expected)
    assert variance.item() == pytest.approx(weights @ np.abs(constellation.points - expected) ** 2)


C64 = torch.complex64


@pytest.mark.parametrize(
    "run",
    [
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3), torch.zeros(2, 2, dtype=C64), 0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(3, dtype=C64), torch.zeros(2, 2, dtype=C64), 0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.zeros(2, 2), 0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.zeros(3, 2, dtype=C64), 0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.zeros(2, 2, 4, dtype=C64), 0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.eye(2, dtype=C64), -0.1),
        lambda: LMMSEDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.eye(2, dtype=C64), torch.ones(2)),
        lambda: MMSEPICDetector("qpsk", iterations=0),
        lambda: MMSEPICDetector("qpsk")(torch.zeros(2, 3, dtype=C64), torch.eye(2, dtype=C64), 0.1, torch.zeros(2, 5)),
        lambda: MLDetector("qpsk", "sphere"),
        lambda: MLDetector("qpsk", survivors=0),
        lambda: MLDetector("qpsk", "exact", survivors=4),
        lambda: MLDetector("256qam")(torch.zeros(3, 3, dtype=C64), torch.eye(3, dtype=C64), 0.1),
        lambda: MLDetector("qpsk", survivors=4)(torch.zeros(2, 3, dtype=C64), torch.zeros(2, 3, dtype=C64), 0.1),
    ],
)
def test_wrong_values_are_refused(run):
    with pytest.raises(ValueError, match="must|is|are|do not|does not|too many|needs"):
        run()
