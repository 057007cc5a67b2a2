# SPDX-License-Identifier: GPL-3.0-or-later
"""Demodulator: symbols to log-likelihood ratios, soft bits or bits."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gr_softmod.constellation import Constellation
from gr_softmod.modem import kernels
from gr_softmod.modem.arguments import NoiseVar, check_noise_var, check_priors, check_symbols
from gr_softmod.modem.mapper import turn
from gr_softmod.modem.points import Points, as_points
from gr_softmod.modem.soft_bits import SoftReceiver
from gr_softmod.modem.soft_demap import soft_demap


class Demodulator(SoftReceiver):
    """Symbols to log-likelihood ratios.

    llr[..., k] = ln P(b_k=1 | y) - ln P(b_k=0 | y), with P(y | s) proportional to exp(-|y - s|^2 / noise_var).

    Args:
        constellation: a Constellation, its name, points by label, or a module with points (trained, shaped).
        method: "exact" (log-MAP) or "maxlog".
        temperature, straight_through: of ``forward_soft``, see :class:`~gr_softmod.modem.soft_bits.SoftReceiver`.
    Shape:
        symbols [..., N] complex, noise_var broadcastable to it -> llr [..., N * m] float, first bit of a symbol first.
    Source:
        Hagenauer, Offer, Papke, "Iterative decoding of binary block and convolutional codes", 1996, eq. 9.

    Computes in float32 (float64 for complex128 symbols) whatever the autocast setting. Every finite input gives finite
    LLRs: they saturate near 1e35, and a noise_var below 1e-30 counts as 1e-30. A symbol that is NaN gives NaN LLRs.
    """

    def __init__(
        self, constellation: Points | Constellation | str | Any, method: str = "exact", **options: Any
    ) -> None:
        super().__init__(method, **options)
        self.points = as_points(constellation)

    @property
    def bits_per_symbol(self) -> int:
        return self.points.bits_per_symbol

    def forward(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        """A posteriori LLRs; the extrinsic ones are these less the priors.

        Args:
            symbols: complex [..., N].
            noise_var: E|n|^2 of the complex noise, a number or broadcastable to the symbols.
            priors: LLRs broadcastable to [..., N * m], or [m] for every symbol alike.
        Raises:
            ValueError: symbols are not complex; noise_var is not positive and finite (values of a tensor: eager mode on
                a CPU only, elsewhere the LLRs are NaN); shapes do not fit.
        """
        return self._run(symbols, noise_var, priors, soft=False)

    def forward_soft(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        """Soft bits P(b=1 | y): the sigmoid of :meth:`forward`, at the module's temperature."""
        if self.temperature == 1.0 and not self.straight_through:
            return self._run(symbols, noise_var, priors, soft=True)
        return super().forward_soft(symbols, noise_var, priors)

    def _run(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None, *, soft: bool) -> Tensor:
        symbols = check_symbols(symbols)
        m = self.bits_per_symbol
        noise = check_noise_var(noise_var, symbols)
        received = turn(symbols, -self.points.rotation).reshape(-1)
        priors = check_priors(priors, symbols, m)
        real = noise.dtype
        seen = noise_var if isinstance(noise_var, Tensor) and len(noise) > 1 else noise[0]
        one_set = len(noise) == 1 or not self.points.follows_noise
        if one_set and self.points.equiprobable and kernels.usable(symbols):
            out = kernels.demap(received, noise, priors, self.points(real, seen), self.method, soft=soft)
        else:
            tables = tuple(_for_each_symbol(table, symbols) for table in self.points.tables(real, seen))
            llr = soft_demap(received, noise, priors, self.method, self.points.axes, tables)
            out = llr.sigmoid() if soft else llr
        return out.reshape(*symbols.shape[:-1], symbols.shape[-1] * m)


def _for_each_symbol(table: Tensor | None, symbols: Tensor) -> Tensor | None:
    """A table [D, ..., L] that depends on noise_var [...] as [D, L, n]; others as they are."""
    if table is None or table.dim() <= 2:
        return table
    rows = table.movedim(-1, 1)
    return rows.expand(*rows.shape[:2], *symbols.shape).reshape(*rows.shape[:2], -1)
