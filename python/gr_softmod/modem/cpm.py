# SPDX-License-Identifier: GPL-3.0-or-later
"""Continuous-phase modulation: MSK, GMSK and any other CPM, soft in both directions.

    s(t) = exp(j 2 pi h sum_n a[n] q(t - n T)),   q rises from 0 to 1/2 within ``span`` symbols

Source: Anderson, Aulin, Sundberg, "Digital Phase Modulation", 1986, chapters 2 and 7.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gr_softmod.constellation_points import log2_of_order, pam_levels
from gr_softmod.modem.arguments import NoiseVar, check_bits, check_noise_var, check_priors, check_symbols
from gr_softmod.modem.expectation import expectation
from gr_softmod.modem.mapper import complex_dtype
from gr_softmod.modem.soft_bits import SoftReceiver, harden
from gr_softmod.modem.soft_demap import LIMIT, add_priors, llr_of_metric
from gr_softmod.modem.trellis import input_metrics


class CPM(nn.Module):
    """The waveform itself: what :class:`CPMModulator` and :class:`CPMDemodulator` share.

    Args:
        order: M, a power of two to 16; amplitudes +-1, +-3, .. Gray labelled, bit 0 positive.
        index: modulation index h, as a fraction: 0.5, "2/3", Fraction(1, 4) .. with a denominator up to 16.
        pulse: of the frequency: "rec" (rectangle), "rc" (raised cosine), or "gaussian".
        span: length of the pulse in symbols; 1 is full response.
        bt: bandwidth times symbol time of "gaussian".
        samples_per_symbol: taken at the middles of as many parts of a symbol.
    Raises:
        ValueError: an argument is out of range, or there are more than 4096 states.
    """

    turns: Tensor  #: exp(j 2 pi h a q(t)) [span, samples_per_symbol, M]: how a symbol turns the phase, by label
    settled: Tensor  #: exp(j pi h a) [M]: the same once its pulse is over
    waveform: Tensor  #: the samples of a branch [S, M, samples_per_symbol], by state and label
    next_state: Tensor  #: [S, M]

    def __init__(
        self,
        order: int = 2,
        index: float | str | Fraction = 0.5,
        *,
        pulse: str = "rec",
        span: int = 1,
        bt: float = 0.3,
        samples_per_symbol: int = 8,
    ) -> None:
        super().__init__()
        self.bits_per_symbol = log2_of_order(order, "CPM", largest=16)
        self.order, self.span, self.samples_per_symbol = order, span, samples_per_symbol
        for name, value in (("span", span), ("samples_per_symbol", samples_per_symbol)):
            if value != int(value) or value < 1:
                raise ValueError(f"{name} is {value}; it must be a whole number of at least 1")
        h = Fraction(index).limit_denominator(16)
        if not (h > 0 and math.isclose(h, Fraction(index), rel_tol=1e-6)):
            raise ValueError(f"modulation index is {index}; it must be a positive fraction with a denominator up to 16")
        phases = 2 * h.denominator
        if phases * order ** (span - 1) > 4096:
            raise ValueError(f"{phases} phases and a span of {span} symbols make more than 4096 states")
        amplitude = pam_levels(self.bits_per_symbol)
        time = (np.arange(span * samples_per_symbol) + 0.5) / samples_per_symbol
        phase = phase_pulse(time, pulse, span, bt).reshape(span, samples_per_symbol)
        turns = np.exp(2j * math.pi * float(h) * phase[..., None] * amplitude)
        # A state: the settled phase in steps of pi / denominator, then the labels of the last span - 1 symbols.
        memory = np.indices((phases,) + (order,) * span).reshape(span + 1, -1)  # phase, newest, .., oldest label
        settled, labels = memory[0], memory[1:]
        waveform = np.exp(1j * math.pi / h.denominator * settled)[:, None]
        for turn, label in zip(turns, labels, strict=True):
            waveform = waveform * turn[:, label].T
        oldest = amplitude[labels[-1]].astype(np.int64)
        target = np.ravel_multi_index(
            ((settled + h.numerator * oldest) % phases, *labels[:-1]), (phases,) + (order,) * (span - 1)
        )
        # Branches are numbered phase, newest label, older ones; a state has no newest label: it becomes the last index.
        self._hold("waveform", _newest_last(waveform, phases, order, span))
        self._hold("next_state", _newest_last(target, phases, order, span))
        self._hold("turns", turns)
        self._hold("settled", np.exp(1j * math.pi * float(h) * amplitude))

    def _hold(self, name: str, values: NDArray) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)), persistent=False)

    def extra_repr(self) -> str:
        return f"order={self.order}, span={self.span}, samples_per_symbol={self.samples_per_symbol}"

    def expected(self, probabilities: Tensor) -> Tensor:
        """Expected samples complex128 [B, (N + span - 1) samples_per_symbol] of soft bits float64 [B, N, m].

        Symbols are independent, so the expectation of the product of their turns is the product of the expectations.
        """
        edge = self.span - 1
        bits = nn.functional.pad(probabilities, (0, 0, edge, edge)).movedim(-1, 0)[
            :, None
        ]  # [m, 1, B, edge + N + edge]
        turns = expectation(self.turns.flatten(0, 1), bits).unflatten(0, (self.span, self.samples_per_symbol))
        past = expectation(self.settled, bits[:, 0]).cumprod(-1)
        intervals = probabilities.shape[1] + edge
        samples = torch.cat((torch.ones_like(past[:, :1]), past[:, : intervals - 1]), -1)
        for lag, turn in enumerate(turns):
            samples = samples * turn[..., edge - lag : edge - lag + intervals]
        return samples.movedim(0, -1).flatten(1)


class CPMModulator(nn.Module):
    """Bits to the samples of a CPM signal of constant magnitude 1.

    Label 0 is sent, unasked, before the first symbol (span - 1 times, so that the phase is known) and after the last
    (so that its pulse is complete). The first phase is 0.

    Args:
        waveform: keyword arguments of :class:`CPM`, or one.
        straight_through: as for :class:`~gr_softmod.modem.mapper.Modulator`.
    Shape:
        bits [..., N * m] -> samples [..., (N + span - 1) * samples_per_symbol].
    """

    def __init__(self, waveform: CPM | None = None, *, straight_through: bool = False, **options: Any) -> None:
        super().__init__()
        self.cpm = waveform if waveform is not None else CPM(**options)
        self.straight_through = straight_through

    @property
    def bits_per_symbol(self) -> int:
        return self.cpm.bits_per_symbol

    def forward(self, bits: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Samples of hard bits, complex64 (complex128 for float64 bits or where ``dtype`` says so)."""
        return self._samples(check_bits(bits, self.bits_per_symbol, soft=False), complex_dtype(bits, dtype))

    def forward_soft(self, soft_bits: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
        """Expected samples under independent bits, on 0 and 1 exactly ``forward``; they fade with uncertain bits."""
        bits = check_bits(soft_bits, self.bits_per_symbol, soft=True)
        return self._samples(harden(bits) if self.straight_through else bits, complex_dtype(soft_bits, dtype))

    def _samples(self, bits: Tensor, dtype: torch.dtype) -> Tensor:
        # Double precision inside: the phase is a product over all symbols so far.
        samples = self.cpm.expected(bits.reshape(-1, *bits.shape[-2:]).to(torch.float64))
        return samples.reshape(*bits.shape[:-2], -1).to(dtype)


class CPMDemodulator(SoftReceiver):
    """LLRs of the bits of a CPM signal, by the forward-backward algorithm over all its states.

    Args:
        waveform: keyword arguments of :class:`CPM`, or one.
        method: "exact" or "maxlog".
        options: of :class:`CPM` and :class:`~gr_softmod.modem.soft_bits.SoftReceiver`.
    Shape:
        samples [..., (N + span - 1) * samples_per_symbol] complex, noise_var (of a sample) a number or broadcastable to
        them, priors [..., N * m] -> llr [..., N * m]. Computed in float64, given in the precision of the samples.
    Raises:
        ValueError: the samples are no whole number of symbols; else as
            :class:`~gr_softmod.modem.demapper.Demodulator`.
    """

    def __init__(
        self,
        waveform: CPM | None = None,
        method: str = "exact",
        *,
        temperature: float = 1.0,
        straight_through: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(method, temperature=temperature, straight_through=straight_through)
        self.cpm = waveform if waveform is not None else CPM(**options)

    @property
    def bits_per_symbol(self) -> int:
        return self.cpm.bits_per_symbol

    def forward(self, symbols: Tensor, noise_var: NoiseVar, priors: Tensor | None = None) -> Tensor:
        samples = check_symbols(symbols)
        noise = check_noise_var(noise_var, samples).to(torch.float64)
        step, m, edge = self.cpm.samples_per_symbol, self.bits_per_symbol, self.cpm.span - 1
        intervals = samples.shape[-1] // step
        if samples.shape[-1] % step or intervals <= edge:
            raise ValueError(
                f"{samples.shape[-1]} samples are not those of whole symbols: {step} for each and for {edge} more"
            )
        scaled = torch.view_as_real(samples.reshape(-1)).to(torch.float64) * (2 / noise)[:, None]
        observed = torch.view_as_complex(scaled.clamp(-LIMIT, LIMIT)).reshape(-1, intervals, step)
        states, inputs, _ = self.cpm.waveform.shape
        branch = (observed @ self.cpm.waveform.conj().reshape(-1, step).T).real.unflatten(-1, (states, inputs))
        like_symbols = samples[..., : intervals - edge]
        flat = check_priors(priors, like_symbols, m)
        if flat is not None:
            cost = add_priors(torch.zeros_like(branch[0, 0, 0])[:, None], flat.to(torch.float64), range(m))
            cost = cost.T.reshape(len(branch), intervals - edge, 1, inputs)
            branch = branch + nn.functional.pad(cost, (0, 0, 0, 0, 0, edge))
        known = torch.zeros_like(branch[:1])
        known[:, intervals - edge :, :, 1:] = -LIMIT * LIMIT**0.5
        metric = input_metrics(branch + known, self.cpm.next_state, 0, self.method)[:, : intervals - edge]
        llr = torch.stack(llr_of_metric(metric.reshape(-1, inputs).T, m, self.method), -1)
        return llr.reshape(*samples.shape[:-1], -1).clamp(-LIMIT, LIMIT).to(samples.real.dtype)


class MSKModulator(CPMModulator):
    def __init__(self, samples_per_symbol: int = 8, **options: Any) -> None:
        super().__init__(CPM(samples_per_symbol=samples_per_symbol), **options)


class MSKDemodulator(CPMDemodulator):
    def __init__(self, method: str = "exact", samples_per_symbol: int = 8, **options: Any) -> None:
        super().__init__(CPM(samples_per_symbol=samples_per_symbol), method, **options)


class GMSKModulator(CPMModulator):
    """BT 0.3 and a pulse of 3 symbols unless said otherwise (3GPP TS 45.004 gives BT and h; the span is a choice)."""

    def __init__(self, samples_per_symbol: int = 8, *, bt: float = 0.3, span: int = 3, **options: Any) -> None:
        super().__init__(_gmsk(samples_per_symbol, bt, span), **options)


class GMSKDemodulator(CPMDemodulator):
    def __init__(
        self, method: str = "exact", samples_per_symbol: int = 8, *, bt: float = 0.3, span: int = 3, **options: Any
    ) -> None:
        super().__init__(_gmsk(samples_per_symbol, bt, span), method, **options)


def phase_pulse(time: NDArray[np.float64], pulse: str, span: int, bt: float) -> NDArray[np.float64]:
    """q(t), t in symbols: the integral of the frequency pulse, 0 at 0 and 1/2 at ``span``."""
    if pulse == "rec":
        return time / (2 * span)
    if pulse == "rc":
        return time / (2 * span) - np.sin(2 * math.pi * time / span) / (4 * math.pi)
    if pulse != "gaussian":
        raise ValueError(f"pulse is {pulse!r}; it must be rec, rc or gaussian")
    if not (math.isfinite(bt) and bt > 0):
        raise ValueError(f"bt is {bt}; a bandwidth-time product is positive and finite")
    slope = 2 * math.pi * bt / math.sqrt(math.log(2))

    def risen(t: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Integral of a rectangle of one symbol behind a Gaussian filter, cut off at the ends of the span."""
        edges = slope * (np.asarray(t)[..., None] - span / 2 + np.array([0.5, -0.5]))
        cdf = 0.5 * (1 + np.vectorize(math.erf)(edges / math.sqrt(2)))
        ramps = edges * cdf + np.exp(-(edges**2) / 2) / math.sqrt(2 * math.pi)
        return (ramps[..., 0] - ramps[..., 1]) / slope

    return 0.5 * (risen(time) - risen(0.0)) / (risen(float(span)) - risen(0.0))


def _newest_last(branches: NDArray, phases: int, order: int, span: int) -> NDArray:
    """[phases * M^span, ...] numbered phase, newest label, older ones -> [states, M, ...]."""
    shaped = branches.reshape(phases, order, order ** (span - 1), *branches.shape[1:])
    return np.moveaxis(shaped, 1, 2).reshape(-1, order, *branches.shape[1:])


def _gmsk(samples_per_symbol: int, bt: float, span: int) -> CPM:
    return CPM(pulse="gaussian", span=span, bt=bt, samples_per_symbol=samples_per_symbol)
