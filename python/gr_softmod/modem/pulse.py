# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse shaping and matched filtering: symbols to samples and back, aligned, with gradients to signal and taps.

The matched filter is the adjoint of the shaper, so no delay is ever counted by hand::

    shaper = PulseShaper(root_raised_cosine(8, rolloff=0.25), 8)
    link = nn.Sequential(shaper, channel, shaper.matched_filter())
    link(symbols)[..., n]   # is symbol n

Taps have unit energy. Symbols of unit energy therefore stay so behind the matched filter, and white noise of
``noise_var`` per sample before it is white noise of the same ``noise_var`` per symbol behind it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "MatchedFilter",
    "PulseShaper",
    "convolve",
    "downsample",
    "gaussian",
    "raised_cosine",
    "rectangular",
    "root_raised_cosine",
    "upsample",
]


def root_raised_cosine(samples_per_symbol: int, rolloff: float | Tensor, span: int = 16) -> Tensor:
    """Unit-energy root-raised-cosine taps.

    Computed as ``(1-b) sinc((1-b)t) + b [sinc(bt+1/4) cos(pi(t+1/4)) + sinc(bt-1/4) cos(pi(t-1/4))]``, t in symbols,
    b the roll-off: the textbook quotient (Proakis, "Digital Communications") split into partial fractions, which has
    no singular points and loses no digits near them.

    Args:
        samples_per_symbol: at least 1.
        rolloff: in [0, 1]; a tensor gets gradients.
        span: length in symbols; there are ``span * samples_per_symbol + 1`` taps.
    Returns:
        Taps [span * samples_per_symbol + 1] float64.
    Raises:
        ValueError: an argument is out of range.
    """
    t, b = _times(samples_per_symbol, span), _rolloff(rolloff)
    side = torch.sinc(b * t + 0.25) * torch.cos(torch.pi * (t + 0.25))
    return _unit_energy((1 - b) * torch.sinc((1 - b) * t) + b * (side + side.flip(0)))


def raised_cosine(samples_per_symbol: int, rolloff: float | Tensor, span: int = 16) -> Tensor:
    """Unit-energy raised-cosine taps: a Nyquist pulse on its own, to be sampled with no receive filter.

    ``sinc(t) cos(pi b t) / (1 - (2 b t)^2)``, computed as ``pi/4 sinc(t) [sinc(bt+1/2) + sinc(bt-1/2)]``, which has no
    singular points. Arguments, result and errors as :func:`root_raised_cosine`.
    """
    t, b = _times(samples_per_symbol, span), _rolloff(rolloff)
    return _unit_energy(torch.sinc(t) * (torch.sinc(b * t + 0.5) + torch.sinc(b * t - 0.5)))


def gaussian(samples_per_symbol: int, bt: float | Tensor, span: int = 4) -> Tensor:
    """Unit-energy Gaussian taps of 3 dB bandwidth times symbol time ``bt``: ``exp(-2 (pi bt t)^2 / ln 2)``.

    Result and errors as :func:`root_raised_cosine`; ``bt`` is positive. Centred on the middle tap (GNU Radio 3.10's
    ``firdes.gaussian`` centres the same curve half a sample earlier when the number of taps is odd).
    """
    width = torch.as_tensor(bt, dtype=torch.float64)
    if not (torch.isfinite(width) & (width > 0)):
        raise ValueError(f"bt is {bt}; a bandwidth-time product is positive and finite")
    t = _times(samples_per_symbol, span)
    return _unit_energy(torch.exp(-2.0 * (torch.pi * width * t) ** 2 / math.log(2.0)))


def rectangular(samples_per_symbol: int) -> Tensor:
    """Unit-energy rectangle of one symbol [samples_per_symbol] float64."""
    _check_count("samples_per_symbol", samples_per_symbol)
    return _unit_energy(torch.ones(samples_per_symbol, dtype=torch.float64))


class PulseShaper(nn.Module):
    """Symbols to samples: upsampling and a FIR filter in one polyphase convolution.

    ``samples[k] = sum_n symbols[n] taps[k - n * samples_per_symbol]``. Nothing is cut off: symbol n occupies samples
    ``n * samples_per_symbol`` to ``n * samples_per_symbol + L - 1`` and peaks at ``n * samples_per_symbol + delay``
    for symmetric taps.

    Args:
        taps: [L] real or complex, any scale; used at unit energy. A Parameter is shared, not copied.
        samples_per_symbol: at least 1.
        trainable: make the taps a parameter. The unit-energy constraint stays in the graph.
    Shape:
        symbols [..., N] complex -> samples [..., (N - 1) * samples_per_symbol + L] of the same dtype.
    Raises:
        ValueError: the taps are not a vector with energy, the input is not complex or is empty.
    """

    taps: Tensor

    def __init__(self, taps: Tensor, samples_per_symbol: int, *, trainable: bool = False) -> None:
        super().__init__()
        self.samples_per_symbol = _check_count("samples_per_symbol", samples_per_symbol)
        _hold_taps(self, taps, trainable)

    @property
    def delay(self) -> float:
        """Where the middle of symbol 0's pulse lies, in samples."""
        return (self.taps.shape[0] - 1) / 2

    def matched_filter(self) -> MatchedFilter:
        """The matched filter of this pulse; trainable taps are shared, so transmitter and receiver move together."""
        return MatchedFilter(self.taps, self.samples_per_symbol)

    def forward(self, symbols: Tensor) -> Tensor:
        signal = _signal(symbols)
        taps, step = _unit_energy(self.taps), self.samples_per_symbol
        branches = -(-taps.shape[0] // step)
        # Row p of the polyphase matrix holds taps p, p + step, ...; conv1d correlates, hence the flip.
        polyphase = F.pad(taps, (0, branches * step - taps.shape[0])).reshape(branches, step).flip(0).T
        phases = _correlate(signal, polyphase, padding=branches - 1)
        samples = phases.transpose(-1, -2).reshape(signal.shape[0], -1)
        return samples[:, : (signal.shape[-1] - 1) * step + taps.shape[0]].reshape(*symbols.shape[:-1], -1)

    def extra_repr(self) -> str:
        return f"{self.taps.shape[0]} taps, samples_per_symbol={self.samples_per_symbol}"


class MatchedFilter(nn.Module):
    """Samples to symbols: correlation with the pulse at every symbol instant, the adjoint of :class:`PulseShaper`.

    ``symbols[n] = sum_k conj(taps[k]) samples[n * samples_per_symbol + k]``: output n is symbol n, whatever the length
    of the filter. A receive filter of another length than the transmit pulse is lined up on the pulse's middle when
    ``pulse_length`` says how many taps the pulse has: ``MatchedFilter(torch.ones(1), 8, pulse_length=129)`` samples a
    raised-cosine signal at its peaks.

    Args:
        taps: [L] real or complex of the pulse (not reversed, not conjugated), any scale; used at unit energy.
        samples_per_symbol: at least 1.
        pulse_length: taps of the transmit pulse where they are not L in number; must differ from L by an even number.
        trainable: make the taps a parameter.
    Shape:
        samples [..., K] complex -> symbols [..., (K - pulse_length) // samples_per_symbol + 1] of the same dtype.
        A channel that lengthens its signal by less than a symbol adds no symbol.
    Raises:
        ValueError: taps as for PulseShaper; the lengths differ by an odd number; fewer samples than one pulse.
    """

    taps: Tensor

    def __init__(
        self, taps: Tensor, samples_per_symbol: int, *, pulse_length: int | None = None, trainable: bool = False
    ) -> None:
        super().__init__()
        self.samples_per_symbol = _check_count("samples_per_symbol", samples_per_symbol)
        _hold_taps(self, taps, trainable)
        length = self.taps.shape[0]
        self.pulse_length = length if pulse_length is None else _check_count("pulse_length", pulse_length)
        if (self.pulse_length - length) % 2:
            raise ValueError(
                f"{length} taps cannot be centred on a pulse of {self.pulse_length} taps: the lengths must differ by "
                "an even number of samples"
            )

    def forward(self, samples: Tensor) -> Tensor:
        signal = _signal(samples)
        if signal.shape[-1] < self.pulse_length:
            raise ValueError(f"{signal.shape[-1]} samples are fewer than one pulse of {self.pulse_length} taps")
        lead = (self.taps.shape[0] - self.pulse_length) // 2  # samples of zeros before the first (negative: cut off)
        signal = F.pad(signal, (lead, lead))
        symbols = _correlate(signal, _unit_energy(self.taps).conj()[None], stride=self.samples_per_symbol)
        return symbols.reshape(*samples.shape[:-1], -1)

    def extra_repr(self) -> str:
        return f"{self.taps.shape[0]} taps, samples_per_symbol={self.samples_per_symbol}"


def upsample(signal: Tensor, factor: int) -> Tensor:
    """Insert ``factor - 1`` zeros after every sample: [..., N] -> [..., N * factor]."""
    _check_count("factor", factor)
    return F.pad(signal[..., None], (0, factor - 1)).flatten(-2)


def downsample(signal: Tensor, factor: int, *, offset: int = 0) -> Tensor:
    """Keep every ``factor``-th sample from ``offset`` on: [..., N] -> [..., ceil((N - offset) / factor)]."""
    _check_count("factor", factor)
    if offset < 0:
        raise ValueError(f"offset is {offset}; it must not be negative")
    return signal[..., offset::factor]


def convolve(signal: Tensor, taps: Tensor) -> Tensor:
    """Full convolution of complex ``signal`` [..., N] with real or complex ``taps`` [L] -> [..., N + L - 1]."""
    flat = _signal(signal)
    return _correlate(flat, taps.flip(0)[None], padding=taps.shape[0] - 1).reshape(*signal.shape[:-1], -1)


def _correlate(signal: Tensor, rows: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Correlate complex [B, N] with each of ``rows`` [R, K] (not conjugated) -> [B, R, M]; autocast does not reach it.

    Real rows filter the real and the imaginary part as two signals of one real convolution; complex ones take two.
    """
    if rows.is_complex():
        real = _correlate(signal, rows.real, stride=stride, padding=padding)
        return real + 1j * _correlate(signal, rows.imag, stride=stride, padding=padding)
    parts = torch.view_as_real(signal).movedim(-1, 0).reshape(-1, 1, signal.shape[-1])
    with torch.autocast(signal.device.type, enabled=False):
        out = F.conv1d(parts, rows.to(parts.dtype)[:, None], stride=stride, padding=padding)
    real, imag = out.reshape(2, signal.shape[0], *out.shape[1:])
    return torch.complex(real, imag)


def _signal(signal: Tensor) -> Tensor:
    """Checked and flattened to [B, N]."""
    if not signal.is_complex():
        raise ValueError(f"the signal is {signal.dtype}; it must be complex")
    if signal.ndim < 1 or signal.shape[-1] == 0:
        raise ValueError(f"the signal has shape {tuple(signal.shape)}; its last dimension must hold samples")
    return signal.reshape(-1, signal.shape[-1]).resolve_conj()


def _hold_taps(module: nn.Module, taps: Tensor, trainable: bool) -> None:
    values = torch.as_tensor(taps)
    if not (values.is_floating_point() or values.is_complex()):
        values = values.to(torch.get_default_dtype())
    if values.ndim != 1 or not torch.isfinite(values).all() or not values.abs().sum() > 0:
        raise ValueError(f"taps of shape {tuple(values.shape)} must be a vector of finite values, not all zero")
    if isinstance(values, nn.Parameter):
        module.taps = values
    elif trainable:
        module.taps = nn.Parameter(values.detach().clone())
    else:
        module.register_buffer("taps", values)


def _unit_energy(taps: Tensor) -> Tensor:
    return taps / torch.linalg.vector_norm(taps)


def _times(samples_per_symbol: int, span: int) -> Tensor:
    """Tap times in symbols, 0 in the middle."""
    _check_count("samples_per_symbol", samples_per_symbol)
    _check_count("span", span)
    count = span * samples_per_symbol
    return (torch.arange(count + 1, dtype=torch.float64) - count / 2) / samples_per_symbol


def _rolloff(rolloff: float | Tensor) -> Tensor:
    value = torch.as_tensor(rolloff, dtype=torch.float64)
    if value.ndim or not 0 <= float(value.detach()) <= 1:
        raise ValueError(f"rolloff is {rolloff}; it must lie in [0, 1]")
    return value


def _check_count(name: str, value: int) -> int:
    if int(value) != value or value < 1:
        raise ValueError(f"{name} is {value}; it must be a whole number of at least 1")
    return int(value)
