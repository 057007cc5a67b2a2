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

from gr_softmod.modem.arguments import in_transform
from gr_softmod.modem.expectation import expected_parts
from gr_softmod.modem.soft_demap import Axis, soft_demap, soft_demap_gradients

try:
    from gr_softmod.bindings._kernels import Expectation, TrainingDemapper
except ImportError:  # not built: an installation for training with pip alone
    Expectation = TrainingDemapper = None

_kept: dict[tuple, Any] = {}  # kernel objects by what they were made from
_KEEP = 64


def usable(values: Tensor) -> bool:
    """Whether the kernels take these symbols or probabilities."""
    if TrainingDemapper is None or in_transform():
        return False
    return values.device.type == "cpu" and values.dtype in (torch.complex64, torch.float32)


def demap(
    symbols: Tensor, noise_var: Tensor, priors: Tensor | None, points: Tensor, method: str, *, soft: bool = False
) -> Tensor:
    """LLRs, or soft bits, [n, m] of symbols complex64 [n]; gradients to all tensors, of second order too.

    Args:
        noise_var: float32 [n] or [1].
        priors: float32 [n, m] or None.
        points: complex64 [M] by label.
        method: "exact" or "maxlog".
    """
    if _wants_gradient(symbols, noise_var, priors, points):
        llr = _Demap.apply(symbols, noise_var, priors, points, method)
        return torch.sigmoid(llr) if soft else llr
    return _demap(symbols, noise_var, priors, points, method, soft)


def expect(
    probabilities: Tensor, real: Tensor, imag: Tensor | None, real_bits: Sequence[int], imag_bits: Sequence[int]
) -> Tensor:
    """Expected symbols complex64 [n] of P(b=1) float32 [n, m]; gradients to all tensors, of second order too.

    Args:
        real, imag: float32 [L], the levels by the value of the bits at positions ``real_bits``, ``imag_bits``; no
            imag for 0.
    """
    bits = (list(real_bits), list(imag_bits))
    if _wants_gradient(probabilities, real, imag):
        return torch.view_as_complex(_Expect.apply(probabilities, real, imag, *bits))
    return torch.view_as_complex(_expect(probabilities, real, imag, *bits))


# ------------------------------------------------------------------------------------------------------- demapper


@torch.library.custom_op("softmod::demap", mutates_args=())
def _demap(
    symbols: Tensor, noise_var: Tensor, priors: Tensor | None, points: Tensor, method: str, soft: bool
) -> Tensor:
    kernel = _demapper(points, method)
    if kernel is not None:
        out = torch.empty(len(symbols), _bits(points), dtype=torch.float32)
        arrays = (_array(value) for value in (symbols, noise_var, priors))
        if kernel.demap(*arrays, out.numpy(), soft, torch.get_num_threads()) == 0:
            return out
    table = torch.view_as_real(points).movedim(-1, 0)
    llr = soft_demap(symbols, noise_var, priors, method, (_plane(points),), (table, None))
    return llr.sigmoid() if soft else llr


@_demap.register_fake
def _(symbols: Tensor, noise_var: Tensor, priors: Tensor | None, points: Tensor, method: str, soft: bool) -> Tensor:
    return noise_var.new_empty((symbols.shape[0], _bits(points)))


@torch.library.custom_op("softmod::demap_backward", mutates_args=())
def _demap_backward(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    points: Tensor,
    method: str,
    needs: Sequence[bool],
) -> list[Tensor]:
    """From the gradient [n, m] to the LLRs those to the four tensors; empty where not needed."""
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
    return _demap_formula(grad, symbols, noise_var, priors, points, method, needs)


@_demap_backward.register_fake
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


def _demap_formula(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    points: Tensor,
    method: str,
    needs: Sequence[bool],
) -> list[Tensor]:
    """What ``_demap_backward`` gives, in differentiable operations."""
    tables = (torch.view_as_real(points).movedim(-1, 0)[..., None], None)
    found = soft_demap_gradients(grad, symbols, noise_var, priors, method, (_plane(points),), tables, [*needs, False])
    if found[3] is not None:
        found[3] = torch.view_as_complex(found[3][..., 0].movedim(0, -1).contiguous())
    return [grad.new_empty(0) if value is None else value for value in found[:4]]


# This pair and the soft mapper's are alike and written out: torch.compile follows no autograd function that closes over
# its operator.
class _Demap(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return _demap(*inputs, False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _keep(ctx, inputs, tensors=4)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(ctx, grads[0], _demap_backward, _DemapTwice)


class _DemapTwice(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        return tuple(_demap_backward(*inputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _keep(ctx, inputs, tensors=5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _second_gradients(ctx, grads, _demap_formula)


# ---------------------------------------------------------------------------------------------------- soft mapper


@torch.library.custom_op("softmod::expect", mutates_args=())
def _expect(
    probabilities: Tensor, real: Tensor, imag: Tensor | None, real_bits: Sequence[int], imag_bits: Sequence[int]
) -> Tensor:
    """Real and imaginary parts [n, 2]."""
    out = torch.zeros(len(probabilities), 2) if imag is None else torch.empty(len(probabilities), 2)
    array = _array(probabilities)
    for part, (table, bits) in enumerate(((real, real_bits), (imag, imag_bits))):
        if table is not None:
            _expectation_of(table, bits, array.shape[1]).run(array, out.numpy(), part, torch.get_num_threads())
    return out


@_expect.register_fake
def _(
    probabilities: Tensor, real: Tensor, imag: Tensor | None, real_bits: Sequence[int], imag_bits: Sequence[int]
) -> Tensor:
    return probabilities.new_empty((probabilities.shape[0], 2))


@torch.library.custom_op("softmod::expect_backward", mutates_args=())
def _expect_backward(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    """From the gradient [n, 2] those to the three tensors; empty where not needed."""
    array, grads = _array(probabilities), _array(grad)
    out = [torch.zeros(probabilities.shape if needs[0] else 0)]
    to_probabilities = out[0].numpy() if needs[0] else None
    for part, (table, bits) in enumerate(((real, real_bits), (imag, imag_bits))):
        need = needs[1 + part] and table is not None
        to_table = torch.zeros(len(table) if need and table is not None else 0, dtype=torch.float64)
        if table is not None:
            _expectation_of(table, bits, array.shape[1]).backward(
                grads, array, part, to_probabilities, to_table.numpy() if need else None, torch.get_num_threads()
            )
        out.append(to_table.to(torch.float32))
    return out


@_expect_backward.register_fake
def _(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    shapes = [None if like is None else like.shape for like in (probabilities, real, imag)]
    return [grad.new_empty(shape if need and shape else (0,)) for shape, need in zip(shapes, needs, strict=True)]


def _expect_formula(
    grad: Tensor,
    probabilities: Tensor,
    real: Tensor,
    imag: Tensor | None,
    real_bits: Sequence[int],
    imag_bits: Sequence[int],
    needs: Sequence[bool],
) -> list[Tensor]:
    """What ``_expect_backward`` gives, in differentiable operations; all inputs require gradients."""
    tables = [real] if imag is None else [real, imag]
    parts = expected_parts(probabilities, tables, [real_bits, imag_bits][: len(tables)])
    wanted = [probabilities, *tables]
    found = [*torch.autograd.grad(parts, wanted, grad[:, : len(tables)].unbind(-1), create_graph=True), None][:3]
    pairs = zip(found, needs, strict=True)
    return [value if need and value is not None else grad.new_empty(0) for value, need in pairs]


class _Expect(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return _expect(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _keep(ctx, inputs, tensors=3)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(ctx, grads[0], _expect_backward, _ExpectTwice)


class _ExpectTwice(torch.autograd.Function):
    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        return tuple(_expect_backward(*inputs))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _keep(ctx, inputs, tensors=4)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _second_gradients(ctx, grads, _expect_formula)


# ------------------------------------------------------------------------------------------------ autograd helpers


def _wants_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in tensors)


def _keep(ctx: Any, inputs: tuple[Any, ...], tensors: int) -> None:
    ctx.save_for_backward(*inputs[:tensors])
    ctx.rest = inputs[tensors:]


def _gradients(ctx: Any, grad: Tensor, operator: Any, twice: Any) -> tuple[Tensor | None, ...]:
    """Gradients to kept inputs by the operator; by a function that has gradients itself where these are asked for."""
    tensors = ctx.saved_tensors
    needs = list(ctx.needs_input_grad[: len(tensors)])
    again = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    found = (twice.apply if again else operator)(grad, *tensors, *ctx.rest, needs)
    return (*(value if need else None for value, need in zip(found, needs, strict=True)), *(None for _ in ctx.rest))


def _second_gradients(ctx: Any, grads: Sequence[Tensor], formula: Callable[..., list[Tensor]]) -> tuple:
    with torch.enable_grad():
        inputs = [value if value is None else value.detach().requires_grad_() for value in ctx.saved_tensors]
        outputs = formula(*inputs, *ctx.rest)
    pairs = [(out, grad) for out, grad in zip(outputs, grads, strict=True) if out.requires_grad]
    given = [value for value in inputs if value is not None]
    found = iter(torch.autograd.grad([out for out, _ in pairs], given, [grad for _, grad in pairs], allow_unused=True))
    return (*(None if value is None else next(found) for value in inputs), *(None for _ in ctx.rest))


# ----------------------------------------------------------------------------------------------------- the kernels


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
