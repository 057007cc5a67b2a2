# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch normalisation over the frames of all processes, on any device, so that their number changes no result."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from gr_softmod.modem.distributed import world_size

__all__ = ["SharedBatchNorm"]


class _Total(torch.autograd.Function):
    """The sum over all processes. Each result depends on every process' input, so gradients are summed likewise."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad


class SharedBatchNorm(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` whose mean and variance in training are those of the whole batch of all processes.

    torch's ``SyncBatchNorm`` is the same for GPUs alone. One process, or evaluation: exactly ``nn.BatchNorm1d``.

    Shape:
        x [B, C] or [B, C, T] -> the same; B is equal on all processes.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        axes = [i for i in range(x.ndim) if i != 1]
        shape = [1, -1, *([1] * (x.ndim - 2))]
        count = x.numel() // x.shape[1] * world_size()
        mean = _Total.apply(x.sum(axes)) / count
        centred = x - mean.view(shape)
        variance = _Total.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * count / max(1, count - 1))
        result = centred * (variance + self.eps).rsqrt().view(shape)
        return result * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
