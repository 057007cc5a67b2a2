# SPDX-License-Identifier: GPL-3.0-or-later
"""Initial values of complex weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def glorot_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with ``E|w|^2 = 2 gain^2 / (fan_in + fan_out)``, magnitude Rayleigh, phase uniform: circular Gaussian.

    Args:
        weight: complex [out, in, ...], changed in place and returned.
        gain: of the activation that follows.
    Raises:
        ValueError: the weight is not complex or has fewer than two dimensions.
    Source:
        Trabelsi et al., "Deep complex networks", 2018, section 3.6.
    """
    fan_in, fan_out = _fans(weight)
    return _circular_(weight, 2 * gain**2 / (fan_in + fan_out), generator)


@torch.no_grad()
def he_(weight: Tensor, *, gain: float = math.sqrt(2.0), generator: torch.Generator | None = None) -> Tensor:
    """Fill with ``E|w|^2 = gain^2 / fan_in``, magnitude Rayleigh, phase uniform; as :func:`glorot_`.

    The default gain keeps ``E|z|^2`` through CReLU, which passes half the power of a circular input.
    """
    fan_in, _ = _fans(weight)
    return _circular_(weight, gain**2 / fan_in, generator)


@torch.no_grad()
def unitary_(weight: Tensor, *, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with ``gain`` times a (semi-)unitary matrix [out, in * ...], drawn uniformly (Haar measure).

    Rows are orthonormal where out <= in, columns where out >= in; the QR factorisation of a Gaussian matrix with the
    phases of R's diagonal taken out.

    Raises:
        ValueError: the weight is not complex or has fewer than two dimensions.
    Source:
        Mezzadri, "How to generate random matrices from the classical compact groups", 2007.
    """
    _fans(weight)
    rows, columns = weight.shape[0], weight[0].numel()
    shape = (max(rows, columns), min(rows, columns))
    gaussian = torch.randn(shape, dtype=weight.dtype, device=weight.device, generator=generator)
    q, r = torch.linalg.qr(gaussian)
    q = q * torch.sgn(r.diagonal())
    return weight.copy_(gain * (q if rows >= columns else q.mH).reshape(weight.shape))


def _circular_(weight: Tensor, variance: float, generator: torch.Generator | None) -> Tensor:
    noise = torch.randn(weight.shape, dtype=weight.dtype, device=weight.device, generator=generator)
    return weight.copy_(math.sqrt(variance) * noise)


def _fans(weight: Tensor) -> tuple[int, int]:
    if not weight.is_complex() or weight.ndim < 2:
        raise ValueError(
            f"the weight is {weight.dtype} of shape {tuple(weight.shape)}; it must be complex [out, in, ...]"
        )
    taps = weight[0, 0].numel()
    return weight.shape[1] * taps, weight.shape[0] * taps
