# SPDX-License-Identifier: GPL-3.0-or-later
"""Modulators and demodulators by name: each only picks its constellation.

Options (``method``, ``temperature``, ``straight_through``) are those of
:class:`~gr_softmod.modem.mapper.Modulator` and :class:`~gr_softmod.modem.demapper.Demodulator`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gr_softmod.constellation import Constellation
from gr_softmod.modem.arguments import NoiseVar, check_noise_var, check_symbols
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.mapper import Modulator
from gr_softmod.modem.soft_bits import SoftReceiver


class BPSKModulator(Modulator):
    """Bit 0 at +1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Constellation.bpsk(), **options)


class BPSKDemodulator(Demodulator):
    """llr = -4 Re(y) / noise_var."""

    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.bpsk(), method, **options)


class QPSKModulator(Modulator):
    def __init__(self, **options: Any) -> None:
        super().__init__(Constellation.qpsk(), **options)


class QPSKDemodulator(Demodulator):
    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.qpsk(), method, **options)


class PSKModulator(Modulator):
    def __init__(self, order: int, **options: Any) -> None:
        super().__init__(Constellation.psk(order), **options)


class PSKDemodulator(Demodulator):
    def __init__(self, order: int, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.psk(order), method, **options)


class QAMModulator(Modulator):
    """``labels``: "gray" (3GPP TS 38.211), or "dvb"."""

    def __init__(self, order: int, labels: str = "gray", **options: Any) -> None:
        super().__init__(Constellation.qam(order, labels), **options)


class QAMDemodulator(Demodulator):
    def __init__(self, order: int, method: str = "exact", labels: str = "gray", **options: Any) -> None:
        super().__init__(Constellation.qam(order, labels), method, **options)


class PAMModulator(Modulator):
    """Bipolar amplitudes."""

    def __init__(self, order: int, **options: Any) -> None:
        super().__init__(Constellation.pam(order), **options)


class PAMDemodulator(Demodulator):
    def __init__(self, order: int, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.pam(order), method, **options)


class ASKModulator(Modulator):
    """Unipolar amplitudes; order 2 is on-off keying."""

    def __init__(self, order: int, **options: Any) -> None:
        super().__init__(Constellation.ask(order), **options)


class ASKDemodulator(Demodulator):
    def __init__(self, order: int, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.ask(order), method, **options)


class APSKModulator(Modulator):
    """DVB-S2 / S2X rings, for a code rate such as "3/4"."""

    def __init__(self, order: int, rate: str | None = None, **options: Any) -> None:
        super().__init__(Constellation.apsk(order, rate), **options)


class APSKDemodulator(Demodulator):
    def __init__(self, order: int, method: str = "exact", rate: str | None = None, **options: Any) -> None:
        super().__init__(Constellation.apsk(order, rate), method, **options)


class Pi4QPSKModulator(Modulator):
    """QPSK whose symbol n is turned by n pi/4, n counted from the start of the last dimension."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Constellation.pi4_qpsk(), **options)


class Pi4QPSKDemodulator(Demodulator):
    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(Constellation.pi4_qpsk(), method, **options)


class OQPSKModulator(Modulator):
    """Offset QPSK at two samples a symbol: I of symbol n is the real sample 2n, Q the imaginary sample 2n + 1.

    A pulse shaper behind it (any pulse, with half the samples per symbol) makes the usual waveform, whose Q lies half a
    symbol behind its I; its matched filter gives back samples for :class:`OQPSKDemodulator`.

    Shape:
        bits [..., 2 N] -> samples [..., 2 N].
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(Constellation.oqpsk(), **options)

    def forward(self, bits: Tensor, noise_var: NoiseVar | None = None, *, dtype: torch.dtype | None = None) -> Tensor:
        return _stagger(super().forward(bits, dtype=dtype))

    def forward_soft(
        self, soft_bits: Tensor, noise_var: NoiseVar | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        return _stagger(super().forward_soft(soft_bits, dtype=dtype))


class OQPSKDemodulator(SoftReceiver):
    """Takes I from the even samples and Q from the odd ones (see :class:`OQPSKModulator`).

    Shape:
        samples [..., 2 N], noise_var (per sample) broadcastable to it -> llr [..., 2 N].
    Raises:
        ValueError: the number of samples is odd; else as :class:`~gr_softmod.modem.demapper.Demodulator`.
    """

    bits_per_symbol = 2

    def __init__(self, method: str = "exact", **options: Any) -> None:
        super().__init__(method, **options)
        self.rail = BPSKDemodulator(method)

    def forward(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        samples = check_symbols(symbols)
        if samples.shape[-1] % 2:
            raise ValueError(f"{samples.shape[-1]} samples are not two for each OQPSK symbol")
        noise = check_noise_var(noise_var, samples)
        noise = noise if noise.shape[0] == 1 else noise.reshape(samples.shape)
        rails = torch.stack((samples[..., 0::2].real, samples[..., 1::2].imag), -1).flatten(-2)
        # Each bit sees BPSK of energy 1/2, which is BPSK of energy 1 in twice the noise.
        llr: Tensor = self.rail(math.sqrt(2) * torch.complex(rails, torch.zeros_like(rails)), 2 * noise, priors)
        return llr


def _stagger(symbols: Tensor) -> Tensor:
    zero = torch.zeros_like(symbols.real)
    return torch.stack((torch.complex(symbols.real, zero), torch.complex(zero, symbols.imag)), -1).flatten(-2)
