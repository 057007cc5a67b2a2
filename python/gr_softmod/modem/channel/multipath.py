# SPDX-License-Identifier: GPL-3.0-or-later
"""Multipath propagation: a tapped delay line whose taps fade, with the named profiles of the standards."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check, check_complex, hold
from gr_softmod.modem.channel.fading import hold_doppler, line_of_sight, scattered
from gr_softmod.modem.channel.offsets import delay_ramp

#: Named profiles: (delays, powers in dB, Rician K of the first path in dB or None, unit of the delays in seconds or
#: None where they are multiples of the delay spread one chooses).
#: TDL: 3GPP TR 38.901 tables 7.7.2-1 to 7.7.2-5 (the first path of D and E there as its two parts);
#: EPA, EVA, ETU: 3GPP TS 36.101 tables B.2.1-2 to B.2.1-4.
PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...], float | None, float | None]] = {
    "TDL-A": (
        (0, 0.3819, 0.4025, 0.5868, 0.4610, 0.5375, 0.6708, 0.5750, 0.7618, 1.5375, 1.8978, 2.2242, 2.1718, 2.4942,
         2.5119, 3.0582, 4.0810, 4.4579, 4.5695, 4.7966, 5.0066, 5.3043, 9.6586),
        (-13.4, 0, -2.2, -4, -6, -8.2, -9.9, -10.5, -7.5, -15.9, -6.6, -16.7, -12.4, -15.2, -10.8, -11.3, -12.7, -16.2,
         -18.3, -18.9, -16.6, -19.9, -29.7),
        None, None,
    ),
    "TDL-B": (
        (0, 0.1072, 0.2155, 0.2095, 0.2870, 0.2986, 0.3752, 0.5055, 0.3681, 0.3697, 0.5700, 0.5283, 1.1021, 1.2756,
         1.5474, 1.7842, 2.0169, 2.8294, 3.0219, 3.6187, 4.1067, 4.2790, 4.7834),
        (0, -2.2, -4, -3.2, -9.8, -1.2, -3.4, -5.2, -7.6, -3, -8.9, -9, -4.8, -5.7, -7.5, -1.9, -7.6, -12.2, -9.8,
         -11.4, -14.9, -9.2, -11.3),
        None, None,
    ),
    "TDL-C": (
        (0, 0.2099, 0.2219, 0.2329, 0.2176, 0.6366, 0.6448, 0.6560, 0.6584, 0.7935, 0.8213, 0.9336, 1.2285, 1.3083,
         2.1704, 2.7105, 4.2589, 4.6003, 5.4902, 5.6077, 6.3065, 6.6374, 7.0427, 8.6523),
        (-4.4, -1.2, -3.5, -5.2, -2.5, 0, -2.2, -3.9, -7.4, -7.1, -10.7, -11.1, -5.1, -6.8, -8.7, -13.2, -13.9, -13.9,
         -15.8, -17.1, -16, -15.7, -21.6, -22.8),
        None, None,
    ),
    "TDL-D": (
        (0, 0.035, 0.612, 1.363, 1.405, 1.804, 2.596, 1.775, 4.042, 7.937, 9.424, 9.708, 12.525),
        (10 * math.log10(10**-0.02 + 10**-1.35), -18.8, -21, -22.8, -17.9, -20.1, -21.9, -22.9, -27.8, -23.6, -24.8,
         -30, -27.7),
        13.3, None,
    ),
    "TDL-E": (
        (0, 0.5133, 0.5440, 0.5630, 0.5440, 0.7112, 1.9092, 1.9293, 1.9589, 2.6426, 3.7136, 5.4524, 12.0034, 20.6519),
        (10 * math.log10(10**-0.003 + 10**-2.203), -15.8, -18.1, -19.8, -22.9, -22.4, -18.6, -20.8, -22.6, -22.3,
         -25.6, -20.2, -29.8, -29.2),
        22.0, None,
    ),
    "EPA": ((0, 30, 70, 90, 110, 190, 410), (0, -1, -2, -3, -8, -17.2, -20.8), None, 1e-9),
    "EVA": (
        (0, 30, 150, 310, 370, 710, 1090, 1730, 2510), (0, -1.5, -1.4, -3.6, -0.6, -9.1, -7, -12, -16.9), None, 1e-9,
    ),
    "ETU": ((0, 50, 120, 200, 230, 500, 1600, 2300, 5000), (-1, -1, -1, 0, 0, 0, -3, -5, -7), None, 1e-9),
}  # fmt: skip


class Multipath(nn.Module):
    """A tapped delay line: ``y[n] = sum_p h_p[n] x(n - delays[p])``, ``E sum_p |h_p|^2 = 1``.

    Paths fade independently, each as :class:`RicianFading` (the first) or :class:`RayleighFading` (the others).
    Delays need not be whole: the signal is interpolated as in :class:`TimingOffset`.

    Args:
        delays: [P] in samples, not negative.
        powers: [P] mean powers, any scale (normalised to sum 1). Tensors or parameters get gradients.
        doppler: largest Doppler shift in cycles per sample; None keeps the paths still over a frame.
        k_factor: line-of-sight over scattered power (linear) of the first path.
        keep_tail: lengthen the output by ``ceil(max(delays))`` instead of cutting the last echoes off.
        los_angle, sinusoids: as for RicianFading.
    Shape:
        signal [..., N] complex, gains [..., P, 1 or N'] (from :meth:`draw`) -> [..., N'] complex.
    Raises:
        ValueError: an argument is out of range, or the delays exceed the frame; the signal is not complex.
    """

    delays: Tensor
    powers: Tensor
    k_factor: Tensor
    doppler: Tensor | None

    def __init__(
        self,
        delays: list[float] | Tensor,
        powers: list[float] | Tensor,
        *,
        doppler: float | Tensor | None = None,
        k_factor: float | Tensor = 0.0,
        keep_tail: bool = False,
        los_angle: float = torch.pi / 4,
        sinusoids: int = 32,
    ) -> None:
        super().__init__()
        hold(self, "delays", delays, lambda d: d >= 0, "delays must be finite and not negative")
        hold(self, "powers", powers, lambda p: p >= 0, "powers must be finite and not negative")
        if self.delays.ndim != 1 or self.delays.shape != self.powers.shape or not self.powers.detach().sum() > 0:
            raise ValueError(
                f"delays {tuple(self.delays.shape)} and powers {tuple(self.powers.shape)} must be vectors of one "
                "length with some power"
            )
        hold(self, "k_factor", k_factor, lambda k: k >= 0, "it must be finite and not negative")
        hold_doppler(self, doppler, sinusoids)
        self.keep_tail, self.los_angle, self.sinusoids = keep_tail, float(los_angle), sinusoids

    @classmethod
    def from_profile(
        cls,
        name: str,
        *,
        sample_rate_hz: float,
        delay_spread_s: float | None = None,
        doppler_hz: float | None = None,
        keep_tail: bool = False,
    ) -> Multipath:
        """A named profile: TDL-A to TDL-E (with the RMS delay spread wanted), EPA, EVA, ETU (which have their own).

        Raises:
            ValueError: the name is unknown, or ``delay_spread_s`` is missing or superfluous.
        """
        if name not in PROFILES:
            raise ValueError(f"profile is {name!r}; known are {', '.join(PROFILES)}")
        delays, powers_db, k_db, unit = PROFILES[name]
        if (unit is None) != (delay_spread_s is not None):
            need = "needs a delay_spread_s" if unit is None else "has its own delays: delay_spread_s cannot be set"
            raise ValueError(f"profile {name} {need}")
        seconds = unit if unit is not None else delay_spread_s
        assert seconds is not None
        if not sample_rate_hz > 0 or not seconds >= 0:
            raise ValueError(f"sample rate {sample_rate_hz} Hz and delay spread {seconds} s must be positive")
        return cls(
            [delay * seconds * sample_rate_hz for delay in delays],
            [10 ** (power / 10) for power in powers_db],
            doppler=None if doppler_hz is None else doppler_hz / sample_rate_hz,
            k_factor=0.0 if k_db is None else 10 ** (k_db / 10),
            keep_tail=keep_tail,
        )

    @classmethod
    def exponential(
        cls, paths: int, decay: float, *, doppler: float | Tensor | None = None, keep_tail: bool = False
    ) -> Multipath:
        """Paths one sample apart with powers ``exp(-p / decay)``; ``decay`` in samples is positive."""
        if paths < 1 or not decay > 0:
            raise ValueError(f"paths is {paths} and decay {decay}; both must be positive")
        p = torch.arange(paths, dtype=torch.float64)
        return cls(p, torch.exp(-p / decay), doppler=doppler, keep_tail=keep_tail)

    def output_length(self, count: int) -> int:
        """Samples out for ``count`` samples in."""
        return count + (math.ceil(float(self.delays.detach().max())) if self.keep_tail else 0)

    def draw(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Gains of the paths for ``signal`` [..., N]: [..., P, 1], or [..., P, N'] with Doppler."""
        check_complex(signal)
        lead, length = signal.shape[:-1], self.output_length(signal.shape[-1])
        shape = torch.Size((*lead, self.delays.shape[0], length))
        gains = scattered(shape, self.doppler, self.sinusoids, signal, generator)
        line = line_of_sight(torch.Size((*lead, 1, length)), self.doppler, self.los_angle, signal, generator)
        k = self.k_factor.to(signal.real.dtype)
        first = (k / (k + 1)).sqrt() * line + (1 / (k + 1)).sqrt() * gains[..., :1, :]
        gains = torch.cat([first, gains[..., 1:, :]], dim=-2)
        return gains * (self.powers / self.powers.sum()).sqrt().to(signal.real.dtype)[:, None]

    def forward(
        self, signal: Tensor, gains: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        check_complex(signal)
        if gains is None:
            gains = self.draw(signal, generator=generator)
        count = signal.shape[-1]
        check("delays", self.delays, lambda d: d <= count, f"a frame of {count} samples can be delayed by no more")
        spectrum = torch.fft.fft(signal, n=2 * count)
        ramps = delay_ramp(self.delays[:, None], 2 * count).to(signal.dtype)
        if gains.shape[-1] == 1:  # still over the frame: the paths add up in the frequency domain
            received = torch.fft.ifft(spectrum * (gains * ramps).sum(-2))
            return received[..., : self.output_length(count)]
        echoes = torch.fft.ifft(spectrum[..., None, :] * ramps)[..., : gains.shape[-1]]
        return (gains * echoes).sum(-2)
