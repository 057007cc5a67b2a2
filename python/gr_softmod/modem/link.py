# SPDX-License-Identifier: GPL-3.0-or-later
"""A link as the simulations see it: bits through modulator, channel and demodulator to LLRs."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from gr_softmod import theory
from gr_softmod.config import Config, ConfigError
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import noise_var_of_ebn0_db
from gr_softmod.modem import channel as impairments
from gr_softmod.modem.channel import Channel, RicianFading
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.differential import DPSKDemodulator, DPSKModulator
from gr_softmod.modem.mapper import Modulator

#: Differential schemes, by name: the order of the PSK.
DIFFERENTIAL = {"dbpsk": 2, "dqpsk": 4, "d8psk": 8}


class ModemLink(nn.Module):
    """Random bits -> modulator -> fading -> channel -> demodulator -> LLRs.

    Args:
        modulator: bits [B, n] -> symbols [B, N]; told ``noise_var`` as well where its ``forward`` takes it.
        demodulator: symbols [B, N] and noise_var -> LLRs [B, n].
        channel: symbols with ``noise_var=`` and ``generator=`` -> received symbols.
        fading: flat fading that the receiver knows and undoes; None for none.
        bits_per_symbol, code_rate: of Eb/N0: ``noise_var`` is that of Eb/N0 at unit symbol energy.
        bits_per_block: n, a multiple of ``bits_per_symbol``.
    Raises:
        ValueError: blocks do not hold whole symbols.
    """

    def __init__(
        self,
        modulator: nn.Module,
        demodulator: nn.Module,
        channel: nn.Module,
        *,
        bits_per_symbol: int,
        bits_per_block: int,
        fading: RicianFading | None = None,
        code_rate: float = 1.0,
    ) -> None:
        super().__init__()
        if bits_per_block < 1 or bits_per_block % bits_per_symbol:
            raise ValueError(
                f"bits_per_block is {bits_per_block}; it must be a multiple of {bits_per_symbol} bits a symbol"
            )
        self.modulator, self.demodulator, self.channel, self.fading = modulator, demodulator, channel, fading
        self._adapts = "noise_var" in inspect.signature(modulator.forward).parameters
        self.bits_per_symbol, self.bits_per_block, self.code_rate = bits_per_symbol, bits_per_block, code_rate

    def noise_var(self, ebn0_db: float) -> float:
        """E|n|^2 of the channel's noise for unit symbol energy."""
        return float(noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=self.bits_per_symbol, code_rate=self.code_rate))

    def transmit(self, bits: Tensor, noise_var: float, generator: torch.Generator | None = None) -> Tensor:
        """LLRs [B, n] of bits [B, n] sent once."""
        symbols = self.modulator(bits, noise_var) if self._adapts else self.modulator(bits)
        if self.fading is None:
            return self.demodulator(self.channel(symbols, noise_var=noise_var, generator=generator), noise_var)
        gains = self.fading.draw(symbols, generator=generator)
        received = self.channel(symbols * gains, noise_var=noise_var, generator=generator)
        return self.demodulator(received / gains, noise_var / gains.abs().square())

    def forward(self, batch_size: int, ebn0_db: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Bits and LLRs of ``batch_size`` random blocks, as :func:`~gr_softmod.modem.simulate.simulate` asks for."""
        shape = (batch_size, self.bits_per_block)
        bits = torch.randint(0, 2, shape, generator=generator, device=generator.device, dtype=torch.uint8)
        return bits, self.transmit(bits, self.noise_var(ebn0_db), generator)


class FadingConfig(Config):
    """Flat fading known to the receiver: Rayleigh, or Rician with ``k_factor`` > 0."""

    k_factor: float = Field(default=0.0, ge=0)
    doppler: float | None = Field(default=None, ge=0, le=0.5)


ChannelConfig = dict[str, dict[str, Any]]


class LinkConfig(Config):
    """What to build: see :func:`build_link`.

    ``constellation`` is a name of :class:`~gr_softmod.constellation.Constellation` or of :data:`DIFFERENTIAL`.
    ``channel`` names parts of :mod:`gr_softmod.modem.channel` in the order the signal meets them, with their
    arguments: ``{rapp: {saturation: 1.5}, phase_noise: {linewidth: 1.0e-4}, awgn: {}}``.
    """

    constellation: str = "qpsk"
    demapper: Literal["exact", "maxlog"] = "exact"
    channel: ChannelConfig = {"awgn": {}}
    fading: FadingConfig | None = None
    bits_per_block: int = Field(default=1536, ge=1)

    @field_validator("constellation")
    @classmethod
    def _known(cls, name: str) -> str:
        return name.lower() if name.lower() in DIFFERENTIAL else Constellation.from_name(name).name

    @field_validator("channel")
    @classmethod
    def _buildable(cls, channel: ChannelConfig) -> ChannelConfig:
        build_channel(channel)
        if "awgn" not in channel:
            raise ValueError("there must be an awgn in the channel")
        return channel


#: Fading is told to the receiver (``fading:``), MIMO has its own shapes.
_NO_PARTS = {"Channel", "MIMOChannel", "RayleighFading", "RicianFading"}


def build_channel(parts: Mapping[str, Mapping[str, Any]]) -> Channel:
    """The channel of a configuration, for example ``{"rapp": {"saturation": 1.5}, "awgn": {}}``.

    Raises:
        ValueError: there is no such part, or it takes no such argument or value.
    """
    exported = {_snake(name): getattr(impairments, name) for name in impairments.__all__ if name not in _NO_PARTS}
    known: dict[str, Any] = {name: kind for name, kind in exported.items() if inspect.isclass(kind)}
    built: list[nn.Module] = []
    for name, arguments in parts.items():
        if name not in known:
            raise ValueError(f"{name} is no part of a channel{_near(name, known)}")
        taken = inspect.signature(known[name]).parameters
        for argument in arguments or {}:
            if argument not in taken:
                raise ValueError(f"{name} has no argument {argument}{_near(argument, taken)}")
        try:
            built.append(known[name](**(arguments or {})))
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None
    return Channel(*built)


def build_modem(name: str, method: str) -> tuple[nn.Module, Any]:
    """Modulator and demodulator of a name that :class:`LinkConfig` takes."""
    if name in DIFFERENTIAL:
        return DPSKModulator(DIFFERENTIAL[name]), DPSKDemodulator(DIFFERENTIAL[name], method)
    constellation = Constellation.from_name(name)
    return Modulator(constellation), Demodulator(constellation, method)


def build_link(config: LinkConfig, *, code_rate: float = 1.0) -> ModemLink:
    """The link of a configuration.

    Raises:
        ConfigError: blocks do not hold whole symbols.
    """
    modulator, demodulator = build_modem(config.constellation, config.demapper)
    fading = None if config.fading is None else RicianFading(config.fading.k_factor, config.fading.doppler)
    try:
        return ModemLink(
            modulator,
            demodulator,
            build_channel(config.channel),
            bits_per_symbol=demodulator.bits_per_symbol,
            bits_per_block=config.bits_per_block,
            fading=fading,
            code_rate=code_rate,
        )
    except ValueError as error:
        raise ConfigError(f"link: {error}") from None


def closed_form(config: LinkConfig) -> Callable[[Sequence[float]], list[float]] | None:
    """Bit error rate of a link in closed form as a function of the grid; None where nobody has one.

    The closed forms are those of nearest-point decisions, which the max-log demapper makes; the exact one decides bit
    by bit and makes slightly fewer errors at low Eb/N0.
    """
    if config.channel != {"awgn": {}} or (config.fading and config.fading.k_factor):
        return None
    order = DIFFERENTIAL.get(config.constellation)
    if order is not None:
        return None if config.fading else lambda grid: _floats(theory.dpsk_ber(order, list(grid)))
    constellation, channel = Constellation.from_name(config.constellation), "rayleigh" if config.fading else "awgn"
    if theory.ber(constellation, 0.0, channel=channel) is None:
        return None
    return lambda grid: _floats(theory.ber(constellation, list(grid), channel=channel))


def _floats(values: NDArray[np.float64] | None) -> list[float]:
    assert values is not None
    return [float(value) for value in values]


def _snake(name: str) -> str:
    """RayleighFading to rayleigh_fading, IQImbalance to iq_imbalance."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _near(name: str, known: Mapping[str, Any]) -> str:
    match = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {match[0]}?" if match else f"; there are {', '.join(known)}"
