# SPDX-License-Identifier: GPL-3.0-or-later
"""Differential PSK: the bits are in the turn from one symbol to the next, so no receiver needs the carrier's phase."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gr_softmod.constellation import Constellation
from gr_softmod.modem.arguments import NoiseVar, check_noise_var, check_priors, check_symbols
from gr_softmod.modem.mapper import Modulator, complex_dtype
from gr_softmod.modem.points import as_points
from gr_softmod.modem.soft_bits import SoftReceiver
from gr_softmod.modem.soft_demap import add_priors, llr_of_metric


class DPSKModulator(nn.Module):
    """Bits to differential M-PSK: symbol n is symbol n - 1 turned by the phase of the label's PSK point.

    Args:
        order: M, a power of two; Gray labels, label 0 is no turn.
        turn: radians turned at each symbol besides (pi/4 for pi/4-DQPSK).
        straight_through: as for :class:`~gr_softmod.modem.mapper.Modulator`.
    Shape:
        bits [..., N * m] -> symbols [..., N + 1]; the first symbol is the reference, 1.
    """

    def __init__(self, order: int, *, turn: float = 0.0, straight_through: bool = False) -> None:
        super().__init__()
        self.steps = Modulator(_steps(order, turn), straight_through=straight_through)

    @property
    def bits_per_symbol(self) -> int:
        return self.steps.bits_per_symbol

    def forward(self, bits: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Symbols of hard bits, complex64 (complex128 for float64 bits or where ``dtype`` says so)."""
        return _accumulate(self.steps(bits, dtype=torch.complex128), complex_dtype(bits, dtype))

    def forward_soft(self, soft_bits: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Expected symbols under independent bits, on 0 and 1 exactly ``forward``.

        The turns are independent, so the expected symbol is the product of the expected turns: it fades with every
        uncertain bit.
        """
        steps = self.steps.forward_soft(soft_bits, dtype=torch.complex128)
        return _accumulate(steps, complex_dtype(soft_bits, dtype))


class DPSKDemodulator(SoftReceiver):
    """LLRs of differential M-PSK from pairs of symbols, whatever the carrier's phase.

    With an unknown phase, the same for both symbols and uniform, the likelihood of a turn d is
    ``P(y[n], y[n-1] | d) ~ I0(2 |y[n-1] + y[n] conj(d)| / noise_var)``: exact for one pair, no approximation for high
    signal-to-noise ratio. (The usual detector, ``Re(y[n] conj(y[n-1] d))``, loses the reliability.)

    Args:
        order, turn: as for :class:`DPSKModulator`.
        method: "exact" sums over the turns of each bit value; "maxlog" takes the likeliest.
        options: see :class:`~gr_softmod.modem.soft_bits.SoftReceiver`.
    Shape:
        symbols [..., N + 1], noise_var a number or broadcastable to [..., 1], priors [..., N * m] -> llr [..., N * m].
    Raises:
        ValueError: there are no two symbols; else as :class:`~gr_softmod.modem.demapper.Demodulator`.
    Source: Divsalar, Simon, "Multiple-symbol differential detection of MPSK", IEEE Trans. Commun. 38(3), 1990, eq. 9.
    """

    def __init__(self, order: int, method: str = "exact", *, turn: float = 0.0, **options: Any) -> None:
        super().__init__(method, **options)
        self.steps = as_points(_steps(order, turn))

    @property
    def bits_per_symbol(self) -> int:
        return self.steps.bits_per_symbol

    def forward(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        symbols = check_symbols(symbols)
        if symbols.shape[-1] < 2:
            raise ValueError(f"{symbols.shape[-1]} symbols have no turn between them; the first is the reference")
        noise = check_noise_var(noise_var, symbols[..., :1])
        real = noise.dtype
        # Far more than any signal, and its square is still a number: finite symbols give finite LLRs.
        parts = torch.view_as_real(symbols).clamp(-1e15, 1e15)
        y = torch.view_as_complex(parts)
        previous, current = y[..., :-1].reshape(-1), y[..., 1:].reshape(-1)
        turns = self.steps(real)
        together = torch.view_as_real(previous + current * turns.conj()[:, None])
        amplitude = torch.linalg.vector_norm(together, dim=-1)
        if len(noise) > 1:
            noise = noise.reshape(*symbols.shape[:-1], 1).expand(*symbols.shape[:-1], symbols.shape[-1] - 1).reshape(-1)
        x = 2 * amplitude / noise.clamp(min=1e-15)
        metric = x + torch.special.i0e(x).log()
        flat = check_priors(priors, current.reshape(*symbols.shape[:-1], -1), self.bits_per_symbol)
        metric = add_priors(metric, flat, range(self.bits_per_symbol))
        llr = torch.stack(llr_of_metric(metric, self.bits_per_symbol, self.method), -1)
        return llr.reshape(*symbols.shape[:-1], -1)


class DBPSKModulator(DPSKModulator):
    """Bit 1 is a turn by pi."""

    def __init__(self, **options: Any) -> None:
        super().__init__(2, **options)


class DBPSKDemodulator(DPSKDemodulator):
    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(2, method, **options)


class DQPSKModulator(DPSKModulator):
    """Bits 00, 01, 11, 10 are turns by 0, pi/2, pi, 3 pi/2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(4, **options)


class DQPSKDemodulator(DPSKDemodulator):
    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(4, method, **options)


class Pi4DQPSKModulator(DPSKModulator):
    """DQPSK that turns by pi/4 more at each symbol."""

    def __init__(self, **options: Any) -> None:
        super().__init__(4, turn=math.pi / 4, **options)


class Pi4DQPSKDemodulator(DPSKDemodulator):
    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(4, method, turn=math.pi / 4, **options)


def _steps(order: int, turn: float) -> Constellation:
    psk = Constellation.psk(order)
    return Constellation(psk.points * complex(math.cos(turn), math.sin(turn)), name=f"d{psk}")


def _accumulate(steps: Tensor, dtype: torch.dtype) -> Tensor:
    """Products of the steps so far, in double precision: a million roundings do not show in complex64."""
    reference = torch.ones_like(steps[..., :1])
    return torch.cat((reference, steps), -1).cumprod(-1).to(dtype)
