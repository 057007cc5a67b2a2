# SPDX-License-Identifier: GPL-3.0-or-later
"""A demapper that is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gr_softmod.modem.arguments import NoiseVar, check_noise_var, check_priors, check_symbols
from gr_softmod.modem.dense import dense
from gr_softmod.modem.soft_bits import SoftReceiver
from gr_softmod.modem.trainable import esn0_feature, mlp


class NeuralDemapper(SoftReceiver):
    """Symbols to LLRs by a multi-layer perceptron on Re(y), Im(y) and -log10(noise_var).

    It needs no model of the channel, so it can learn what a Demodulator does not know:
    a non-linear amplifier, phase noise, constellations it was trained with.

    Args:
        bits_per_symbol: m.
        hidden: widths of the hidden layers.
        activation: "relu", "tanh", "elu", "gelu" or "silu".
        scaled: the network's output counts in units of ``0.1 / noise_var``, as the LLRs of white noise do, and need not
            learn that scale. (Over 23 dB of Eb/N0, 1500 steps brought the cross-entropy of plain 64-QAM within 15 % of
            the exact demapper's; without it, to 2.3 times.)
        options: temperature and straight_through, see :class:`~gr_softmod.modem.soft_bits.SoftReceiver`.
    Shape:
        symbols [..., N] complex, noise_var a number or broadcastable to it -> llr [..., N * m] float32, and of float64
        where both the symbols and the module are double. Under autocast the layers run in its precision.
    Raises:
        ValueError: as for :class:`~gr_softmod.modem.demapper.Demodulator`.
    """

    def __init__(
        self,
        bits_per_symbol: int,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        scaled: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        #: What rebuilds the module: ``NeuralDemapper(**config)``.
        self.config = {
            "bits_per_symbol": bits_per_symbol,
            "hidden": list(hidden),
            "activation": activation,
            "scaled": scaled,
        }
        self.scaled = scaled
        self.bits_per_symbol = bits_per_symbol
        self.layers = mlp([3, *hidden, bits_per_symbol], activation)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.config.items())

    def forward(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        """LLRs; ``priors``, LLRs as for the Demodulator, are added to what the network says."""
        symbols = check_symbols(symbols)
        noise = check_noise_var(noise_var, symbols)
        dtype = next(self.layers.parameters()).dtype
        parts = torch.view_as_real(symbols).reshape(-1, 2)
        features = torch.cat((parts, esn0_feature(noise)[:, None].expand(len(parts), 1)), -1)
        llr = dense(self.layers, features.to(dtype)).to(noise.dtype)
        if self.scaled:
            llr = llr * (0.1 / noise.clamp(min=1e-30))[:, None]
        flat = check_priors(priors, symbols, self.bits_per_symbol)
        if flat is not None:
            llr = llr + flat
        return llr.reshape(*symbols.shape[:-1], -1)
