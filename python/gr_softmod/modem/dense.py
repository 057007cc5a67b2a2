# SPDX-License-Identifier: GPL-3.0-or-later
"""Multi-layer perceptrons on many rows at once, by the C++ kernel where it is built and does it.

The kernel works a block of rows through all layers while their activations are in the cache, on the way back once more
from the input: what torch writes to memory and reads again a few times over never leaves the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gr_softmod.modem.arguments import in_transform

try:
    from gr_softmod.bindings import _kernels
except ImportError:  # not built: an installation for training with pip alone
    _kernels = None


def dense(layers: nn.Sequential, rows: Tensor) -> Tensor:
    """``layers(rows)`` of rows [n, inputs], for linear layers with an activation between each two."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    between = [layer for layer in layers if not isinstance(layer, nn.Linear)]
    if _usable(rows, linear) and all(isinstance(layer, nn.ReLU) for layer in between):
        weights, biases = [layer.weight for layer in linear], [layer.bias for layer in linear]
        parameters = [value for pair in zip(weights, biases, strict=True) for value in pair]
        if torch.is_grad_enabled() and any(value.requires_grad for value in (rows, *parameters)):
            result: Tensor = _Dense.apply(rows, *parameters)
            return result
        return _dense(rows, weights, biases)
    result = layers(rows)
    return result


def _usable(rows: Tensor, linear: Sequence[nn.Linear]) -> bool:
    values = [rows, *(layer.weight for layer in linear)]
    return (
        _kernels is not None
        and all(value.device.type == "cpu" and value.dtype == torch.float32 for value in values)
        and not torch.is_autocast_enabled("cpu")
        and not in_transform()
    )


@torch.library.custom_op("softmod::dense", mutates_args=())
def _dense(rows: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    out = torch.empty(len(rows), len(biases[-1]))
    _kernels.dense_forward(_array(rows), _arrays(weights), _arrays(biases), out.numpy(), torch.get_num_threads())
    return out


@_dense.register_fake
def _(rows: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    return rows.new_empty((rows.shape[0], biases[-1].shape[0]))


@torch.library.custom_op("softmod::dense_backward", mutates_args=())
def _dense_backward(
    grad: Tensor, rows: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], to_rows: bool
) -> list[Tensor]:
    """Gradients to rows (empty if not ``to_rows``), then to weight and bias of each layer in turn."""
    first = torch.empty(rows.shape if to_rows else 0)
    others = [torch.zeros(value.shape) for pair in zip(weights, biases, strict=True) for value in pair]
    _kernels.dense_backward(
        _array(grad), _array(rows), _arrays(weights), _arrays(biases), first.numpy() if to_rows else None,
        _arrays(others[::2]), _arrays(others[1::2]), torch.get_num_threads(),
    )  # fmt: skip
    return [first, *others]


@_dense_backward.register_fake
def _(grad: Tensor, rows: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], to_rows: bool) -> list[Tensor]:
    others = [torch.empty_like(value) for pair in zip(weights, biases, strict=True) for value in pair]
    return [rows.new_empty(rows.shape if to_rows else (0,)), *others]


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(rows: Tensor, *parameters: Tensor) -> Tensor:
        return _dense(rows, list(parameters[::2]), list(parameters[1::2]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, *parameters = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # gradients of gradients: as torch does it
            inputs = (rows, *parameters)
            wanted = [value for value, need in zip(inputs, needs, strict=True) if need]
            slopes = iter(torch.autograd.grad(_plain(*inputs), wanted, grads[0], create_graph=True))
            return tuple(next(slopes) if need else None for need in needs)
        found = _dense_backward(grads[0], rows, parameters[::2], parameters[1::2], needs[0])
        return tuple(value if need else None for value, need in zip(found, needs, strict=True))


def _plain(rows: Tensor, *parameters: Tensor) -> Tensor:
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        rows = F.linear(rows, weight, bias).relu()
    return F.linear(rows, *parameters[-2:])


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _arrays(tensors: Sequence[Tensor]) -> list[Any]:
    return [_array(tensor) for tensor in tensors]
