# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rates and achievable rates in closed form, the oracles of the simulations. numpy alone.

Every error rate here is a sum of tails: a decision that crosses the threshold between two neighbours changes the number
of wrong bits by ``h(sent, beyond) - h(sent, before)``. Summing over thresholds instead of decision regions loses no
digits to cancellation at high Eb/N0, and holds for any labels. For Gray square QAM the sums are the expressions of Cho
and Yoon, "On the general BER expression of one- and two-dimensional amplitude modulations", IEEE Trans. Commun. 50(7),
2002.

``ebn0_db`` is the energy per information bit over N0 (= ``noise_var``) of uncoded transmission, in dB; any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.constellation import Axes, Constellation
from gr_softmod.conventions import esn0_db_of_ebn0_db

Array = NDArray[np.float64]
#: P(noise exceeds d) for distance d at the Es/N0 (linear) of unit-energy symbols.
Tail = Callable[[float, Array], Array]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def q_function(x: ArrayLike) -> Array:
    """P(standard normal > x)."""
    return 0.5 * _erfc(np.asarray(x, np.float64) / math.sqrt(2))


def _tail_awgn(distance: float, esn0: Array) -> Array:
    return q_function(distance * np.sqrt(2 * esn0))


def _tail_rayleigh(distance: float, esn0: Array) -> Array:
    # E[Q(d sqrt(2 g Es/N0))] over g ~ Exp(1): (1 - mu)/2, mu = sqrt(x/(1+x)), written without the difference.
    if distance < 0:
        return 1 - _tail_rayleigh(-distance, esn0)
    x = distance**2 * esn0
    return 0.5 / ((1 + x) * (1 + np.sqrt(x / (1 + x))))


_TAILS: dict[str, Tail] = {"awgn": _tail_awgn, "rayleigh": _tail_rayleigh}


def ber(constellation: Constellation, ebn0_db: ArrayLike, *, channel: str = "awgn") -> Array | None:
    """Exact bit error rate of nearest-point decisions, or None where there is no closed form (cross QAM, APSK, ..).

    Exact for every separable constellation (BPSK, QPSK, PAM, ASK, OOK, square QAM) with any labels, and for PSK.

    Args:
        constellation: memoryless mapping; its rotation and Q delay do not change the error rate.
        channel: "awgn", or "rayleigh" (flat, perfectly known, average Eb/N0; separable constellations).

    Raises:
        ValueError: the channel is another.
    """
    tail = _tail_of(channel)
    esn0 = _esn0(constellation, ebn0_db)
    if constellation.axes is not None:
        errors = sum(_axis_sum(levels, esn0, tail, _hamming) for levels in _axes(constellation.axes))
        return np.asarray(errors / constellation.bits_per_symbol)
    if channel == "awgn" and (labels := _psk_labels(constellation)) is not None:
        return _circle_sum(labels, esn0, _tail_phase, _hamming) / constellation.bits_per_symbol
    return None


def ser(constellation: Constellation, ebn0_db: ArrayLike) -> Array | None:
    """Exact symbol error rate of nearest-point decisions in AWGN, or None where there is no closed form."""
    esn0 = _esn0(constellation, ebn0_db)
    if constellation.axes is not None:
        i, q = (_axis_sum(levels, esn0, _tail_awgn, _differ) for levels in _axes(constellation.axes))
        return i + q - i * q
    if (labels := _psk_labels(constellation)) is not None:
        return _circle_sum(labels, esn0, _tail_phase, _differ)
    return None


def bler(constellation: Constellation, ebn0_db: ArrayLike, *, bits_per_block: int) -> Array | None:
    """Rate of uncoded blocks with any error in AWGN: a block of n symbols is right when each of them is."""
    rate = ser(constellation, ebn0_db)
    return None if rate is None else -np.expm1(bits_per_block / constellation.bits_per_symbol * np.log1p(-rate))


def dpsk_ber(order: int, ebn0_db: ArrayLike) -> Array:
    """Bit error rate of Gray-labelled differential M-PSK detected from two successive symbols, in AWGN.

    DBPSK is ``exp(-Eb/N0) / 2``. Source: Pawula, Rice, Roberts, "Distribution of the phase angle between two vectors
    perturbed by Gaussian noise", IEEE Trans. Commun. 30(8), 1982.
    """
    m = order.bit_length() - 1
    if order < 2 or order != 1 << m:
        raise ValueError(f"order of DPSK is {order}; it must be a power of two of at least 2")
    gray = np.arange(order) ^ (np.arange(order) >> 1)
    esn0 = 10 ** (esn0_db_of_ebn0_db(ebn0_db, bits_per_symbol=m) / 10)
    return _circle_sum(gray, esn0, _tail_phase_difference, _hamming) / m


def ber_union_bound(constellation: Constellation, ebn0_db: ArrayLike) -> Array:
    """Upper bound on the bit error rate in AWGN of any constellation, tight where it is small."""
    esn0 = _esn0(constellation, ebn0_db)
    distance = np.abs(constellation.points[:, None] - constellation.points) / 2
    weight = _hamming(np.arange(constellation.order)[:, None], np.arange(constellation.order))
    # Equal pairs once: a 64-QAM has 4032 ordered pairs and some thirty distances.
    unique, inverse = np.unique(np.round(distance, 12), return_inverse=True)
    total = np.bincount(inverse.reshape(-1), weight.reshape(-1))
    errors = sum(w * _tail_awgn(d, esn0) for d, w in zip(unique, total, strict=True) if w)
    return np.asarray(errors / (constellation.order * constellation.bits_per_symbol))


# ---- rates


def capacity(esn0_db: ArrayLike) -> Array:
    """Capacity of the complex AWGN channel in bits per symbol."""
    return np.log2(1 + 10 ** (np.asarray(esn0_db, np.float64) / 10))


def bmd_rate(constellation: Constellation, esn0_db: float, *, nodes: int = 24) -> float:
    """Bits per symbol that bit-metric decoding of exact LLRs can carry in AWGN, equiprobable points (also called GMI).

    ``m - sum_k E[log2(1 + exp(-+llr_k))]``, the expectation by Gauss-Hermite quadrature of ``nodes`` points in each
    real dimension: no Monte-Carlo noise. Source: Böcherer, "Achievable rates for probabilistic shaping", 2017, eq. 12.
    """
    x, w = np.polynomial.hermite.hermgauss(nodes)
    noise = (x[:, None] + 1j * x).reshape(-1)
    weight = (w[:, None] * w).reshape(-1) / math.pi
    gain = 10 ** (esn0_db / 20)  # noise of variance 1: E|x_i + j x_q|^2 under the Hermite weight
    points = gain * constellation.points
    lost = 0.0
    for sent in range(constellation.order):
        metric = -(np.abs(points[sent] + noise[:, None] - points) ** 2)
        metric -= metric.max(axis=1, keepdims=True)
        likelihood = np.exp(metric)
        for column in constellation.bits.T:
            same = likelihood[:, column == column[sent]].sum(axis=1)
            lost += float(weight @ np.log2(likelihood.sum(axis=1) / same))
    return constellation.bits_per_symbol - lost / constellation.order


# ---- the sums


def _esn0(constellation: Constellation, ebn0_db: ArrayLike) -> Array:
    return 10 ** (esn0_db_of_ebn0_db(ebn0_db, bits_per_symbol=constellation.bits_per_symbol) / 10)


def _tail_of(channel: str) -> Tail:
    if channel not in _TAILS:
        raise ValueError(f"channel is {channel!r}; it must be one of {', '.join(_TAILS)}")
    return _TAILS[channel]


def _hamming(a: ArrayLike, b: ArrayLike) -> Array:
    return np.vectorize(lambda x: int(x).bit_count(), otypes=[np.float64])(np.bitwise_xor(a, b))


def _differ(a: ArrayLike, b: ArrayLike) -> Array:
    return np.not_equal(a, b).astype(np.float64)


def _axes(axes: Axes) -> tuple[Array, Array]:
    return axes.i_levels, axes.q_levels


def _axis_sum(levels: Array, esn0: Array, tail: Tail, weight: Callable[[ArrayLike, ArrayLike], Array]) -> Array:
    """Mean weight of wrong decisions on one axis; ``levels[v]`` is the level of bits of value v."""
    order = np.argsort(levels)  # labels from left to right
    total = np.zeros_like(esn0)
    for sent, label in enumerate(order):
        for step in (1, -1):
            previous = label
            for place in range(sent + step, len(order) if step > 0 else -1, step):
                beyond = order[place]
                change = weight(label, beyond) - weight(label, previous)
                if change:
                    threshold = 0.5 * (levels[beyond] + levels[previous])
                    total = total + change * tail(abs(float(threshold - levels[label])), esn0)
                previous = beyond
    return total / len(order)


def _psk_labels(constellation: Constellation) -> NDArray[np.int64] | None:
    """Labels in the order of their phases when the points are a regular polygon, else None."""
    order = np.argsort(np.angle(constellation.points))
    turn = np.exp(2j * np.pi / constellation.order)
    regular = np.allclose(constellation.points[np.roll(order, -1)], constellation.points[order] * turn, atol=1e-6)
    return order if regular else None


def _circle_sum(
    labels: NDArray[np.int64], esn0: Array, tail: Tail, weight: Callable[[ArrayLike, ArrayLike], Array]
) -> Array:
    """Mean weight of wrong decisions on a circle; ``labels`` in the order of their phases."""
    order = len(labels)
    total = np.zeros_like(esn0)
    for j in range(order // 2):
        change = sum(
            np.mean(weight(labels, np.roll(labels, side * (j + 1))) - weight(labels, np.roll(labels, side * j)))
            for side in (1, -1)
        )
        if change:
            total = total + change * tail((2 * j + 1) * math.pi / order, esn0)
    return total


# Gauss-Legendre on [-1, 1]; 400 nodes resolve integrands as narrow as those at 60 dB.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


def _tail_phase(angle: float, esn0: Array) -> Array:
    """P(angle < phase error < pi) of one symbol (Craig, "A new, simple and exact result ..", MILCOM 1991)."""
    span = math.pi - angle
    phi = 0.5 * span * (_NODES + 1)
    exponent = (math.sin(angle) / np.sin(phi)) ** 2
    return np.exp(-np.asarray(esn0)[..., None] * exponent) @ _WEIGHTS * (0.5 * span / (2 * math.pi))


def _tail_phase_difference(angle: float, esn0: Array) -> Array:
    """P(angle < error of the phase difference of two symbols < pi) (Pawula, Rice, Roberts 1982)."""
    t = 0.5 * math.pi * _NODES
    inner = 1 - math.cos(angle) * np.cos(t)
    integral = (np.exp(-np.asarray(esn0)[..., None] * inner) / inner) @ _WEIGHTS * (0.5 * math.pi)
    return math.sin(angle) / (4 * math.pi) * integral
