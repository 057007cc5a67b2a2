# SPDX-License-Identifier: GPL-3.0-or-later
"""The features in numpy: what :mod:`gr_softmod.classifier.features` computes in torch, where there is no torch.

The formulas are on the page ``docs/features.md``; this file is their shortest program. It computes in the precision of
its argument: complex128 frames give the oracle of the torch and C++ forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Lags [samples] of the signal's own correlation, of its power's covariance and of the lines of its powers.
SIGNAL_LAGS = (1, 2, 4, 8, 16, 64)
POWER_LAGS = (2, 8, 16, 64)
LINE_LAGS = (16, 64)
#: Orders q of the limited powers v_q = |x| (x / |x|)^q.
LINE_ORDERS = (2, 4, 8)
#: Added under every root of a sum of squares: no root has an infinite slope, and a silent frame divides by no zero.
TINY = 1e-12
#: The longest lag leaves at least as many samples again.
MINIMUM_LENGTH = 128
#: Places and width of the triangles that the envelope is counted by.
ENVELOPE_FIRST, ENVELOPE_STEP, ENVELOPE_BINS = 0.1, 0.15, 13
#: Of the low-pass between octaves, a maximally flat half-band; it is its own mirror image.
HALF_BAND = (-1 / 32, 0.0, 9 / 32, 16 / 32, 9 / 32, 0.0, -1 / 32)
#: How often a frame's rate is halved.
OCTAVES = 2
#: Half of each matched filter, middle tap first: root raised cosine, roll-off 0.35, of 3, 3.78 and 4.76 samples a
#: symbol (a third of an octave apart), under the root of a Hann window of 19 points, of unit energy. With the octaves
#: they reach from 3 to 19 samples.
MATCHED = (
    (0.6455, 0.4975, 0.1856, -0.0432, -0.0831, -0.0226, 0.0168, 0.0111, -0.0004),
    (0.5809, 0.4915, 0.2791, 0.0663, -0.0513, -0.0633, -0.0257, 0.0033, 0.0064),
    (0.5250, 0.4703, 0.3304, 0.1637, 0.0304, -0.0373, -0.0453, -0.0241, -0.0045),
)

#: Of the frame as it is.
SET_1 = (
    "mean",
    *("amplitude_1", "amplitude_3", "low_4", "low_64", "peak"),
    *("c20", "c40", "c41", "c42", "c60", "c61", "c62", "c63"),
    *(f"limited_{q}" for q in (2, 4, 8, 16)),
    *(f"lag_{k}" for k in SIGNAL_LAGS),
    *("offset", "skew"),
    *("turn_1", "turn_1x2", "turn_1x4", "turn_4", "turn_4x2"),
    *(f"line_{q}_{k}" for q in LINE_ORDERS for k in LINE_LAGS),
    *(f"power_{k}" for k in POWER_LAGS),
)
_ENVELOPE = tuple(f"envelope_{i}" for i in range(ENVELOPE_BINS))
_EACH = (*SET_1, *_ENVELOPE)
_EACH_BAND = tuple(f"band_{k}{rest}" for k in range(len(MATCHED)) for rest in ("", *(f"_{name}" for name in _ENVELOPE)))


def _at_all_rates(names: Sequence[str]) -> tuple[str, ...]:
    return (*names, *(f"{name}/{2**octave}" for octave in range(1, OCTAVES + 1) for name in names))


#: Set 1, its envelope, and both again at a half and a quarter of the rate.
SET_2 = _at_all_rates(_EACH)
#: All of them (set 3): set 2, then the power and the envelope behind each matched filter, at every rate.
FEATURE_NAMES = (*SET_2, *_at_all_rates(_EACH_BAND))
#: What a set of features has by its number: a file names the smallest that will do.
FEATURE_SETS = {1: SET_1, 2: SET_2, 3: FEATURE_NAMES}


def set_of(names: Sequence[str]) -> int:
    """The number of the smallest set that has all of ``names``; a name that there is not counts as the largest's."""
    return next((number for number, has in FEATURE_SETS.items() if set(names) <= set(has)), max(FEATURE_SETS))


def check_set(feature_set: int) -> None:
    """Raises ValueError: there is no set of this number."""
    if feature_set not in FEATURE_SETS:
        raise ValueError(f"feature_set is {feature_set!r}; it must be one of {', '.join(map(str, FEATURE_SETS))}")


def octaves_of(frame_length: int) -> int:
    """How often the rate of a frame can be halved: as long as there is a whole number of samples, and enough."""
    found = 0
    while found < OCTAVES and frame_length % 2 == 0 and frame_length // 2 >= MINIMUM_LENGTH:
        frame_length //= 2
        found += 1
    return found


def known_features(frame_length: int, feature_set: int = 3) -> tuple[str, ...]:
    """The features of a set that frames of this length have, in the order of FEATURE_NAMES; none, where they are too
    short.

    Raises:
        ValueError: there is no such set.
    """
    check_set(feature_set)
    if frame_length < MINIMUM_LENGTH:
        return ()
    if feature_set == 1:
        return SET_1
    rates = octaves_of(frame_length) + 1
    bands = FEATURE_NAMES[len(SET_2) :] if feature_set == 3 else ()
    return SET_2[: rates * len(_EACH)] + bands[: rates * len(_EACH_BAND)]


def normalise(frames: NDArray[Any]) -> NDArray[Any]:
    """``x / sqrt(mean |x|^2)`` of each frame, the mean in float64; a silent frame stays silent. [..., N] complex."""
    power = np.mean(frames.real.astype(np.float64) ** 2 + frames.imag.astype(np.float64) ** 2, -1, keepdims=True)
    scale = 1 / np.sqrt(np.where(power > 0, power, 1))
    return np.asanyarray(frames * scale.astype(frames.real.dtype), frames.dtype)


def compute(frames: NDArray[Any], feature_set: int = 3) -> NDArray[Any]:
    """All features of a set, of normalised frames, complex [..., N], as float [..., F] of the same precision; F and
    their order are those of :func:`known_features`.

    Raises:
        ValueError: the frames are not complex, or shorter than MINIMUM_LENGTH; there is no such set.
    """
    check_set(feature_set)
    if feature_set == 1:
        return compute_set_1(frames)
    plain, filtered = [], []
    for octave in range(octaves_of(frames.shape[-1]) + 1):
        if octave:
            frames = normalise(halved(frames))
        plain += [compute_set_1(frames), envelope(frames)]
        if feature_set == 3:
            filtered += [band(frames, half) for half in MATCHED]
    return np.concatenate(plain + filtered, -1)


def band(frames: NDArray[Any], half: Sequence[float]) -> NDArray[Any]:
    """RMS amplitude behind a symmetric filter, zeros around the frame, and the envelope there at unit power."""
    reach = len(half) - 1
    padded = _padded(frames, reach)
    length = frames.shape[-1]
    given = frames * frames.real.dtype.type(half[0])
    for k, tap in enumerate(half[1:], 1):
        sides = padded[..., reach - k : reach - k + length] + padded[..., reach + k : reach + k + length]
        given = given + sides * frames.real.dtype.type(tap)
    return np.concatenate(
        [np.sqrt(_mean(_power(given)) + given.real.dtype.type(TINY))[..., None], envelope(normalise(given))], -1
    )


def halved(frames: NDArray[Any]) -> NDArray[Any]:
    """Every second sample behind the half-band low-pass, zeros around the frame: [..., N] to [..., N / 2]."""
    padded = _padded(frames, len(HALF_BAND) // 2)
    taps = [(frames.real.dtype.type(tap), i) for i, tap in enumerate(HALF_BAND) if tap]
    return np.asanyarray(sum(tap * padded[..., i : i + frames.shape[-1] : 2] for tap, i in taps))


def envelope(frames: NDArray[Any]) -> NDArray[Any]:
    """Share of the time that ``|x|`` is near each of the places, shared between two neighbours: [..., 13]."""
    place = (np.sqrt(_power(frames) + frames.real.dtype.type(TINY)) - ENVELOPE_FIRST) / ENVELOPE_STEP
    return np.stack([_mean(np.maximum(1 - np.abs(place - i), 0)) for i in range(ENVELOPE_BINS)], -1)


def compute_set_1(frames: NDArray[Any]) -> NDArray[Any]:
    """Set 1 of normalised frames, complex [..., N], as float [..., 41] of the same precision.

    Raises:
        ValueError: the frames are not complex, or shorter than MINIMUM_LENGTH.
    """
    if not np.iscomplexobj(frames) or frames.shape[-1] < MINIMUM_LENGTH:
        raise ValueError(
            f"frames are {frames.dtype} of {frames.shape[-1]} samples; features need complex frames of at least "
            f"{MINIMUM_LENGTH}"
        )
    x = frames
    p = x.real**2 + x.imag**2
    a = np.sqrt(p + TINY)
    w = {1: x / a}
    for q in (2, 4, 8, 16):
        w[q] = w[q // 2] ** 2
    v = {q: a * w[q] for q in (2, 4, 8, 16)}
    x2 = x * x
    x4 = x2 * x2
    m20, m40, m41 = _mean(x2), _mean(x4), _mean(x2 * p)
    m60, m61, m62 = _mean(x4 * x2), _mean(x4 * p), _mean(x2 * p * p)
    m42, m63 = _mean(p * p), _mean(p * p * p)
    power20 = _power(m20)
    signal = {k: _lag(x, k) for k in SIGNAL_LAGS}
    turn1, turn4 = (w[1][..., k:] * w[1][..., :-k].conj() for k in (1, 4))
    columns = [
        _magnitude(_mean(x)),
        _mean(a),
        _mean(a * p),
        _mean(1 / (1 + 4 * p)),
        _mean(1 / (1 + 64 * p)),
        np.sqrt(np.maximum(np.max(p, -1), p.dtype.type(TINY))),
        _magnitude(m20),
        _compress(_magnitude(m40 - 3 * m20**2)),
        _compress(_magnitude(m41 - 3 * m20)),
        _compress(m42 - power20 - 2),
        _compress(_magnitude(m60 - 15 * m20 * m40 + 30 * m20**3)),
        _compress(_magnitude(m61 - 5 * m40 - 10 * m20 * m41 + 30 * m20**2)),
        _compress(_magnitude(m62 - 6 * m20 * m42 - 8 * m41 - m20.conj() * m40 + 6 * power20 * m20 + 24 * m20)),
        _compress(m63 - 9 * m42 + 12 - 6 * (m20 * m41.conj()).real + 18 * power20),
        *(_magnitude(_mean(v[q])) for q in (2, 4, 8, 16)),
        *(_magnitude(signal[k]) for k in SIGNAL_LAGS),
        np.abs(signal[1].imag),
        np.abs((signal[2] * signal[1].conj() ** 2).imag),
        *(_magnitude(_mean(turn1**q)) for q in (1, 2, 4)),
        *(_magnitude(_mean(turn4**q)) for q in (1, 2)),
        *(_magnitude(_lag(v[q], k)) for q in LINE_ORDERS for k in LINE_LAGS),
        *(_mean(p[..., k:] * p[..., :-k]) - 1 for k in POWER_LAGS),
    ]
    return np.stack(columns, -1)


def _padded(frames: NDArray[Any], reach: int) -> NDArray[Any]:
    padded = np.zeros_like(frames, shape=(*frames.shape[:-1], frames.shape[-1] + 2 * reach))
    padded[..., reach:-reach] = frames
    return padded


def _mean(z: NDArray[Any]) -> NDArray[Any]:
    return np.mean(z, -1)


def _lag(z: NDArray[Any], k: int) -> NDArray[Any]:
    return _mean(z[..., k:] * z[..., :-k].conj())


def _power(z: NDArray[Any]) -> NDArray[Any]:
    return z.real**2 + z.imag**2


def _magnitude(z: NDArray[Any]) -> NDArray[Any]:
    return np.sqrt(_power(z) + z.real.dtype.type(TINY))


def _compress(z: NDArray[Any]) -> NDArray[Any]:
    return z / np.sqrt(1 + np.abs(z))
