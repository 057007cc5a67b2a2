# SPDX-License-Identifier: GPL-3.0-or-later
"""Power spectra and adjacent channel leakage as differentiable functions of the signal."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["aclr_db", "welch"]


def welch(signal: Tensor, *, segment: int = 256, overlap: float = 0.5) -> tuple[Tensor, Tensor]:
    """Power spectral density by averaging Hann-windowed periodograms.

    Args:
        signal: [..., N] complex, N >= segment.
        segment: samples in a periodogram, which is the number of frequencies.
        overlap: share of a segment in common with the next, in [0, 1).
    Returns:
        frequencies [segment], ascending from -0.5, in cycles per sample, and density [..., segment] in power per
        cycle/sample: its mean over frequency estimates ``E|x|^2``. Divide by the sample rate for power per hertz.
    Raises:
        ValueError: the signal is not complex or shorter than a segment, or an argument is out of range.
    Source:
        Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967.
    """
    if not signal.is_complex():
        raise ValueError(f"the signal is {signal.dtype}; it must be complex")
    if not 1 <= segment <= signal.shape[-1]:
        raise ValueError(f"segment is {segment}; it must lie between 1 and the signal's {signal.shape[-1]} samples")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; it must lie in [0, 1)")
    step = segment - int(segment * overlap)
    window = torch.hann_window(segment, dtype=signal.real.dtype, device=signal.device)
    spectra = torch.fft.fft(signal.unfold(-1, segment, step) * window)
    density = (spectra.real**2 + spectra.imag**2).mean(-2) / (window**2).sum()
    frequencies = torch.fft.fftfreq(segment, dtype=signal.real.dtype, device=signal.device)
    return torch.fft.fftshift(frequencies), torch.fft.fftshift(density, dim=-1)


def aclr_db(signal: Tensor, *, bandwidth: float, spacing: float, segment: int = 1024) -> Tensor:
    """Adjacent channel leakage ratio: power in the channel over power in its lower and its upper neighbour, in dB.

    Larger is better; 3GPP TS 38.104 clause 6.6.3 has the same sense. The channel is centred on frequency 0.

    Args:
        signal: [..., N] complex.
        bandwidth: width of each channel over which power is counted, in cycles per sample.
        spacing: distance between the centres of neighbouring channels, in cycles per sample.
        segment: length of a periodogram of :func:`welch`; bins that a band's edge cuts count in part.
    Returns:
        [..., 2] float: lower, upper.
    Raises:
        ValueError: the bands are empty or reach beyond half the sample rate.
    """
    if not bandwidth > 0 or abs(spacing) + bandwidth / 2 > 0.5:
        raise ValueError(
            f"bandwidth {bandwidth} and spacing {spacing} cycles per sample: bands must be wider than 0 and reach no "
            "further than 0.5"
        )
    frequencies, density = welch(signal, segment=segment)
    centres = torch.tensor([0.0, -spacing, spacing], dtype=density.dtype, device=density.device)
    reach = (bandwidth + 1 / segment) / 2 - (frequencies - centres[:, None]).abs()  # how far a bin lies inside
    inside = (reach * segment).clamp(0, min(1.0, bandwidth * segment))
    power = density @ inside.T
    return 10 * torch.log10(power[..., :1] / power[..., 1:])
