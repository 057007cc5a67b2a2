# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference every soft demapper is held against: float64, all points, straight from the definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.conventions import bits_of_labels

FLOAT32_ULP = float(np.finfo(np.float32).eps)


def brute_force_llr(
    constellation: Constellation | ArrayLike,
    symbols: ArrayLike,
    noise_var: ArrayLike,
    *,
    priors: ArrayLike | None = None,
    method: str = "exact",
) -> NDArray[np.float64]:
    """A posteriori LLRs by the definition: ``ln sum_{s: b=1} P(y|s) P(s) - ln sum_{s: b=0} P(y|s) P(s)``.

    Args:
        constellation: a Constellation or points [M] by label.
        symbols: complex [..., N] (a constellation's rotation already undone).
        noise_var: E|n|^2, broadcast against symbols.
        priors: LLRs [..., N * m] of the bits before the symbols were seen, or None for equiprobable bits.
        method: "exact", or "maxlog": each sum replaced by its largest term.

    Returns:
        float64 [..., N * m], first bit of a symbol first; 0 for symbols that are not finite.
    """
    points = constellation.points if isinstance(constellation, Constellation) else np.asarray(constellation)
    points = points.astype(np.complex128)
    order = len(points)
    m = order.bit_length() - 1
    bits = bits_of_labels(np.arange(order), m).reshape(order, m).astype(bool)
    y = np.asarray(symbols, np.complex128)
    shape = y.shape
    y = y.reshape(-1)
    variance = np.broadcast_to(np.asarray(noise_var, np.float64), shape).reshape(-1)
    apriori = np.zeros((y.size, m)) if priors is None else np.asarray(priors, np.float64).reshape(y.size, m)
    finite = np.isfinite(y)
    safe = np.where(finite, y, 0)
    llr = np.empty((y.size, m))
    chunk = max(1, (1 << 21) // order)
    for start in range(0, y.size, chunk):
        part = slice(start, start + chunk)
        distance = safe[part, None] - points
        metric = -(distance.real**2 + distance.imag**2) / variance[part, None] + apriori[part] @ bits.T
        for k in range(m):
            llr[part, k] = _log_sum(metric[:, bits[:, k]], method) - _log_sum(metric[:, ~bits[:, k]], method)
    llr[~finite] = 0
    return llr.reshape(*shape[:-1], -1) if shape else llr.reshape(-1)


def _log_sum(metric: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    largest = metric.max(axis=1)
    if method == "maxlog":
        return largest
    if method != "exact":
        raise ValueError(f"method is {method!r}; it must be exact or maxlog")
    return largest + np.log(np.exp(metric - largest[:, None]).sum(axis=1))


def llr_tolerance(
    expected: ArrayLike, symbols: ArrayLike | None = None, noise_var: ArrayLike = 1.0, *, ulps: float = 8.0
) -> NDArray[np.float64]:
    """How far a float32 demapper may be from ``expected``: 1e-4 relative + 1e-5.

    With symbols and noise_var, also ``ulps`` float32 ulp of ``max(|y|^2, 1) / noise_var``: an LLR is a difference of
    terms of that size (1 is the mean energy of the points), so next to a decision boundary at tiny noise that is what
    rounding of the symbol and the points alone may do.
    """
    reference = np.asarray(expected, np.float64)
    allowed = 1e-4 * np.abs(reference) + 1e-5
    if symbols is None:
        return allowed
    y = np.asarray(symbols, np.complex128)
    energy = np.where(np.isfinite(y), np.maximum(np.abs(y) ** 2, 1.0), 1.0)
    per_symbol = ulps * FLOAT32_ULP * energy / np.asarray(noise_var, np.float64)
    bits_per_symbol = reference.shape[-1] // max(1, y.shape[-1])
    return allowed + np.repeat(np.broadcast_to(per_symbol, y.shape), bits_per_symbol, axis=-1)


def assert_llr_close(
    actual: ArrayLike,
    expected: ArrayLike,
    symbols: ArrayLike | None = None,
    noise_var: ArrayLike = 1.0,
    *,
    ulps: float = 8.0,
) -> None:
    """Every LLR is finite and within :func:`llr_tolerance`; the message shows the worst one."""
    got, reference = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert got.shape == reference.shape, f"LLRs have shape {got.shape}, expected {reference.shape}"
    assert np.all(np.isfinite(got)), f"{np.count_nonzero(~np.isfinite(got))} LLRs are not finite"
    allowed = llr_tolerance(reference, symbols, noise_var, ulps=ulps)
    excess = np.abs(got - reference) / allowed
    if got.size and excess.max() > 1:
        i = np.unravel_index(np.argmax(excess), excess.shape)
        raise AssertionError(
            f"{np.count_nonzero(excess > 1)} of {got.size} LLRs are off; the worst, at {tuple(map(int, i))}: "
            f"{got[i]:.9g} instead of {reference[i]:.9g}, allowed ±{allowed[i]:.3g}"
        )
