# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ demapper, soft mapper and their gradients as torch operators, where they are built: accelerators, no more.

They serve float32 and complex64 on a CPU; inside a compiled graph each is a single node. Without them, for other inputs
and for those that they decline (not finite, or so large that float32 saturates) the formulas of
:mod:`~gr_softmod.modem.soft_demap` and :mod:`~gr_softmod.modem.expectation` serve, with the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gr_softmod.modem.expectation import expected_parts
from gr_softmod.modem.soft_demap import Axis, soft_demap, soft_demap_gradients

try:
    from gr_softmod.bindings._kernels import Expectation, TrainingDemapper
except ImportError:  # not built: an installation for training with pip alone
    Expectation = TrainingDemapper = None

_kept: dict[tuple, Any] = {}  # kernel objects by what they were made from
_KEEP = 64


def usable(values: Tensor) -> bool:
    """Whether the operators take these symbols or probabilities."""
    built = TrainingDemapper is not None
    return built and values.device.type == "cpu" and values.dtype in (torch.complex64, torch.float32)


# ------------------------------------------------------------------------------------------------------- demapper


@torch.library.custom_op("softmod::demap", mutates_args=())
def demap(symbols: Tensor, noise_var: Tensor, priors: Tensor | None, points: Tensor, method: str, soft: bool) -> Tensor:
    """LLRs, or soft bits, [n, m] of symbols complex64 [n].

    Args: noise_var float32 [n] or [1]; priors float32 [n, m]; points complex64 [M] by label. Gradients to all of them.
    """
    kernel = _demapper(points, method)
    if kernel is not None:
        out = torch.empty(len(symbols), _bits(points), dtype=torch.float32)
        arrays = (_array(value) for value in (symbols, noise_var, priors))
        if kernel.demap(*arrays, out.numpy(), soft, torch.get_num_threads()) == 0:
            return out
    table = torch.view_as_real(points).movedim(-1, 0)
    llr = soft_demap(symbols, noise_var, priors, method, (_plane(points),), (table, None))
    return llr.sigmoid() if soft else llr


@demap.register_fake
def _(symbols: Tensor, noise_var: Tensor, priors: Tensor | None, points: Tensor, method: str, soft: bool) -> Tensor:
    return noise_var.new_empty((symbols.shape[0], _bits(points)))


@torch.library.custom_op("softmod::demap_backward", mutates_args=())
def demap_backward(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    points: Tensor,
    method: str,
    needs: Sequence[bool],
) -> list[Tensor]:
    """From the gradient [n, m] to the LLRs those to symbols, noise_var, priors and points; empty where not needed."""
    kernel = _demapper(points, method)
    if kernel is not None:
        n = len(symbols)
        out = [
            torch.empty(n if needs[0] else 0, dtype=torch.complex64),
            torch.empty(n if needs[1] else 0),
            torch.empty(grad.shape if needs[2] else 0),
            torch.zeros(len(points) if needs[3] else 0, dtype=torch.complex128),
        ]
        arrays = (_array(value) for value in (grad, symbols, noise_var, priors))
        outputs = (value.numpy() if need else None for value, need in zip(out, needs, strict=True))
        if kernel.backward(*arrays, *outputs, torch.get_num_threads()):
            if needs[1] and len(noise_var) == 1:
                out[1] = out[1].sum(0, keepdim=True)
            return [*out[:3], out[3].to(points.dtype)]
    return _demap_backward(grad, symbols, noise_var, priors, points, method, needs)


def _demap_backward(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    points: Tensor,
    method: str,
    needs: Sequence[bool],
) -> list[Tensor]:
    """The same in differentiable operations."""
    tables = (torch.view_as_real(points).movedim(-1, 0)[..., None], None)
    found = soft_demap_gradients(grad, symbols, noise_var, priors, method, (_plane(points),), tables, [*needs, False])
    if found[3] is not None:
        found[3] = torch.view_as_complex(found[3][..., 0].movedim(0, -1).contiguous())
    return [grad.new_empty(0) if value is None else value for value in found[:4]]


@demap_backward.register_fake
def _(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    points: Tensor,
    method: str,
    needs: Sequence[bool],
) -> list[Tensor]:
    likes = (symbols, noise_var, grad, points)
    return [like.new_empty(like.shape if need else (0,)) for like, need in zip(likes, needs, strict=True)]


def _demap_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.method, soft = inputs
    ctx.save_for_backward(*tensors, output if soft else None)


def _demap_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, soft_bits = ctx.saved_tensors
    if soft_bits is not None:
        grad = grad * soft_bits * (1 - soft_bits)
    needs = list(ctx.needs_input_grad[:4])
    grads = demap_backward(grad, *tensors, ctx.method, needs)
    return (*(value if need else None for value, need in zip(grads, needs, strict=True)), None, None)


demap.register_autograd(_demap_gradient, setup_context=_demap_context)

# ---------------------------------------------------------------------------------------------------- soft mapper


@torch.library.custom_op("softmod::expectation", mutates_args=())
def expectation(
    probabilities: Tensor, real: Tensor, imag: Tensor | None, real_bits: Sequence[int], imag_bits: Sequence[int]
) -> Tensor:
    """Real and imaginary parts [n, 2] of the expected symbols of P(b=1) float32 [n, m].

    Args: real and imag float32 [L], the levels by the value of the bits at positions real_bits, imag_bits (None: 0).
    """
    out = torch.zeros(len(probabilities), 2) if imag is None else torch.empty(len(probabilities), 2)
    array = _array(probabilities)
    for part, (table, bits) in enumerate(((real, real_bits), (imag, imag_bits))):
        if table is not None:
            _expectation_of(table, bits, array.shape[1]).run(array, out.numpy(), part, torch.get_num_threads())
    return out


@expectation.register_fake
def _(
    probabilities: Tensor, real: Tensor, imag: Tensor | None, real_bits: Sequence[int], imag_bits: Sequence[int]
) -> Tensor:
    return probabilities.new_empty((probabilities.shape[0], 2))


@torch.library.custom_op("softmod::expectation_backward", mutates_args=())
def expectation_backward(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    """From the gradient [n, 2] those to probabilities, real and imag; empty where not needed."""
    array, grads = _array(probabilities), _array(grad)
    out = [torch.zeros(probabilities.shape) if needs[0] else torch.empty(0)]
    for part, (table, bits) in enumerate(((real, real_bits), (imag, imag_bits))):
        to_table = torch.zeros(0 if table is None or not needs[1 + part] else len(table), dtype=torch.float64)
        if table is not None:
            _expectation_of(table, bits, array.shape[1]).backward(
                grads,
                array,
                part,
                out[0].numpy() if needs[0] else None,
                to_table.numpy() if needs[1 + part] else None,
                torch.get_num_threads(),
            )
        out.append(to_table.to(torch.float32))
    return out


@expectation_backward.register_fake
def _(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    likes = (probabilities, real, imag)
    return [
        grad.new_empty(like.shape if need and like is not None else (0,))
        for like, need in zip(likes, needs, strict=True)
    ]


def _expectation_backward(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    """The same in differentiable operations."""
    tables = [real] if imag is None else [real, imag]
    bits = [real_bits, imag_bits][: len(tables)]
    parts = expected_parts(probabilities, tables, bits)
    inputs = [probabilities, *tables]
    found = list(torch.autograd.grad(parts, inputs, list(grad[:, : len(tables)].unbind(-1)), create_graph=True))
    return [
        value if need else grad.new_empty(0) for value, need in zip([*found, grad.new_empty(0)], needs, strict=False)
    ]


def _expectation_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.real_bits, ctx.imag_bits = inputs
    ctx.save_for_backward(*tensors)


def _expectation_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[:3])
    grads = expectation_backward(grad, *ctx.saved_tensors, ctx.real_bits, ctx.imag_bits, needs)
    return (*(value if need else None for value, need in zip(grads, needs, strict=True)), None, None)


expectation.register_autograd(_expectation_gradient, setup_context=_expectation_context)

# ----------------------------------------------------------------------------------------------- second gradients


def _make_twice_differentiable(operator: Any, formula: Callable[..., list[Tensor]], tensors: int) -> None:
    """Gradients of a backward operator, whose first ``tensors`` arguments are such, from the same as a formula."""

    def context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
        ctx.rest = inputs[tensors:]
        ctx.save_for_backward(*inputs[:tensors])

    def backward(ctx: Any, grads: list[Tensor]) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            inputs = [value if value is None else value.detach().requires_grad_() for value in ctx.saved_tensors]
            outputs = formula(*inputs, *ctx.rest)
        pairs = [
            (out, grad) for out, grad in zip(outputs, grads, strict=True) if out.requires_grad and grad is not None
        ]
        given = [value for value in inputs if value is not None]
        found = iter(torch.autograd.grad(*zip(*pairs, strict=True), given, allow_unused=True) if pairs else given)
        return (*(None if value is None else next(found) for value in inputs), *(None for _ in ctx.rest))

    operator.register_autograd(backward, setup_context=context)


_make_twice_differentiable(demap_backward, _demap_backward, 5)
_make_twice_differentiable(expectation_backward, _expectation_backward, 4)

# --------------------------------------------------------------------------------------------------------- helpers


def _bits(points: Tensor) -> int:
    return points.shape[0].bit_length() - 1


def _plane(points: Tensor) -> Axis:
    return Axis("both", tuple(range(_bits(points))))


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().resolve_conj().contiguous().numpy()


def _demapper(points: Tensor, method: str) -> Any:
    """The kernel for these points, or None where it does not take them (not finite, no energy)."""
    values = _array(points)

    def make() -> Any:
        try:
            return TrainingDemapper(values.astype(np.complex128), method)
        except ValueError:
            return None

    return _kept_or(make, "demap", values.tobytes(), method)


def _expectation_of(table: Tensor, bits: Sequence[int], per_symbol: int) -> Any:
    values = _array(table)
    return _kept_or(lambda: Expectation(values, list(bits), per_symbol), values.tobytes(), tuple(bits), per_symbol)


def _kept_or(make: Callable[[], Any], *key: Any) -> Any:
    if key not in _kept:
        made = make()
        while len(_kept) >= _KEEP:
            _kept.pop(next(iter(_kept)), None)
        _kept[key] = made
    return _kept[key]
