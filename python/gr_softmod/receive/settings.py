# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of ``receive``, checked as far as that goes without opening the source."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gr_softmod.constellation import Constellation

DECODERS = ("ax25",)


@dataclass(frozen=True)
class Settings:
    """Parameters of :func:`gr_softmod.receive.job.receive`.

    Attributes:
        source: a file or a device string, as ``softmod.iq_source`` takes it.
        constellation: name or Constellation.
        symbol_rate: in hertz.
        center: middle of the signal in the source's band, in hertz.
        out: folder for the results; made where it is missing.
        differential: bits were coded as changes of the phase.
        sample_rate: in hertz; a must for devices and raw files.
        datatype: read a file as raw samples of this type.
        frequency, gain: what to tune a device to, in hertz, and its gain in dB.
        duration: stop after this many seconds of samples; None: at the end.
        timeout: a device that delivers nothing for this many seconds is over; 0: wait for ever.
        overwrite: replace results that are in ``out`` already.
        truncated: accept a file that ends before it should.
        decode: "ax25" looks for AX.25 frames (NRZI, G3RUH scrambling) in the soft bits.
        reference: PRBS name or file of the transmitted bits, to count bit errors against.
        receiver: further keyword arguments of ``softmod.receiver``.
    Raises:
        ValueError: a parameter is out of its range.
    """

    source: str
    constellation: Constellation | str
    symbol_rate: float
    center: float = 0.0
    out: str | Path = "received"
    differential: bool = False
    sample_rate: float | None = None
    datatype: str | None = None
    frequency: float | None = None
    gain: float | None = None
    duration: float | None = None
    timeout: float = 10.0
    overwrite: bool = False
    truncated: bool = False
    decode: str | None = None
    reference: str | None = None
    receiver: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.constellation, str):
            object.__setattr__(self, "constellation", Constellation.from_name(self.constellation))
        check_positive("symbol rate", self.symbol_rate, "Hz")
        if self.sample_rate is not None:
            check_positive("sample rate", self.sample_rate, "Hz")
            self.check_channel(self.sample_rate)
        check_job(self.duration, self.timeout, self.decode)
        if not math.isfinite(self.center):
            raise ValueError(f"the centre is {self.center:g} Hz; it must be finite")
        if self.decode == "ax25" and self.differential and self.bits_per_symbol == 1:
            raise ValueError(
                "decoding ax25 needs the LLRs of the bits on the channel and undoes their NRZI code itself:"
                " leave --differential out"
            )

    @property
    def scheme(self) -> Constellation:
        """The constellation as the object it is after construction."""
        assert isinstance(self.constellation, Constellation)
        return self.constellation

    @property
    def bits_per_symbol(self) -> int:
        return self.scheme.bits_per_symbol

    def check_channel(self, sample_rate: float) -> None:
        """Raise ValueError when no such signal fits into this sample rate."""
        if self.symbol_rate > sample_rate:
            raise ValueError(f"the symbol rate {self.symbol_rate:g} Hz is above the sample rate {sample_rate:g} Hz")
        if abs(self.center) > sample_rate / 2:
            raise ValueError(
                f"the centre {self.center:g} Hz lies outside the band: at {sample_rate:g} Hz it reaches from"
                f" {-sample_rate / 2:g} to {sample_rate / 2:g} Hz"
            )

    def channel_warnings(self, sample_rate: float, real: bool) -> list[str]:
        """Sentences about a channel that reaches beyond what the samples can hold."""
        low, high = self.center - self.symbol_rate / 2, self.center + self.symbol_rate / 2
        if max(-low, high) > sample_rate / 2:
            return [f"the signal, {low:g} to {high:g} Hz, reaches beyond the band's edge at {sample_rate / 2:g} Hz"]
        if real and self.center != 0 and low < 0 < high:
            return [f"the signal, {low:g} to {high:g} Hz, overlaps its own mirror image: the samples are real"]
        return []


def check_job(duration: float | None, timeout: float, decode: str | None) -> None:
    """What holds of every job, whatever is known of the signal. Raises ValueError."""
    if duration is not None:
        check_positive("duration", duration, "s")
    if not (timeout >= 0 and math.isfinite(timeout)):
        raise ValueError(f"the timeout is {timeout:g} s; it must be 0 or more")
    if decode is not None and decode not in DECODERS:
        raise ValueError(f"there is no decoder {decode!r}; there is {', '.join(DECODERS)}")


def check_positive(name: str, value: float, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"the {name} is {value:g} {unit}; it must be positive and finite")
