# SPDX-License-Identifier: GPL-3.0-or-later
"""Normalisation of complex tensors. Real and imaginary part are one random vector: it has a 2x2 covariance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Batch normalisation with whitening: each channel leaves with mean 0 and real and imaginary part uncorrelated.

    ``y = W V^(-1/2) (z - mean) + b``, V the channel's 2x2 covariance of (Re z, Im z) plus ``eps`` on the diagonal, W a
    learnt 2x2 matrix, initially ``1/sqrt(2)`` times unity so that ``E|y|^2 = 1``. In evaluation, running mean and
    covariance take the batch's place (the covariance averaged without bias, as torch does for variances).

    Scaling both parts alike, as a real batch norm on |z| would, leaves elliptic distributions elliptic.

    Args:
        channels: size of dimension 1.
        eps: added to both variances.
        momentum: weight of the newest batch in the running statistics; None averages all batches alike.
        affine: learn W and b.
        track_running_stats: keep running statistics; without, evaluation uses the batch's.
    Shape:
        [B, channels, ...] complex -> the same.
    Raises:
        ValueError: the input is not complex of that shape, or training sees one value a channel.
    Source:
        Trabelsi et al., "Deep complex networks", 2018, section 3.5.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor
    running_cov: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.track_running_stats = track_running_stats
        unity = torch.eye(2).repeat(channels, 1, 1)
        self.weight = nn.Parameter(unity * math.sqrt(0.5)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels, dtype=torch.complex64)) if affine else None
        if track_running_stats:
            self.register_buffer("running_mean", torch.zeros(channels, dtype=torch.complex64))
            self.register_buffer("running_cov", unity / 2)
            self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, z: Tensor) -> Tensor:
        if not z.is_complex() or z.ndim < 2 or z.shape[1] != self.channels:
            raise ValueError(
                f"the input is {z.dtype} of shape {tuple(z.shape)}; it must be complex [B, {self.channels}, ...]"
            )
        across = [0, *range(2, z.ndim)]
        shape = (-1, *[1] * (z.ndim - 2))
        if self.training or not self.track_running_stats:
            count = z.numel() // self.channels
            if count < 2:
                raise ValueError(f"training a BatchNorm needs more than {count} value a channel")
            mean = z.mean(across)
            centred = z - mean.reshape(shape)
            covariance = _covariance(centred, across)
            if self.training and self.track_running_stats:
                self._track(mean.detach(), covariance.detach() * (count / (count - 1)))
        else:
            mean, covariance = self.running_mean.to(z.dtype), self.running_cov.to(z.real.dtype)
            centred = z - mean.reshape(shape)
        matrix = _inverse_root(covariance, self.eps)
        if self.weight is not None:
            matrix = self.weight.to(matrix.dtype) @ matrix
        out = _map(centred, matrix.reshape(*shape, 2, 2))
        return out if self.bias is None else out + self.bias.reshape(shape)

    @torch.no_grad()
    def _track(self, mean: Tensor, covariance: Tensor) -> None:
        self.num_batches_tracked += 1
        newest = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += newest * (mean - self.running_mean)
        self.running_cov += newest * (covariance - self.running_cov)

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"


class LayerNorm(nn.Module):
    """Layer normalisation over the last dimensions: mean 0 and ``E|y|^2 = 1`` within each sample.

    By default one real scale, ``(z - mean) / sqrt(E|z - mean|^2 + eps)``: turning the input turns the output.
    ``whitened=True`` also decorrelates real and imaginary part of each sample, as :class:`BatchNorm` does of a batch.

    Args:
        shape: of the dimensions normalised over, the last ones; an int for one.
        eps: added to the variance (to both variances when whitening).
        affine: learn a complex factor and a complex offset an element.
        whitened: see above.
    Shape:
        [..., *shape] complex -> the same.
    Raises:
        ValueError: the input is not complex or does not end in ``shape``.
    Source:
        Ba, Kiros, Hinton, "Layer normalization", 2016; Eilers, Jiang, "Building blocks for a complex-valued transformer
        architecture", 2023 (whitened).
    """

    def __init__(
        self, shape: int | tuple[int, ...], eps: float = 1e-5, affine: bool = True, whitened: bool = False
    ) -> None:
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.eps, self.whitened = eps, whitened
        self.weight = nn.Parameter(torch.ones(self.shape, dtype=torch.complex64)) if affine else None
        self.bias = nn.Parameter(torch.zeros(self.shape, dtype=torch.complex64)) if affine else None

    def forward(self, z: Tensor) -> Tensor:
        if not z.is_complex() or z.shape[-len(self.shape) :] != self.shape:
            raise ValueError(
                f"the input is {z.dtype} of shape {tuple(z.shape)}; it must be complex [..., *{self.shape}]"
            )
        across = list(range(-len(self.shape), 0))
        if self.whitened:
            out = whiten(z, across, self.eps)
        else:
            centred = z - z.mean(across, keepdim=True)
            variance = (centred.real**2 + centred.imag**2).mean(across, keepdim=True)
            out = centred * torch.rsqrt(variance + self.eps)
        if self.weight is not None and self.bias is not None:
            out = out * self.weight + self.bias
        return out

    def extra_repr(self) -> str:
        return f"{self.shape}, eps={self.eps}, affine={self.weight is not None}, whitened={self.whitened}"


def whiten(z: Tensor, across: list[int], eps: float = 1e-5) -> Tensor:
    """Mean 0, ``E|y|^2 = 1``, ``E y^2 = 0`` across the dimensions ``across`` of complex ``z``; the same shape."""
    centred = z - z.mean(across, keepdim=True)
    covariance = _covariance(centred, across, keepdim=True)
    return _map(centred, _inverse_root(covariance, eps) * math.sqrt(0.5))


def _covariance(centred: Tensor, across: list[int], *, keepdim: bool = False) -> Tensor:
    """Covariance of (Re, Im) of a centred tensor, averaged over ``across`` -> [..., 2, 2] real."""
    real, imag = centred.real, centred.imag
    mixed = (real * imag).mean(across, keepdim=keepdim)
    a, d = ((part**2).mean(across, keepdim=keepdim) for part in (real, imag))
    return torch.stack([a, mixed, mixed, d], -1).unflatten(-1, (2, 2))


def _inverse_root(covariance: Tensor, eps: float) -> Tensor:
    """``(V + eps)^(-1/2)`` of symmetric [..., 2, 2]: ``[[d + s, -b], [-b, a + s]] / (s t)`` with ``s = sqrt(det)``,
    ``t = sqrt(a + d + 2 s)``."""
    a, b, d = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    # det(V) >= 0, hence det(V + eps) >= eps (a + d): rounding must not push it below when the parts are one line.
    det = ((a + eps) * (d + eps) - b * b).clamp_min(eps * (eps + a + d))
    s = det.sqrt()
    t = (a + d + 2 * eps + 2 * s).sqrt()
    root = torch.stack([d + eps + s, -b, -b, a + eps + s], -1).unflatten(-1, (2, 2))
    return root / (s * t)[..., None, None]


def _map(z: Tensor, matrix: Tensor) -> Tensor:
    """Real 2x2 matrices [..., 2, 2] applied to (Re z, Im z)."""
    real = matrix[..., 0, 0] * z.real + matrix[..., 0, 1] * z.imag
    imag = matrix[..., 1, 0] * z.real + matrix[..., 1, 1] * z.imag
    return torch.complex(real, imag)
