# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments detectors share, brought into one shape."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gr_softmod.modem.arguments import NoiseVar, check_noise_var, check_symbols


class Observation(NamedTuple):
    """What a detector sees, time before antennas; N is 1 for gains and noise that do not change."""

    received: Tensor  #: [..., N, R] complex
    gains: Tensor  #: [..., N or 1, R, T] complex
    noise_var: Tensor  #: [..., N or 1] real


def observe(received: Tensor, gains: Tensor, noise_var: NoiseVar) -> Observation:
    """Check and arrange a detector's arguments.

    Raises:
        ValueError: received is not complex [..., R, N]; gains do not fit; noise_var does not, or is not positive.
    """
    received = check_symbols(received)
    if received.ndim < 2:
        raise ValueError(f"received has shape {tuple(received.shape)}; it must be [..., R, N]")
    if not gains.is_complex() or gains.ndim < 2:
        raise ValueError(f"gains are {gains.dtype} of shape {tuple(gains.shape)}; they must be complex [..., R, T]")
    moving = gains.ndim == received.ndim + 1
    arranged = gains.movedim(-1, -3) if moving else gains.unsqueeze(-3)
    antennas, count = received.shape[-2:]
    lead = (*received.shape[:-2], count if moving else 1)
    try:
        arranged = arranged.to(received.dtype).expand(*lead, antennas, gains.shape[-2 if moving else -1])
    except RuntimeError:
        raise ValueError(
            f"gains of shape {tuple(gains.shape)} do not fit received {tuple(received.shape)}: they must be "
            f"[..., {antennas}, T], or [..., {antennas}, T, {count}] where they change with time"
        ) from None
    noise = check_noise_var(noise_var, received[..., 0, :])
    shape = (*received.shape[:-2], count)
    noise = noise.expand(*shape[:-1], 1) if noise.numel() == 1 else noise.reshape(shape)
    return Observation(received.mT, arranged, noise)


def check_priors(priors: Tensor | None, streams: int, observation: Observation, m: int) -> Tensor | None:
    """Priors as [..., N, T, m] in the precision of the signal."""
    if priors is None:
        return None
    lead, count = observation.received.shape[:-2], observation.received.shape[-2]
    try:
        expanded = priors.to(observation.noise_var.dtype).expand(*lead, streams, count * m)
    except RuntimeError:
        raise ValueError(
            f"priors of shape {tuple(priors.shape)} must broadcast to {(*lead, streams, count * m)}, the LLRs' shape"
        ) from None
    return expanded.unflatten(-1, (count, m)).movedim(-3, -2)


def as_llr(values: Tensor) -> Tensor:
    """[..., N, T, m] -> [..., T, N * m]."""
    return values.movedim(-2, -3).flatten(-2)


def label_bits(m: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Bits [2^m, m] of every label, most significant first."""
    shifts = torch.arange(m - 1, -1, -1, device=device)
    return ((torch.arange(1 << m, device=device)[:, None] >> shifts) & 1).to(dtype)
