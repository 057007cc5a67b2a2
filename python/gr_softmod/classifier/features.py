# SPDX-License-Identifier: GPL-3.0-or-later
"""Expert features of a frame, in torch: differentiable, no transform, a few sums of products a sample.

``docs/features.md`` has the formulas and what each tells apart; :mod:`gr_softmod.classifier.feature_set` is the same in
numpy and holds the names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gr_softmod.classifier.feature_set import (
    ENVELOPE_BINS,
    ENVELOPE_FIRST,
    ENVELOPE_STEP,
    HALF_BAND,
    LINE_LAGS,
    LINE_ORDERS,
    MATCHED,
    MINIMUM_LENGTH,
    POWER_LAGS,
    SIGNAL_LAGS,
    TINY,
    check_set,
    octaves_of,
)

__all__ = ["features", "normalise"]


def normalise(frames: Tensor) -> Tensor:
    """Frames of unit mean power: ``x / sqrt(mean |x|^2)``, the mean in float64; a silent frame stays silent.

    Shape:
        frames [..., N] complex -> the same.
    """
    parts = torch.view_as_real(frames)
    power = parts.double().square().sum((-1, -2)) / frames.shape[-1]
    scale = torch.where(power > 0, power, 1).rsqrt().to(parts.dtype)
    return frames * scale[..., None]


def features(frames: Tensor, feature_set: int = 3) -> Tensor:
    """All features of a set, 1 to 3, of frames of unit mean power (see :func:`normalise`).

    Shape:
        frames [..., N] complex, N at least 128 -> [..., F] float of the same precision; F and the order are those of
        :func:`~gr_softmod.classifier.feature_set.known_features`: 288 for frames of 1024 and set 3.
    Raises:
        ValueError: the frames are not complex or too short; there is no such set.
    Source: the cumulants are those of Swami and Sadler, "Hierarchical digital modulation classification using
        cumulants", 2000, continued to order 6 by Leonov and Shiryaev's formula; the rest is derived on the page.
    """
    if not frames.is_complex() or frames.shape[-1] < MINIMUM_LENGTH:
        raise ValueError(
            f"frames are {frames.dtype} of {frames.shape[-1]} samples; features need complex frames of at least "
            f"{MINIMUM_LENGTH}"
        )
    check_set(feature_set)
    if feature_set == 1:
        return _set_1(frames)
    plain, filtered = [], []
    for octave in range(octaves_of(frames.shape[-1]) + 1):
        if octave:
            frames = normalise(_filtered(frames, [HALF_BAND], stride=2)[..., 0, :])
        plain += [_set_1(frames), _envelope(frames)]
        if feature_set == 3:
            filtered.append(_bands(frames))
    return torch.cat(plain + filtered, -1)


def _filtered(frames: Tensor, taps: Sequence[Sequence[float]], stride: int = 1) -> Tensor:
    """[..., N] behind each of K filters of one odd length, zeros around the frame: [..., K, N / stride]."""
    parts = torch.view_as_real(frames).movedim(-1, -2)
    weight = torch.tensor(taps, dtype=parts.dtype, device=parts.device)[:, None]
    result = F.conv1d(parts.reshape(-1, 1, parts.shape[-1]), weight, stride=stride, padding=weight.shape[-1] // 2)
    result = result.view(*parts.shape[:-1], len(taps), -1).movedim(-3, -1)
    return torch.view_as_complex(result.contiguous())


def _bands(frames: Tensor) -> Tensor:
    """RMS amplitude behind each matched filter, and the envelope there."""
    given = _filtered(frames, [(*half[:0:-1], *half) for half in MATCHED])
    rms = (_mean(_power(given)) + TINY).sqrt()
    return torch.cat([rms[..., None], _envelope(normalise(given))], -1).flatten(-2)


def _envelope(frames: Tensor) -> Tensor:
    """Share of the time that ``|x|`` is near each of the places."""
    place = ((_power(frames) + TINY).sqrt() - ENVELOPE_FIRST) / ENVELOPE_STEP
    return torch.stack([_mean((1 - (place - i).abs()).clamp(min=0)) for i in range(ENVELOPE_BINS)], -1)


def _set_1(x: Tensor) -> Tensor:
    p = x.real.square() + x.imag.square()
    a = (p + TINY).sqrt()
    w = {1: x / a}
    for q in (2, 4, 8, 16):
        w[q] = w[q // 2] * w[q // 2]
    v = {q: a * w[q] for q in (2, 4, 8, 16)}
    signal = {k: _lag(x, k) for k in SIGNAL_LAGS}
    turn1, turn4 = (w[1][..., k:] * w[1][..., :-k].conj() for k in (1, 4))
    turn1x2 = turn1 * turn1
    columns = [
        _magnitude(_mean(x)),
        _mean(a),
        _mean(a * p),
        _mean(1 / (1 + 4 * p)),
        _mean(1 / (1 + 64 * p)),
        p.amax(-1).clamp(min=TINY).sqrt(),
        *_cumulants(x, p),
        *(_magnitude(_mean(v[q])) for q in (2, 4, 8, 16)),
        *(_magnitude(signal[k]) for k in SIGNAL_LAGS),
        signal[1].imag.abs(),
        (signal[2] * signal[1].conj() * signal[1].conj()).imag.abs(),
        *(_magnitude(_mean(turn)) for turn in (turn1, turn1x2, turn1x2 * turn1x2)),
        *(_magnitude(_mean(turn)) for turn in (turn4, turn4 * turn4)),
        *(_magnitude(_lag(v[q], k)) for q in LINE_ORDERS for k in LINE_LAGS),
        *(_mean(p[..., k:] * p[..., :-k]) - 1 for k in POWER_LAGS),
    ]
    return torch.stack(columns, -1)


def _cumulants(x: Tensor, p: Tensor) -> list[Tensor]:
    """Cumulants C20 to C63 of a signal with E|x|^2 = 1 and vanishing odd moments, as they enter the features."""
    x2 = x * x
    x4 = x2 * x2
    m20, m40, m41 = _mean(x2), _mean(x4), _mean(x2 * p)
    m60, m61, m62 = _mean(x4 * x2), _mean(x4 * p), _mean(x2 * (p * p))
    m42, m63 = _mean(p * p), _mean(p * p * p)
    power20 = _power(m20)
    squared = m20 * m20
    return [
        _magnitude(m20),
        _compress(_magnitude(m40 - 3 * squared)),
        _compress(_magnitude(m41 - 3 * m20)),
        _compress(m42 - power20 - 2),
        _compress(_magnitude(m60 - 15 * m20 * m40 + 30 * m20 * squared)),
        _compress(_magnitude(m61 - 5 * m40 - 10 * m20 * m41 + 30 * squared)),
        _compress(_magnitude(m62 - 6 * m20 * m42 - 8 * m41 - m20.conj() * m40 + 6 * power20 * m20 + 24 * m20)),
        _compress(m63 - 9 * m42 + 12 - 6 * (m20 * m41.conj()).real + 18 * power20),
    ]


def _mean(z: Tensor) -> Tensor:
    return z.mean(-1)


def _lag(z: Tensor, k: int) -> Tensor:
    return _mean(z[..., k:] * z[..., :-k].conj())


def _power(z: Tensor) -> Tensor:
    return z.real.square() + z.imag.square()


def _magnitude(z: Tensor) -> Tensor:
    return (_power(z) + TINY).sqrt()


def _compress(z: Tensor) -> Tensor:
    return z / (1 + z.abs()).sqrt()
