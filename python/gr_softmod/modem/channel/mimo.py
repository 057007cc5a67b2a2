# SPDX-License-Identifier: GPL-3.0-or-later
"""Flat fading between several antennas."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr_softmod.modem.channel.chain import check_complex, hold
from gr_softmod.modem.channel.fading import hold_doppler, scattered


class MIMOChannel(nn.Module):
    """``y = H x``: each receive antenna hears every stream through its own Rayleigh gain.

    Gains have unit variance, so with unit-energy streams each antenna receives a mean power of T; put
    ``AWGN(noise_var)`` behind it for noise of ``noise_var`` per antenna. Correlation is Kronecker's:
    ``E[h_rt conj(h_r't')] = receive_correlation[r, r'] transmit_correlation[t, t']``.

    Args:
        transmit, receive: numbers of antennas T and R.
        doppler: largest Doppler shift in cycles per sample; None keeps H still over a frame.
        transmit_correlation, receive_correlation: [T, T] and [R, R] positive definite with unit diagonal, or None.
        sinusoids: as for RicianFading.
    Shape:
        signal [..., T, N] complex, gains [..., R, T] or [..., R, T, N] (from :meth:`draw`) -> [..., R, N] complex.
    Raises:
        ValueError: an argument is out of range or of a wrong shape; the signal is not complex or has not T streams.
    Source:
        Kermoal et al., "A stochastic MIMO radio channel model with experimental validation", 2002 (correlation).
    """

    transmit_correlation: Tensor | None
    receive_correlation: Tensor | None
    doppler: Tensor | None

    def __init__(
        self,
        transmit: int,
        receive: int,
        *,
        doppler: float | Tensor | None = None,
        transmit_correlation: Tensor | None = None,
        receive_correlation: Tensor | None = None,
        sinusoids: int = 32,
    ) -> None:
        super().__init__()
        if transmit < 1 or receive < 1:
            raise ValueError(f"transmit is {transmit} and receive {receive}; both must be at least 1")
        self.transmit, self.receive, self.sinusoids = transmit, receive, sinusoids
        hold_doppler(self, doppler, sinusoids)
        _hold_correlation(self, "transmit_correlation", transmit_correlation, transmit)
        _hold_correlation(self, "receive_correlation", receive_correlation, receive)

    def draw(self, signal: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Gains for ``signal`` [..., T, N]: [..., R, T], or [..., R, T, N] with Doppler."""
        self._check(signal)
        shape = torch.Size((*signal.shape[:-2], self.receive, self.transmit, signal.shape[-1]))
        gains = scattered(shape, self.doppler, self.sinusoids, signal, generator)
        if self.receive_correlation is not None:
            root = torch.linalg.cholesky(self.receive_correlation).to(signal.dtype)
            gains = torch.einsum("rs,...stn->...rtn", root, gains)
        if self.transmit_correlation is not None:
            root = torch.linalg.cholesky(self.transmit_correlation).to(signal.dtype)
            gains = torch.einsum("tu,...run->...rtn", root, gains)
        return gains.squeeze(-1) if self.doppler is None else gains

    def forward(
        self, signal: Tensor, gains: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        self._check(signal)
        if gains is None:
            gains = self.draw(signal, generator=generator)
        if gains.ndim <= signal.ndim:
            return gains @ signal
        return torch.einsum("...rtn,...tn->...rn", gains, signal)

    def _check(self, signal: Tensor) -> None:
        check_complex(signal)
        if signal.ndim < 2 or signal.shape[-2] != self.transmit:
            raise ValueError(f"the signal has shape {tuple(signal.shape)}; it must be [..., {self.transmit}, N]")


def exponential_correlation(antennas: int, rho: complex | Tensor) -> Tensor:
    """Correlation ``rho^|i - j|`` between antennas i > j (conjugate above the diagonal) [antennas, antennas].

    Raises:
        ValueError: ``|rho|`` is not below 1.
    """
    value = torch.as_tensor(rho)
    if not float(value.detach().abs()) < 1:
        raise ValueError(f"rho is {rho}; its magnitude must be below 1")
    i = torch.arange(antennas, device=value.device)
    distance = i[:, None] - i
    below = value ** distance.abs()
    return torch.where(distance >= 0, below, below.conj()) if value.is_complex() else below


def _hold_correlation(module: nn.Module, name: str, value: Tensor | None, antennas: int) -> None:
    if value is None:
        module.register_buffer(name, None)
        return
    if value.shape != (antennas, antennas):
        raise ValueError(f"{name} has shape {tuple(value.shape)}; it must be [{antennas}, {antennas}]")
    hold(module, name, value)
    matrix = value.detach()
    unit = torch.allclose(matrix.diagonal().abs(), torch.ones(antennas, dtype=matrix.abs().dtype, device=matrix.device))
    if not unit or torch.linalg.cholesky_ex(matrix).info.item() or not torch.allclose(matrix, matrix.mH):
        raise ValueError(f"{name} must be Hermitian and positive definite with a diagonal of ones")
