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
_CHUNK_ELEMENTS = 1 << 20  # metrics at a time: a few megabytes, about what the cache holds


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
        listed = order**streams if self.survivors is None else self.survivors * order
        step = max(1, _CHUNK_ELEMENTS // listed)
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
        if self.method == "exact":
            grid = -_metric(y, h, noise, log_prob, points, _all_vectors(len(points), h.shape[-1], y.device))
            grid = grid.unflatten(1, [len(points)] * h.shape[-1])
            others = [[k for k in range(1, grid.ndim) if k != t + 1] for t in range(h.shape[-1])]
            table = torch.stack([torch.logsumexp(grid, dims) if dims else grid for dims in others], 1)  # [n, T, M]
            one, zero = (torch.logsumexp(_of_bit(table, bits, side, -torch.inf), -1) for side in (1, 0))
            return one - zero
        with torch.no_grad():
            if self.survivors is None:
                labels = _all_vectors(len(points), h.shape[-1], y.device).expand(len(y), -1, -1)
            else:
                labels = k_best(y, h, noise, log_prob, points, self.survivors)
            rows = _deciding(y, h, noise, log_prob, points, bits, labels)
        zero, one = (_metric(y, h, noise, log_prob, points, row.flatten(1, 2)) for row in rows)
        return (zero - one).unflatten(1, (-1, bits.shape[-1]))


def k_best(y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, survivors: int) -> Tensor:
    """Labels [n, L, T] of vectors of least metric, found level by level keeping the best ``survivors`` of each.

    ``L = K + M``: what is needed of all K M leaves below the survivors of the last level for max-log LLRs.
    """
    n, streams, order = len(y), h.shape[-1], len(points)
    rank = (h.real**2 + h.imag**2).sum(1).argsort(-1)  # the strongest stream comes last and is decided first
    q, r = torch.linalg.qr(h.gather(2, rank[:, None].expand_as(h)))
    scale = noise.rsqrt()[:, None]
    z, r = (q.mH @ y[..., None])[..., 0] * scale, r * scale[..., None]
    metric = y.real.new_zeros(n, 1)
    labels = rank.new_zeros(n, 1, 0)
    for t in range(streams - 1, -1, -1):
        cancelled = z[:, t, None] - (points[labels] * r[:, None, t, t + 1 :]).sum(-1)  # [n, K]
        images = r[:, t, t, None] * points  # [n, M]
        total = metric[..., None]
        for left, image in ((cancelled.real, images.real), (cancelled.imag, images.imag)):
            distance = left[..., None] - image[:, None]  # [n, K, M]
            total = torch.addcmul(total, distance, distance)
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


def _deciding(
    y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, bits: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Of each bit the best vectors with 0 and with 1, [n, T, m, T] twice, among ``labels`` [n, L, T] and all vectors
    that differ from the best of them in one stream."""
    n, listed, streams = labels.shape
    order = len(points)
    metric = _metric(y, h, noise, log_prob, points, labels)
    # The least metric of every symbol of every stream in the list, and whose it is.
    by_stream, each = labels.mT.contiguous(), metric[:, None].expand(-1, streams, -1)
    found = metric.new_full((n, streams, order), torch.inf).scatter_reduce(2, by_stream, each, "amin")
    index = torch.where(each <= found.gather(2, by_stream), torch.arange(listed, device=y.device), listed)
    owner = index.new_full(found.shape, listed).scatter_reduce(2, by_stream, index, "amin")
    # Changing stream t of the best vector by d turns the residual r into r - h_t d.
    least, first = metric.min(-1)
    best = labels[torch.arange(n, device=y.device), first]
    change = points - points[best][..., None]  # [n, T, M]
    along = (h.mH @ (y[..., None] - h @ points[best][..., None])).conj()
    energy = (h.real**2 + h.imag**2).sum(1)[..., None]
    near = energy * (change.real**2 + change.imag**2) - 2 * (along * change).real
    near = least[:, None, None] + near / noise[:, None, None]
    if log_prob is not None:
        near = near - log_prob + log_prob.gather(2, best[..., None])
    table = torch.minimum(found, near)
    rows = []
    for side in (0, 1):
        symbol = _of_bit(table, bits, side, torch.inf).argmin(-1)  # [n, T, m]
        listed_row = owner.gather(2, symbol).clamp_max(listed - 1).flatten(1)[..., None]
        from_list = labels.gather(1, listed_row.expand(-1, -1, streams)).unflatten(1, symbol.shape[1:])
        changed = best[:, None, None].repeat(1, streams, bits.shape[-1], 1)
        changed[:, range(streams), :, range(streams)] = symbol.movedim(1, 0)
        rows.append(torch.where((found <= near).gather(2, symbol)[..., None], from_list, changed))
    return rows[0], rows[1]


def _of_bit(table: Tensor, bits: Tensor, side: int, other: float) -> Tensor:
    """[n, T, M] as [n, T, m, M], with ``other`` where bit k of the symbol is not ``side``."""
    return table[:, :, None].masked_fill(torch.ne(bits.T, side), other)


def _metric(y: Tensor, h: Tensor, noise: Tensor, log_prob: Tensor | None, points: Tensor, labels: Tensor) -> Tensor:
    """[n, L] of label vectors [n or 1, L, T]."""
    distance = y[:, None] - points[labels] @ h.mT
    metric = (distance.real**2 + distance.imag**2).sum(-1) / noise[:, None]
    if log_prob is None:
        return metric
    return metric - log_prob.mT.gather(1, labels.expand(len(y), -1, -1)).sum(-1)


def _all_vectors(order: int, streams: int, device: torch.device) -> Tensor:
    """[1, M^T, T], the last stream's label counting fastest."""
    return torch.cartesian_prod(*[torch.arange(order, device=device)] * streams).reshape(1, -1, streams)
