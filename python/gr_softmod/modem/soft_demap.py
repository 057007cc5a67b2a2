# SPDX-License-Identifier: GPL-3.0-or-later
"""LLRs of noisy symbols and their gradients in closed form: one autograd function for every constellation.

With ``P(y | s) ~ exp(-|y - s|^2 / noise_var)`` the term ``|y|^2`` is common to all points, so the metric of a point is
affine in the sample:

    metric_i = (2 Re(y conj(s_i)) - |s_i|^2) / noise_var + log_prob_i + sum_k prior_k b_k(i)
    llr_k    = ln sum_{i: b_k(i)=1} exp(metric_i) - ln sum_{i: b_k(i)=0} exp(metric_i)   (max-log: max)

Differentiating, ``d llr_k / d metric_i = +-P(i | b_k = b_k(i), y)``, hence for instance
``d llr_k / dy = 2 / noise_var (E[s | b_k=1, y] - E[s | b_k=0, y])``. The backward pass needs the inputs alone, so
nothing of size samples x points is kept between the passes; both run in chunks that stay in the cache.

A separable constellation (square QAM, PAM, BPSK, QPSK) is handled an axis at a time: sqrt(M) points instead of M.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Scaled samples and priors saturate here, so that every finite input gives finite LLRs in float32.
LIMIT = 1e35
#: A noise_var below counts as this.
MIN_NOISE_VAR = 1e-30

_CHUNK_ELEMENTS = 1 << 17  # samples x points at a time: half a megabyte of float32


class Axis(NamedTuple):
    """A part of the constellation that is decided by itself."""

    part: str  #: "real", "imag", or "both" for a constellation that does not factorise
    bits: tuple[int, ...]  #: positions within the symbol of the bits of its points' index, most significant first

    @property
    def dimensions(self) -> tuple[int, ...]:
        return {"real": (0,), "imag": (1,), "both": (0, 1)}[self.part]


def soft_demap(
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    method: str,
    axes: tuple[Axis, ...],
    tables: tuple[Tensor | None, ...],
) -> Tensor:
    """LLRs of flat symbols; gradients to every tensor.

    Args:
        symbols: complex [n].
        noise_var: real [n] or [1].
        priors: LLRs [n, m] or None.
        method: "exact" or "maxlog".
        axes: what decides which bits.
        tables: for each axis its points, real [D, L] or, of every symbol its own, [D, L, n] (D = 1, or 2 where the
            part is "both"); then log-probabilities [L] or None.
    Returns:
        LLRs [n, m], a posteriori (the extrinsic ones are these less ``priors``).
    """
    points = tuple(table if table is None or table.dim() == 3 else table[..., None] for table in tables)
    inputs = (symbols, noise_var, priors, *points)
    if torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in inputs):
        result: Tensor = _SoftDemap.apply(symbols, noise_var, priors, method, axes, *points)
        return result
    return _demap(symbols, noise_var, priors, method, axes, *points)


def _demap(
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    method: str,
    axes: tuple[Axis, ...],
    *tables: Tensor | None,
) -> Tensor:
    chunks = []
    for span in _spans(symbols, tables):
        metrics = _metrics(axes, symbols, noise_var, priors, tables, span)
        columns: list[Any] = [None] * sum(len(axis.bits) for axis in axes)
        for axis, metric in zip(axes, metrics, strict=True):
            llrs = llr_of_metric(metric, len(axis.bits), method)
            for position, llr in zip(axis.bits, llrs, strict=True):
                columns[position] = llr
        chunks.append(torch.stack(columns, -1))
    return chunks[0] if len(chunks) == 1 else torch.cat(chunks)


class _SoftDemap(torch.autograd.Function):
    generate_vmap_rule = True
    forward = staticmethod(_demap)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        symbols, noise_var, priors, ctx.method, ctx.axes, *tables = inputs
        ctx.save_for_backward(symbols, noise_var, priors, *tables)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        symbols, noise_var, priors, *tables = ctx.saved_tensors
        needs = [ctx.needs_input_grad[i] for i in (0, 1, 2, *range(5, 5 + len(tables)))]
        out = soft_demap_gradients(grads[0], symbols, noise_var, priors, ctx.method, ctx.axes, tables, needs)
        return (*out[:3], None, None, *out[3:])


def soft_demap_gradients(
    grad: Tensor,
    symbols: Tensor,
    noise_var: Tensor,
    priors: Tensor | None,
    method: str,
    axes: tuple[Axis, ...],
    tables: Sequence[Tensor | None],
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """From the gradient [n, m] to the LLRs those to symbols, noise_var, priors and ``tables`` (of three dimensions).

    ``needs`` says which are wanted; the others are None. Made of differentiable operations.
    """
    pieces = []
    for span in _spans(symbols, tables):
        metrics = _metrics(axes, symbols, noise_var, priors, tables, span)
        weights = [_weight(axis, metric, grad[span], method) for axis, metric in zip(axes, metrics, strict=True)]
        pieces.append(_gradients(axes, weights, symbols[span], _rows(noise_var, span), tables, span, needs))
    inputs = (symbols, noise_var, priors, *tables)
    dims = (0, 0, 0, *(-1 for _ in tables))
    return [
        _join([piece[i] for piece in pieces], value, dim, len(symbols))
        for i, (value, dim) in enumerate(zip(inputs, dims, strict=True))
    ]


def _metrics(
    axes: tuple[Axis, ...], symbols: Tensor, noise_var: Tensor, priors: Tensor | None, tables: Any, span: slice
) -> list[Tensor]:
    """For each axis the metrics [L, n] of its points."""
    parts = torch.view_as_real(symbols[span])
    # A noise_var that is not positive (unchecked where looking would stall a device) shows as NaN.
    noise_var = _rows(noise_var, span)
    inverse = 1 / torch.where(noise_var > 0, noise_var.clamp(min=MIN_NOISE_VAR), torch.nan)
    metrics = []
    for a, axis in enumerate(axes):
        points, log_prob = (_columns(table, span) for table in tables[2 * a : 2 * a + 2])
        energy = points.square().sum(0)
        # Relative to the least energy: less to be lost to rounding next to a decision boundary.
        metric = (energy.amin(0, keepdim=True) - energy) * inverse
        for row, d in zip(points, axis.dimensions, strict=True):
            metric = torch.addcmul(metric, row, (2 * inverse * parts[:, d]).clamp(-LIMIT, LIMIT))
        if log_prob is not None:
            metric = metric + log_prob.clamp(min=-LIMIT)
        metrics.append(add_priors(metric, None if priors is None else priors[span], axis.bits))
    return metrics


def add_priors(metric: Tensor, priors: Tensor | None, positions: Iterable[int]) -> Tensor:
    """Metrics [L, n] with the priors [n, m] of the bits at ``positions`` taken into account.

    A prior costs the points that contradict it, so a strong one leaves those that agree their full precision.
    """
    if priors is None:
        return metric
    bits = list(positions)
    for k, position in enumerate(bits):
        prior = priors[:, position].clamp(-LIMIT, LIMIT)
        cost = torch.stack((-prior.relu(), -(-prior).relu()))[None, :, None]
        metric = (_split(metric, k, len(bits)) + cost).flatten(0, 2)
    return metric


def llr_of_metric(metric: Tensor, count: int, method: str) -> list[Tensor]:
    """LLRs, ``count`` of [n], of the bits of the index of metrics [2^count, n]."""
    llrs = []
    for k in range(count):
        split = _split(metric, k, count)
        best = split.amax((0, 2), keepdim=True)
        llr = best[0, 1, 0] - best[0, 0, 0]
        if method == "exact" and count > 1:
            total = (split - best).exp_().sum((0, 2))
            llr = llr + (total[1] / total[0]).log()
        llrs.append(llr)
    return llrs


def _split(metric: Tensor, k: int, count: int) -> Tensor:
    """[L, n] seen as [2^k, 2, 2^(count-1-k), n]: the second index is bit k of a point's index."""
    return metric.reshape(1 << k, 2, 1 << (count - 1 - k), metric.shape[-1])


def _posterior(split: Tensor, method: str) -> Tensor:
    """P(i | b_k = b_k(i), y) in the shape of ``split``; for max-log all of it on the nearest point."""
    if method == "maxlog":
        nearest = (split == split.amax((0, 2), keepdim=True)).to(split.dtype)
        return nearest / nearest.sum((0, 2), keepdim=True)
    likelihood = (split - split.amax((0, 2), keepdim=True)).exp()
    return likelihood / likelihood.sum((0, 2), keepdim=True)


def _weight(axis: Axis, metric: Tensor, grad: Tensor, method: str) -> Tensor:
    """dL/dmetric_i = sum_k dL/dllr_k dllr_k/dmetric_i [L, n]: every gradient follows from it."""
    weight = torch.zeros_like(metric)
    for k, position in enumerate(axis.bits):
        g = grad[:, position]
        posterior = _posterior(_split(metric, k, len(axis.bits)), method)
        weight = weight + (posterior * torch.stack((-g, g))[None, :, None]).reshape(metric.shape)
    return weight


def _gradients(
    axes: tuple[Axis, ...],
    weights: list[Tensor],
    symbols: Tensor,
    noise_var: Tensor,
    tables: Any,
    span: slice,
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients to symbols, noise_var, priors and tables, per symbol; None where not needed."""
    parts = torch.view_as_real(symbols)
    inverse = 1 / noise_var.clamp(min=MIN_NOISE_VAR)
    zero = torch.zeros_like(parts[:, 0])
    grad_parts, distance, grad_priors = [zero, zero], zero, [zero] * sum(len(axis.bits) for axis in axes)
    table_grads: list[Tensor | None] = []
    for a, (axis, weight) in enumerate(zip(axes, weights, strict=True)):
        points = _columns(tables[2 * a], span)
        for row, d in zip(points, axis.dimensions, strict=True):
            moment = (weight * row).sum(0)
            distance = distance + 2 * parts[:, d] * moment
            grad_parts[d] = 2 * inverse * moment
        if needs[1]:
            distance = distance - (weight * points.square().sum(0)).sum(0)
        if needs[2]:
            for k, position in enumerate(axis.bits):
                grad_priors[position] = _split(weight, k, len(axis.bits))[:, 1].sum((0, 1))
        if needs[3 + 2 * a]:
            rows = [2 * inverse * weight * (parts[:, d] - row) for row, d in zip(points, axis.dimensions, strict=True)]
        table_grads.append(torch.stack(rows) if needs[3 + 2 * a] else None)
        table_grads.append(weight if needs[4 + 2 * a] else None)
    return [
        torch.view_as_complex(torch.stack(grad_parts, -1)) if needs[0] else None,
        -distance * inverse * inverse if needs[1] else None,
        torch.stack(grad_priors, -1) if needs[2] else None,
        *table_grads,
    ]


def _rows(values: Tensor, span: slice) -> Tensor:
    return values if len(values) == 1 else values[span]


def _columns(table: Tensor | None, span: slice) -> Any:
    return table if table is None or table.shape[-1] == 1 else table[..., span]


def _join(pieces: list[Tensor | None], like: Tensor | None, dim: int, n: int) -> Tensor | None:
    """Pieces of a gradient per symbol as the gradient of ``like``, which has a value per symbol or one for all."""
    values = [piece for piece in pieces if piece is not None]
    if like is None or not values:
        return None
    if like.shape[dim] == 1 and n != 1:
        return torch.stack([value.sum(dim, keepdim=True) for value in values]).sum(0)
    return torch.cat(values, dim)


def _spans(symbols: Tensor, tables: Any) -> list[slice]:
    """Pieces of the symbols; one piece inside a compiled graph (which fuses by itself) and on an accelerator."""
    if torch.compiler.is_compiling() or symbols.device.type != "cpu":
        return [slice(None)]
    size = max(256, _CHUNK_ELEMENTS // max(table.shape[-2] for table in tables if table is not None))
    return [slice(start, start + size) for start in range(0, max(len(symbols), 1), size)]
