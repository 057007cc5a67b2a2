# SPDX-License-Identifier: GPL-3.0-or-later
"""LLRs of the inputs of a trellis (forward-backward algorithm) with their gradient in closed form.

From every state every input leads to one next state. With branch metrics g[n, s, a] (log-likelihood of input a in
state s at time n) the recursions

    alpha[n+1, s'] = ln sum_{(s, a) -> s'} exp(alpha[n, s] + g[n, s, a])
    beta[n, s]     = ln sum_a exp(g[n, s, a] + beta[n+1, next(s, a)])

give ``ln P(a[n] = a, y) = ln sum_s exp(alpha[n, s] + g[n, s, a] + beta[n+1, next(s, a)])`` (max instead of ln sum:
max-log). Every step of both is a log-sum-exp, whose derivative is a softmax, so the gradient is two more recursions of
the same form run the other way round; alpha and beta alone are kept.

Source: Bahl, Cocke, Jelinek, Raviv, "Optimal decoding of linear codes for minimizing symbol error rate", IEEE Trans.
Inf. Theory 20(2), 1974.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_FAR = -1e60  # ln 0, finite so that differences of two are a number; callers keep metrics far above


def input_metrics(branch: Tensor, next_state: Tensor, start: int, method: str) -> Tensor:
    """``ln P(a[n] = a, y)`` up to a constant at each time.

    Args:
        branch: metrics [B, N, S, A] float.
        next_state: int64 [S, A]; every state has A predecessors.
        start: the state at time 0; any state may be the last.
        method: "exact" or "maxlog".
    Returns:
        [B, N, A]; gradients to ``branch``, first order only.
    """
    out: Tensor = _input_metrics(branch, next_state, start, method)[0]
    return out


@torch.library.custom_op("softmod::trellis", mutates_args=())
def _input_metrics(branch: Tensor, next_state: Tensor, start: int, method: str) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, states, _ = branch.shape
    before = _predecessors(next_state)
    alpha = branch.new_full((length + 1, batch, states), _FAR)
    beta = branch.new_zeros((length + 1, batch, states))
    alpha[0, :, start] = 0
    for n in range(length):
        arriving = (alpha[n][:, :, None] + branch[:, n]).flatten(1)[:, before]
        alpha[n + 1] = _normalised(_total(arriving, method))
    for n in range(length - 1, -1, -1):
        beta[n] = _normalised(_total(branch[:, n] + beta[n + 1][:, next_state], method))
    return _total(_joint(branch, next_state, alpha, beta), method, dim=2), alpha, beta


@_input_metrics.register_fake
def _(branch: Tensor, next_state: Tensor, start: int, method: str) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, states, inputs = branch.shape
    kept = branch.new_empty((length + 1, batch, states))
    return branch.new_empty((batch, length, inputs)), kept, torch.empty_like(kept)


@torch.library.custom_op("softmod::trellis_backward", mutates_args=())
def _gradient(grad: Tensor, branch: Tensor, next_state: Tensor, alpha: Tensor, beta: Tensor, method: str) -> Tensor:
    length = branch.shape[1]
    before = _predecessors(next_state)
    out = _share(_joint(branch, next_state, alpha, beta), method, dim=2) * grad[:, :, None]
    to_alpha = out.sum(-1)
    arriving = out.flatten(2)[:, :, before].sum(-1)  # of the states at time n + 1: the direct part of their beta
    flowing = torch.zeros_like(alpha[0])
    for n in range(length - 1, -1, -1):
        # flowing: dL/dalpha[n + 1]
        shares = _share((alpha[n][:, :, None] + branch[:, n]).flatten(1)[:, before], method)
        step = torch.empty_like(branch[:, n]).flatten(1)
        step[:, before.flatten()] = (shares * flowing[:, :, None]).flatten(1)
        step = step.reshape(branch[:, n].shape)
        out[:, n] += step
        flowing = step.sum(-1) + to_alpha[:, n]
    flowing = torch.zeros_like(alpha[0])
    for n in range(length):
        # flowing: dL/dbeta[n]
        step = _share(branch[:, n] + beta[n + 1][:, next_state], method) * flowing[:, :, None]
        out[:, n] += step
        flowing = step.flatten(1)[:, before].sum(-1) + arriving[:, n]
    return out


@_gradient.register_fake
def _(grad: Tensor, branch: Tensor, next_state: Tensor, alpha: Tensor, beta: Tensor, method: str) -> Tensor:
    return torch.empty_like(branch)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    branch, next_state, _, ctx.method = inputs
    ctx.save_for_backward(branch, next_state, *output[1:])


def _backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    branch, next_state, alpha, beta = ctx.saved_tensors
    return _gradient(grad, branch, next_state, alpha, beta, ctx.method), None, None, None


_input_metrics.register_autograd(_backward, setup_context=_setup_context)


def _predecessors(next_state: Tensor) -> Tensor:
    """[S, A]: the branches, numbered s * A + a, that lead to each state."""
    return next_state.flatten().argsort(stable=True).reshape(next_state.shape)


def _joint(branch: Tensor, next_state: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha[:-1].transpose(0, 1)[..., None] + branch + beta[1:].transpose(0, 1)[:, :, next_state]


def _total(values: Tensor, method: str, dim: int = -1) -> Tensor:
    return values.amax(dim) if method == "maxlog" else values.logsumexp(dim)


def _share(values: Tensor, method: str, dim: int = -1) -> Tensor:
    """How much each value has in their total: its derivative."""
    if method == "exact":
        return values.softmax(dim)
    winner = (values == values.amax(dim, keepdim=True)).to(values.dtype)
    return winner / winner.sum(dim, keepdim=True)


def _normalised(values: Tensor) -> Tensor:
    """Less their largest: a constant that no LLR sees, and whose gradient is therefore none."""
    return values - values.amax(-1, keepdim=True)
