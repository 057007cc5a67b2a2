# SPDX-License-Identifier: GPL-3.0-or-later
"""What to train for, and what a receiver achieves: cross-entropies and achievable rates with their intervals."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Rate(NamedTuple):
    """An estimated rate in bits per symbol.

    ``value`` carries gradients; the true value lies in ``value`` +- ``half_width`` with the confidence asked for
    (central limit theorem over symbols, which must be independent).
    """

    value: Tensor
    half_width: Tensor

    @property
    def interval(self) -> tuple[float, float]:
        value = self.value.detach()
        return float(value - self.half_width), float(value + self.half_width)


def bit_cross_entropy(llr: Tensor, bits: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of ``-ln P(b = bit)`` over all bits, in nat.

    Args:
        llr: [..., N * m].
        bits: 0 or 1 (or soft bits) of the same shape, any dtype.
        weights: [..., N], one for each symbol (see :mod:`~gr_softmod.modem.shaping`).
    Raises:
        ValueError: shapes differ.
    """
    losses = _bit_losses(llr, bits)
    if weights is None:
        return losses.mean()
    return (losses.unflatten(-1, (weights.shape[-1], -1)) * weights[..., None]).mean()


def symbol_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of ``-ln P(label)`` over all symbols, in nat, of logits [..., N, M] (see :func:`symbol_logits`)."""
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").reshape(labels.shape)
    return losses.mean() if weights is None else (losses * weights).mean()


def symbol_logits(symbols: Tensor, points: Tensor, noise_var: float | Tensor, log_prob: Tensor | None = None) -> Tensor:
    """``ln P(s | y)`` up to a constant [..., N, M] of symbols [..., N], for points [M] (rotation undone)."""
    scale = torch.as_tensor(noise_var, dtype=symbols.real.dtype, device=symbols.device)
    difference = torch.view_as_real(symbols)[..., None, :] - torch.view_as_real(points)
    metric = -difference.square().sum(-1) / (scale[..., None] if scale.dim() else scale)
    return metric if log_prob is None else metric + log_prob


def bmd_rate(
    llr: Tensor,
    bits: Tensor,
    bits_per_symbol: int,
    *,
    entropy: float | Tensor | None = None,
    weights: Tensor | None = None,
    confidence: float = 0.95,
) -> Rate:
    """Bit-metric decoding rate: ``H(S) - sum_k E[log2(1 + exp(-+llr_k))]``, in bits per symbol.

    What a binary code that sees only these LLRs can carry; with exact LLRs ``H(S) - sum_k H(B_k | Y)``. It falls short
    of the generalised mutual information where the LLRs are wrongly scaled (max-log): see :func:`gmi`.

    Args:
        llr, bits: [..., N * m].
        entropy: H(S) in bits of shaped symbols; default: m.
        weights: [..., N] where labels were drawn uniformly but are not equiprobable.
        confidence: of the interval.
    Source: Boecherer, "Achievable rates for probabilistic shaping", 2017, eq. 59.
    """
    losses = _bit_losses(llr, bits).reshape(-1, bits_per_symbol).sum(-1) / math.log(2)
    return _rate(losses, bits_per_symbol if entropy is None else entropy, weights, confidence)


def gmi(
    llr: Tensor,
    bits: Tensor,
    bits_per_symbol: int,
    *,
    entropy: float | Tensor | None = None,
    weights: Tensor | None = None,
    confidence: float = 0.95,
) -> Rate:
    """Generalised mutual information: :func:`bmd_rate` of ``s * llr`` at the best s > 0, arguments as there.

    The best s is found by bisection without gradient, which changes no gradient of the rate (its derivative in s is 0).
    """
    with torch.no_grad():
        signed = torch.where(bits > 0.5, llr, -llr).double().reshape(-1, bits_per_symbol)
        weighted = signed if weights is None else signed * weights.double().reshape(-1, 1)
        low, high = signed.new_tensor(-12.0), signed.new_tensor(12.0)  # log2 of s
        for _ in range(50):
            middle = (low + high) / 2
            rising = (weighted * torch.sigmoid(-(2**middle) * signed)).sum() > 0  # the rate still rises with s
            low, high = torch.where(rising, middle, low), torch.where(rising, high, middle)
        scale = (2**low).to(llr.dtype)
    return bmd_rate(llr * scale, bits, bits_per_symbol, entropy=entropy, weights=weights, confidence=confidence)


def mutual_information(
    logits: Tensor,
    labels: Tensor,
    *,
    entropy: float | Tensor | None = None,
    weights: Tensor | None = None,
    confidence: float = 0.95,
) -> Rate:
    """I(S; Y) in bits per symbol from symbol logits [..., N, M]: the rate of symbol-metric decoding."""
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none") / math.log(2)
    return _rate(losses, math.log2(logits.shape[-1]) if entropy is None else entropy, weights, confidence)


def awgn_capacity(noise_var: float) -> float:
    """Shannon's ``log2(1 + 1 / noise_var)`` bits per symbol of unit energy."""
    return math.log2(1 + 1 / noise_var)


def _bit_losses(llr: Tensor, bits: Tensor) -> Tensor:
    if llr.shape != bits.shape:
        raise ValueError(f"llr has shape {list(llr.shape)} and bits have {list(bits.shape)}; they must be the same")
    return F.binary_cross_entropy_with_logits(llr, bits.to(llr.dtype), reduction="none")


def _rate(losses: Tensor, entropy: float | Tensor, weights: Tensor | None, confidence: float) -> Rate:
    if weights is not None:
        losses = losses * weights.reshape(-1)
    spread = losses.detach().double().std() if len(losses) > 1 else losses.new_tensor(math.inf)
    half_width = NormalDist().inv_cdf(0.5 + confidence / 2) * spread / math.sqrt(len(losses))
    return Rate(entropy - losses.mean(), half_width)
