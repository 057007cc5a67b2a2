# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear detection, and its iteration with cancelled interference."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.arguments import NoiseVar
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.mapper import turn
from gr_softmod.modem.mimo.arguments import Observation, check_priors, label_bits, observe
from gr_softmod.modem.points import Points


def equalize(
    received: Tensor,
    gains: Tensor,
    noise_var: NoiseVar,
    mean: Tensor | None = None,
    variance: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Unbiased LMMSE estimates of the streams, and the variance of what is left of interference and noise in each.

    With ``G = H^H H``, ``A = G diag(variance) + noise_var I`` and ``mu_t = [A^-1 G]_tt``::

        symbols_t   = [A^-1 H^H (y - H mean)]_t / mu_t + mean_t
        noise_var_t = noise_var [A^-1]_tt / mu_t              (equal to 1/mu_t - variance_t)

    Given the symbol s_t, the estimate is s_t plus an error of mean 0 and that variance; each stream can go to a
    Demodulator with it. The small matrices are computed in complex128.

    Args:
        received: y, complex [..., R, N].
        gains: H, complex [..., R, T], or [..., R, T, N] where it changes with time.
        noise_var: E|n|^2 at each antenna, a number or broadcastable to [..., N].
        mean, variance: of the symbols as known beforehand, [..., T, N]; by default 0 and 1 (nothing is known).
            A stream's own variance only scales its filter, which the division by mu_t takes out.
    Returns:
        symbols complex [..., T, N], noise_var real [..., T, N] or [..., T, 1].
    Raises:
        ValueError: shapes do not fit, or noise_var is not positive and finite.
    Source:
        Studer, Fateh, Seethaler, "ASIC implementation of soft-input soft-output MIMO detection using MMSE parallel
        interference cancellation", 2011, section II.
    """
    seen = observe(received, gains, noise_var)
    return _equalize(seen, mean, variance)


def _equalize(seen: Observation, mean: Tensor | None, variance: Tensor | None) -> tuple[Tensor, Tensor]:
    h = seen.gains.to(torch.complex128)
    noise = seen.noise_var.double()[..., None, None]
    gram = h.mH @ h
    loaded = gram if variance is None else gram * variance.mT.double()[..., None, :]
    identity = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)
    inverse = torch.linalg.inv(loaded + noise * identity)
    filters = inverse @ h.mH  # [..., N or 1, T, R]
    tiny = torch.finfo(seen.noise_var.dtype).tiny ** 0.5  # a stream that no antenna hears: LLR 0, not 0/0
    mu = (filters @ h).diagonal(dim1=-2, dim2=-1).real.clamp_min(tiny)
    error = noise[..., 0] * inverse.diagonal(dim1=-2, dim2=-1).real / mu
    unbiased = (filters / mu[..., None]).to(seen.received.dtype)
    residual = seen.received.mT if mean is None else seen.received.mT - _mix(seen.gains, mean)
    symbols = _mix(unbiased, residual)
    symbols = symbols if mean is None else symbols + mean
    return symbols, error.mT.to(seen.noise_var.dtype)


def _mix(matrices: Tensor, signal: Tensor) -> Tensor:
    """[..., N or 1, A, B] applied to [..., B, N] -> [..., A, N]."""
    if matrices.shape[-3] == 1:
        return matrices[..., 0, :, :] @ signal
    return (matrices @ signal.mT[..., None])[..., 0].mT


class LMMSEDetector(nn.Module):
    """Linear minimum mean square error equalisation, then a Demodulator for each stream.

    The estimate is made unbiased and goes to the demapper with the variance that is left (see :func:`equalize`), so
    LLRs are calibrated as far as the interference of the other streams is Gaussian.

    Args:
        constellation, method: as for Demodulator; all streams use it.
    Shape:
        received [..., R, N] complex, gains [..., R, T] or [..., R, T, N] complex, noise_var number or broadcastable to
        [..., N], priors [..., T, N * m] LLRs -> llr [..., T, N * m], a posteriori.
    Raises:
        ValueError: shapes do not fit, or noise_var is not positive and finite.
    """

    def __init__(self, constellation: Points | Constellation | str | Any, method: str = "exact") -> None:
        super().__init__()
        self.demodulator = Demodulator(constellation, method)

    def forward(self, received: Tensor, gains: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        symbols, left = equalize(received, gains, noise_var)
        llr: Tensor = self.demodulator(symbols, left, priors)
        return llr


class MMSEPICDetector(nn.Module):
    """Parallel interference cancellation with LMMSE filters: soft in, soft out.

    Priors give each symbol a mean and a variance; the means of the other streams are taken out of the signal, and a
    filter that knows the variances left suppresses the rest. Without priors the first pass is :class:`LMMSEDetector`;
    with certain ones it reaches a single stream's bound. In a receiver the priors are a decoder's extrinsic LLRs, and
    ``output - priors`` is what goes back to it.

    Args:
        constellation, method: as for Demodulator.
        iterations: passes; each after the first takes the LLRs of the one before as its knowledge of the symbols.
            More than one without a decoder lowers the error rate but makes the LLRs overconfident, since a stream's
            own noise comes back to it.
    Shape, Raises:
        as :class:`LMMSEDetector`.
    Source:
        Studer, Fateh, Seethaler 2011, as :func:`equalize`.
    """

    def __init__(
        self, constellation: Points | Constellation | str | Any, method: str = "exact", *, iterations: int = 1
    ) -> None:
        super().__init__()
        if iterations < 1:
            raise ValueError(f"iterations is {iterations}; it must be at least 1")
        self.demodulator = Demodulator(constellation, method)
        self.iterations = iterations

    def forward(self, received: Tensor, gains: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        seen = observe(received, gains, noise_var)
        points, m = self.demodulator.points, self.demodulator.bits_per_symbol
        check_priors(priors, seen.gains.shape[-1], seen, m)
        known = priors
        for _ in range(self.iterations):
            mean = variance = None
            if known is not None:
                streams = torch.Size((*seen.received.shape[:-2], seen.gains.shape[-1], seen.received.shape[-2] * m))
                mean, variance = soft_symbols(points, known.expand(streams).to(seen.noise_var.dtype))
            symbols, left = _equalize(seen, mean, variance)
            known = self.demodulator(symbols, left, priors)
        assert known is not None
        return known


def soft_symbols(points: Points, priors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of symbols whose bits have the LLRs ``priors`` [..., N * m] -> [..., N] complex, real."""
    m = points.bits_per_symbol
    values = points(priors.dtype)
    bits = label_bits(m, priors.dtype, priors.device)
    with torch.autocast(priors.device.type, enabled=False):
        # Halved and signed, so that LLRs of any size add up without overflow of their exponentials.
        logits = priors.unflatten(-1, (-1, m)) @ (bits - 0.5).T
    shaped = points.log_prob(priors.dtype)
    weights = torch.softmax(logits if shaped is None else logits + shaped, -1)
    mean = torch.complex((weights * values.real).sum(-1), (weights * values.imag).sum(-1))
    spread = values.real - mean.real[..., None], values.imag - mean.imag[..., None]
    variance = (weights * (spread[0] ** 2 + spread[1] ** 2)).sum(-1)
    return turn(mean, points.rotation), variance
