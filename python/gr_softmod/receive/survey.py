# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stretch of samples holds: a signal's symbol rate, carrier and constellation, with nothing told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.bindings._kernels import BlindEstimator, Classifier, NoiseEstimator
from gr_softmod.constellation import Constellation

#: What can be demodulated, by the classifier's names.
DEMODULATED = {
    "BPSK": "bpsk", "QPSK": "qpsk", "8PSK": "8psk", "16PSK": "16psk", "16APSK": "16apsk", "32APSK": "32apsk",
    "16QAM": "16qam", "32QAM": "32qam", "64QAM": "64qam", "128QAM": "128qam", "256QAM": "256qam",
}  # fmt: skip
#: Symbols that a constellation is judged by.
JUDGED = 4096
#: Width of the band that the classifier is shown, over the signal's.
SHOWN_BANDWIDTHS = 5
#: Log-likelihood a symbol that a constellation must have over Gaussian symbols to be one.
CLEAR_NATS = 0.04
#: Probability of other classes, by the classifier, above which no constellation is confirmed.
OTHERS = 0.5
#: A classifier as sure as this of its class contradicts symbols of a class that it holds for as unlikely as that.
SURE, UNLIKELY = 0.7, 0.05
#: Least probability that a classifier's word counts for: it is wrong now and then, and symbols are many.
_LEAST_PRIOR = 1e-2
#: Symbols that their power is averaged over, and its share of the loud ones' below which there is no signal.
_BURST_SYMBOLS, _QUIET = 32, 0.3
_FEWEST = 128
#: How much of the symbols' log-likelihood counts: what they went through is not white noise alone.
_TRUST = 0.25


@dataclass(frozen=True)
class Finding:
    """What was found in a window. Frequencies in hertz.

    Attributes:
        symbol_rate: 0: no symbol clock.
        carrier: the best that is known of it; sharp: by a spectral line of the symbols, not by the band's middle.
        name: the class in the classifier's words; "" where nothing stands out.
        probability: of the class, by symbols and classifier together, or by the classifier alone.
        confirmed: the class is that of the symbols.
        gain_nats: log-likelihood a symbol of the constellation over Gaussian symbols.
    """

    symbol_rate: float = 0.0
    carrier: float = 0.0
    sharp: bool = False
    bandwidth: float = 0.0
    snr_db: float | None = None
    name: str = ""
    probability: float = 0.0
    confirmed: bool = False
    gain_nats: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def constellation(self) -> str | None:
        """Of a signal that can be demodulated, its name."""
        return DEMODULATED.get(self.name) if self.confirmed and self.symbol_rate else None


def survey(samples: NDArray[np.complex64], sample_rate: float, classifier: Classifier) -> Finding:
    """Look at samples of one signal.

    Args:
        samples: complex [N], N at least 4096.
        classifier: a model of classes by the names of the RadioML data sets; others are shown, and confirm nothing.
    """
    length = 1 << (len(samples).bit_length() - 1)
    found = BlindEstimator(min(length, 1 << 20)).estimate(samples, True)
    probabilities = _classes(samples, found, classifier)
    name = max(probabilities, key=lambda key: probabilities[key], default="")
    finding = Finding(
        symbol_rate=found["symbol_rate"] * sample_rate,
        carrier=found["carrier"] * sample_rate,
        sharp=found["carrier_order"] > 0,
        bandwidth=found["bandwidth"] * sample_rate,
        snr_db=found["snr_db"] if found["bandwidth"] else None,
        name=name,
        probability=probabilities.get(name, 0.0),
        probabilities=probabilities,
    )
    if not found["carrier_order"]:
        return finding
    symbols = _of_bursts(found["symbols"])[:JUDGED]
    if len(symbols) < _FEWEST:
        return finding
    scores = judge(symbols, found["carrier_order"])
    best, share = decide(scores, probabilities)
    # OQPSK, GMSK, ASK and FM can look alike at the instants of some clock; the classifier knows these better.
    others = sum(share for key, share in probabilities.items() if key not in DEMODULATED and key != "noise")
    contradicted = name != "noise" and probabilities.get(name, 0.0) > SURE and probabilities.get(best, 0.0) < UNLIKELY
    if scores[best] < CLEAR_NATS or others > OTHERS or contradicted:
        return finding
    return replace(finding, name=best, probability=share, confirmed=True, gain_nats=scores[best])


def _of_bursts(symbols: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Without what lies between bursts, of unit power."""
    if len(symbols) < _FEWEST:
        return symbols
    power = np.convolve(np.abs(symbols) ** 2, np.full(_BURST_SYMBOLS, 1 / _BURST_SYMBOLS), "same")
    kept = symbols[power > _QUIET * np.quantile(power, 0.9)]
    return np.asarray(kept / np.sqrt(np.mean(np.abs(kept) ** 2)), np.complex64)


def _classes(samples: NDArray[np.complex64], found: Mapping[str, Any], classifier: Classifier) -> dict[str, float]:
    """Probabilities of the classes, the mean over frames of the signal at frequency 0, some 5 samples a symbol."""
    if found["bandwidth"]:
        count = len(samples)
        width = min(count, max(classifier.frame_length, int(SHOWN_BANDWIDTHS * found["bandwidth"] * count)))
        bins = np.arange(width) - width // 2
        middle = round(found["carrier"] * count)
        spectrum = np.fft.fft(np.nan_to_num(samples))[(bins + middle) % count]
        samples = (np.fft.ifft(np.fft.ifftshift(spectrum)) * (width / count)).astype(np.complex64)
    length = classifier.frame_length
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    power = np.mean(np.abs(frames) ** 2, axis=1)
    frames = frames[np.isfinite(power) & (power > 1e-30)]
    if not len(frames):
        return {}
    mean = classifier.run(frames).mean(axis=0)
    return dict(zip(classifier.class_names, map(float, mean), strict=True))


def judge(symbols: NDArray[np.complex64], order: int) -> dict[str, float]:
    """Log-likelihood a symbol of each constellation that can be demodulated, over that of Gaussian symbols.

    Args:
        symbols: complex [N], in time, of unit power, their carrier not yet turned back.
        order: the power of them that has a spectral line; constellations that turn by 2 pi / order into themselves are
            compared.
    """
    turned = _turned_back(symbols.astype(np.complex128), order)
    return {
        name: _best_gain(turned, Constellation.from_name(scheme).points, order)
        for name, scheme in DEMODULATED.items()
        if _line_order(scheme) == order
    }


def decide(scores: Mapping[str, float], probabilities: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest class and its probability, the classifier's being what is known before."""
    names = list(scores)
    log = np.array(
        [JUDGED / 8 * scores[name] + math.log(max(probabilities.get(name, 0), _LEAST_PRIOR)) for name in names]
    )
    share = np.exp(log - log.max())
    share /= share.sum()
    best = int(share.argmax())
    return names[best], float(share[best])


def _line_order(scheme: str) -> int:
    """The lowest power of its symbols that has a mean: 2, 4, 8 or more."""
    points = Constellation.from_name(scheme).points
    for order in (2, 4, 8, 16):
        if abs(np.mean(points**order)) > 1e-3:
            return order
    return 0


def _turned_back(symbols: NDArray[np.complex128], order: int) -> NDArray[np.complex128]:
    """Without the carrier, but for a turn of 2 pi / order; the phase is followed over pieces."""
    count = len(symbols)
    spectrum = np.abs(np.fft.fft(symbols**order, 8 * count))
    reach = int(min(0.06 * order, 0.4) * 8 * count)
    bins = np.arange(-reach, reach + 1)
    frequency = bins[np.argmax(spectrum[bins])] / (8 * count)
    turned = symbols * np.exp(-2j * np.pi * frequency / order * np.arange(count))
    # Phase noise and what is left of the frequency: the phase of the power, smoothed.
    width = min(255, count // 2 * 2 - 1)
    smooth = np.convolve(np.pad(turned**order, width // 2, mode="reflect"), np.hanning(width + 2)[1:-1], "valid")
    return turned * np.exp(-1j * np.unwrap(np.angle(smooth)) / order)


def _best_gain(symbols: NDArray[np.complex128], points: NDArray[np.complex128], order: int) -> float:
    """Turned so that the power has the phase that it has of the points."""
    expected = np.angle(np.mean(points**order)) / order
    return _gain(symbols * np.exp(1j * expected), points)


def _gain(symbols: NDArray[np.complex128], points: NDArray[np.complex128]) -> float:
    estimator = NoiseEstimator(points.astype(np.complex64), max(len(symbols), 64), 0.0)
    estimator.push(symbols.astype(np.complex64))
    estimate = estimator.estimate()
    if estimate is None:
        return -math.inf
    return float(np.mean(log_likelihood(symbols, points, estimate["gain"], estimate["noise_var"]))) - _gaussian(symbols)


def log_likelihood(
    symbols: NDArray[np.complex128], points: NDArray[np.complex128], gain: float, noise_var: float
) -> NDArray[np.float64]:
    """ln p(y) [N] of symbols of unknown label: y = gain * s + n, s equiprobable over the points, E|n|^2 = noise_var."""
    distance = np.abs(symbols[:, None] - gain * points) ** 2 / noise_var
    least = distance.min(axis=1)
    inner = np.log(np.mean(np.exp(-(distance - least[:, None])), axis=1))
    return np.asarray(inner - least - math.log(math.pi * noise_var))


def _gaussian(symbols: NDArray[np.complex128]) -> float:
    """Mean of ln p(y) of complex Gaussian symbols of the same power."""
    return -1 - math.log(math.pi * float(np.mean(np.abs(symbols) ** 2)))
