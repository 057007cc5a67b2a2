# SPDX-License-Identifier: GPL-3.0-or-later
"""Joint detection of all streams: every combination of symbols, or the best of a tree search."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.arguments import NoiseVar
from gr_softmod.modem.mapper import turn
from gr_softmod.modem.mimo.arguments import as_llr, check_priors, label_bits, observe
from gr_softmod.modem.points import Points, as_points
from gr_softmod.modem.soft_bits import METHODS

_MAX_COMBINATIONS = 1 << 20
_CHUNK_ELEMENTS = 1 << 23


class MLDetector(nn.Module):
    """Maximum likelihood over symbol vectors: ``metric(x) = |y - H x|^2 / noise_var - ln P(x)``.

    ``llr = min_{x: b=0} metric - min_{x: b=1} metric`` (max-log), or with log-sums over all x ("exact").

    With ``survivors=None`` x runs over all M^T vectors. With a number it runs over what a K-best tree search (QR
    decomposition, strongest stream first) finds with that many survivors a level, and over all vectors that differ from
    the best of them in one stream: so every bit has a real competitor on both sides and no LLR needs clipping.
    M^(T-1) survivors lose nothing. The search itself has no gradient; the metrics of the vectors it finds have one, to
    signal, gains, noise, priors and points.

    Args:
        constellation: as for Demodulator; all streams use it.
        method: "maxlog", or "exact", which sums over all vectors and takes no ``survivors``.
        survivors: K of the K-best search, or None for all vectors.
    Shape:
        as LMMSEDetector. A search needs R >= T.
    Raises:
        ValueError: as LMMSEDetector; M^T exceeds 2^20 without ``survivors``; R < T with them.
    Source:
        Guo, Nilsson, "Algorithm and implementation of the K-best sphere decoding for MIMO detection", 2006.
    """

    def __init__(
        self,
        constellation: Points | Constellation | str | Any,
        method: str = "maxlog",
        *,
        survivors: int | None = None,
    ) -> None:
        super().__init__()
        if method not in METHODS:
            raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
        if survivors is not None and (survivors < 1 or method == "exact"):
            raise ValueError(
                f"survivors is {survivors} with method {method!r}; it must be at least 1, and None for exact"
            )
        self.points = as_points(constellation)
        self.method, self.survivors = method, survivors

    def extra_repr(self) -> str:
        return f"method={self.method!r}, survivors={self.survivors}"

    def forward(self, received: Tensor, gains: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        seen = observe(received, gains, noise_var)
        antennas, streams = seen.gains.shape[-2:]
        order, m = self.points.order, self.points.bits_per_symbol
        if self.survivors is None and order**streams > _MAX_COMBINATIONS:
            raise ValueError(f"{order}^{streams} combinations are too many to try all; set survivors")
        if self.survivors is not None and antennas < streams:
            raise ValueError(f"a search needs as many antennas as streams; there are {antennas} and {streams}")
        kind = seen.noise_var.dtype
        points = self.points(kind)
        bits = label_bits(m, kind, points.device)
        y = turn(seen.received.mT, -self.points.rotation).mT
        shape = y.shape[:-1]
        y = y.reshape(-1, antennas)
        h = seen.gains.expand(*shape, antennas, streams).reshape(-1, antennas, streams)
        noise = seen.noise_var.expand(shape).reshape(-1)
        known = check_priors(priors, streams, seen, m)
        log_prob = None
        if known is not None:
            log_prob = (known.reshape(-1, streams, m, 1) * bits.T).sum(-2)  # [n, T, M]
        shaped = self.points.log_prob(kind)
        if shaped is not None:
            log_prob = shaped.expand(len(y), streams, order) if log_prob is None else log_prob + shaped
        listed = order**streams if self.survivors is None else self.survivors * order + streams * order
        step = max(1, _CHUNK_ELEMENTS // (listed * streams * m))
        parts = [
            self._detect(
                y[i : i + step],
                h[i : i + step],
                noise[i : i + step],
                None if log_prob is None else log_prob[i : i + step],
                points,
                bits,
            )
            for i in range(0, len(y), step)
        ]
        return as_llr(torch.cat(parts).reshape(*shape, streams, m))

    def _detect(
        self, y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, bits: Tensor
    ) -> Tensor:
        """LLRs [n, T, m] of n vectors."""
        with torch.no_grad():
            if self.survivors is None:
                labels = _all_vectors(len(points), h.shape[-1], y.device).expand(len(y), -1, -1)
            else:
                labels = k_best(y, h, noise, log_prob, points, self.survivors)
                first = _metric(y, h, noise, log_prob, points, labels).argmin(-1)
                best = labels[torch.arange(len(y), device=y.device), first]
                labels = torch.cat([labels, _neighbours(best, len(points))], 1)
            ones = bits[labels].flatten(-2) > 0.5  # [n, L, T m]
            if self.method == "maxlog":
                metric = _metric(y, h, noise, log_prob, points, labels)[..., None]
                chosen = [metric.masked_fill(ones == side, torch.inf).argmin(1) for side in (True, False)]
                streams = labels.shape[-1]
                rows = [labels.gather(1, index[..., None].expand(-1, -1, streams)) for index in chosen]
        if self.method == "maxlog":
            zero, one = (_metric(y, h, noise, log_prob, points, row) for row in rows)
            return (zero - one).unflatten(-1, (-1, bits.shape[-1]))
        metric = -_metric(y, h, noise, log_prob, points, labels)
        sums = [torch.logsumexp(metric[..., None].masked_fill(ones != side, -torch.inf), 1) for side in (True, False)]
        return (sums[0] - sums[1]).unflatten(-1, (-1, bits.shape[-1]))


def k_best(y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, survivors: int) -> Tensor:
    """Labels [n, L, T] of vectors of least metric, found level by level keeping the best ``survivors`` of each.

    ``L = K + M``: what is needed of all K M leaves below the survivors of the last level for max-log LLRs.
    """
    n, streams, order = len(y), h.shape[-1], len(points)
    rank = (h.real**2 + h.imag**2).sum(1).argsort(-1)  # the strongest stream comes last and is decided first
    q, r = torch.linalg.qr(h.gather(2, rank[:, None].expand_as(h)))
    z = (q.mH @ y[..., None])[..., 0]
    metric = y.real.new_zeros(n, 1)
    labels = rank.new_zeros(n, 1, 0)
    for t in range(streams - 1, -1, -1):
        cancelled = z[:, t, None] - (points[labels] * r[:, None, t, t + 1 :]).sum(-1)  # [n, K]
        distance = cancelled[..., None] - r[:, t, t, None, None] * points  # [n, K, M]
        total = metric[..., None] + (distance.real**2 + distance.imag**2) / noise[:, None, None]
        if log_prob is not None:
            total = total - log_prob.gather(1, rank[:, t, None, None].expand(-1, 1, order))
        if t:
            metric, index = total.flatten(1).topk(min(survivors, total[0].numel()), largest=False, sorted=False)
        else:
            # Of all leaves the bits ask only for the best of each parent and the best of each symbol.
            parents, symbols = torch.arange(total.shape[1], device=y.device), torch.arange(order, device=y.device)
            index = torch.cat([parents * order + total.argmin(2), total.argmin(1) * order + symbols], 1)
        chosen = (index // order)[..., None].expand(-1, -1, labels.shape[-1])
        labels = torch.cat([(index % order)[..., None], labels.gather(1, chosen)], -1)
    return torch.empty_like(labels).scatter_(2, rank[:, None].expand_as(labels), labels)


def _metric(y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, labels: Tensor) -> Tensor:
    """[n, L] of label vectors [n, L, T]."""
    distance = y[:, None] - points[labels] @ h.mT
    metric = (distance.real**2 + distance.imag**2).sum(-1) / noise[:, None]
    if log_prob is None:
        return metric
    return metric - log_prob.mT.gather(1, labels).sum(-1)


def _all_vectors(order: int, streams: int, device: torch.device) -> Tensor:
    """[M^T, T]."""
    return torch.cartesian_prod(*[torch.arange(order, device=device)] * streams).reshape(-1, streams)


def _neighbours(best: Tensor, order: int) -> Tensor:
    """All vectors that differ from ``best`` [n, T] in at most one stream [n, T M, T]."""
    n, streams = best.shape
    around = best[:, None, None].repeat(1, streams, order, 1)
    for t in range(streams):
        around[:, t, :, t] = torch.arange(order, device=best.device)
    return around.reshape(n, streams * order, streams)
