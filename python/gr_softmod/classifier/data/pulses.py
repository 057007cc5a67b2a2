# SPDX-License-Identifier: GPL-3.0-or-later
"""Sums of pulses at any rate and instant, each frame with its own: ``x_b(t) = sum_k s_b[k] p_b(t - k)``.

All pulses lie in one table, sampled finely in time. A sample at time t needs the :data:`TAPS` symbols around it and as
many values of its frame's pulse, both gathered. One code path so gives symbols, phases and audio at every (fractional)
number of samples per symbol.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gr_softmod.modem.cpm import phase_pulse
from gr_softmod.modem.pulse import raised_cosine, root_raised_cosine

#: Symbols that reach a sample; pulses are cut off at half as many on either side.
TAPS = 16
#: Values of a pulse per symbol. The nearest one is taken: an error of timing of 1/1024 symbol at most.
CELLS = 512
#: Roll-offs of the table; others are rounded to the nearest.
ROLLOFFS = np.round(np.arange(0.10, 0.5001, 0.01), 2)
#: Bandwidth times symbol time of the Gaussian phase pulses.
GAUSSIAN_BT = (0.2, 0.25, 0.3, 0.35, 0.5)
_GAUSSIAN_SPAN = 6

#: Symbols of lead: a pulse sum's times begin here, so that every tap has a symbol.
LEAD = TAPS // 2

# Rows of the table, in this order.
RRC = 0
RC = RRC + len(ROLLOFFS)
RECT = RC + len(ROLLOFFS)
INTERPOLATE = RECT + 1
GAUSSIAN = INTERPOLATE + 1
ROWS = GAUSSIAN + len(GAUSSIAN_BT)


def rolloff_row(kind: int, rolloff: Tensor) -> Tensor:
    """Rows int64 [...] of ``kind`` (:data:`RRC` or :data:`RC`) for roll-offs [...] in 0.1 .. 0.5."""
    step = (rolloff - float(ROLLOFFS[0])) * (len(ROLLOFFS) - 1) / float(ROLLOFFS[-1] - ROLLOFFS[0])
    return kind + step.round().long().clamp(0, len(ROLLOFFS) - 1)


@lru_cache(maxsize=4)
def pulse_table(device: torch.device) -> Tensor:
    """float32 [ROWS * TAPS * CELLS]; pulses peak at 1 (the phase pulses rise from 0 to 1)."""
    fine = 2 * CELLS  # cells are represented by their middles

    def middles(taps: Tensor) -> np.ndarray:
        values = taps.numpy()
        return values[1::2] / values[len(values) // 2]

    rows = [middles(root_raised_cosine(fine, float(b), TAPS)) for b in ROLLOFFS]
    rows += [middles(raised_cosine(fine, float(b), TAPS)) for b in ROLLOFFS]
    time = (np.arange(TAPS * CELLS) + 0.5) / CELLS - LEAD
    rows.append(((time >= 0) & (time < 1)).astype(np.float64))
    rows.append(np.sinc(time) * np.kaiser(TAPS * CELLS, 6.0))
    half = _GAUSSIAN_SPAN / 2
    rows += [
        2 * phase_pulse(np.clip(time + half, 0, _GAUSSIAN_SPAN), "gaussian", _GAUSSIAN_SPAN, bt) for bt in GAUSSIAN_BT
    ]
    # Time t - k of tap j (k = floor(t) - LEAD + 1 + j) is fraction + LEAD - 1 - j: the last symbols' part comes first.
    table = np.stack(rows).reshape(ROWS, TAPS, CELLS)[:, ::-1]
    return torch.from_numpy(np.ascontiguousarray(table, np.float32)).flatten().to(device)


class Instants:
    """Sampling instants of frames, made ready for sums of their pulses.

    Args:
        time: float32 [B, N] in symbols; symbol k peaks at time k. ``LEAD <= time < K - LEAD``.
        row: int64 [B], each frame's pulse.
        symbols: K, how many each frame has.
    """

    def __init__(self, time: Tensor, row: Tensor, symbols: int) -> None:
        whole = time.floor()
        cell = ((time - whole) * CELLS).long().clamp_(max=CELLS - 1)
        frame = torch.arange(len(time), device=time.device)[:, None]
        # Of all symbols and of the whole table laid end to end, where each sample's first tap is.
        self._first = whole.long().add_(frame * symbols - (LEAD - 1)).flatten()
        self._cell = cell.add_(row[:, None] * (TAPS * CELLS)).flatten()
        self._shape = time.shape

    def sum(self, symbols: Tensor) -> Tensor:
        """``sum_k symbols[b, k] p_b(time[b, n] - k)``: [B, K] -> [B, N], real or complex."""
        table = pulse_table(symbols.device)
        parts = [symbols.real.flatten(), symbols.imag.flatten()] if symbols.is_complex() else [symbols.flatten()]
        totals = [torch.zeros(self._first.shape, device=symbols.device) for _ in parts]
        for tap in range(TAPS):
            weight = table[tap * CELLS :].index_select(0, self._cell)
            for total, part in zip(totals, parts, strict=True):
                total.addcmul_(weight, part[tap:].index_select(0, self._first))
        return (torch.complex(*totals) if symbols.is_complex() else totals[0]).view(self._shape)

    def sum_steps(self, steps: Tensor) -> Tensor:
        """As :meth:`sum` for pulses that rise from 0 to 1 and stay: symbols that are over count whole."""
        # The first tap is symbol ``first``; all before it are over. first >= 1 holds, as time >= LEAD.
        over = steps.cumsum(-1).flatten().index_select(0, self._first - 1)
        return self.sum(steps) + over.view(self._shape)
