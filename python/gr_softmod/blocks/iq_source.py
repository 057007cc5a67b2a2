# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.iq_source``: a recording or a device, named by one string, as a stream of complex samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gnuradio import gr

from gr_softmod.bindings.softmod_python import finite_cc
from gr_softmod.blocks.recording_source import recording_source
from gr_softmod.blocks.rtl_tcp_source import rtl_tcp_source
from gr_softmod.recording import Recording, open_recording

#: The kinds of source that are not files, as they are written before the "=".
DEVICE_KINDS = ("rtl_tcp", "osmosdr", "soapy", "zmq", "zmq_pull")


def split_device(source: str) -> tuple[str, str] | None:
    """Kind and argument of a device string such as ``rtl_tcp=127.0.0.1:1234``; None when it names a file.

    Raises:
        ValueError: the argument is missing.
    """
    kind, equals, argument = source.partition("=")
    if not equals or kind not in DEVICE_KINDS:
        return None
    if not argument:
        raise ValueError(f"{source!r} names no device; write for example rtl_tcp=127.0.0.1:1234 or soapy=driver=rtlsdr")
    return kind, argument


class iq_source(gr.hier_block2):
    """A recording or a device as a stream of finite complex samples.

    Samples that are NaN or infinite come out as 0, between ``erasure`` tags (see ``finite_cc``).

    Args:
        source: a file (SigMF, WAV, raw), ``rtl_tcp=HOST:PORT``, ``osmosdr=ARGS`` (gr-osmosdr), ``soapy=ARGS``
            (SoapySDR), ``zmq=tcp://HOST:PORT`` (complex64 from a PUB socket), ``zmq_pull=tcp://HOST:PORT`` (PUSH).
        sample_rate: in hertz; a must for devices and raw files.
        datatype: read a file as raw samples of this SigMF type, whatever its name ("cf32", "ci16", "cu8", ...).
        frequency: what to tune a device to, in hertz; None leaves it as it is.
        gain: of a device, in dB; None lets the device control it itself where it can.
        repeat: begin a file again at its end.
        truncated: accept a file that ends before it should.
        hold: finite samples after a replaced one that still belong to its erasure.
    Tags:
        ``rx_rate`` (double, hertz), ``rx_freq`` (double, hertz), ``rx_time`` (tuple of seconds since 1970 and fraction,
        as UHD's), ``annotation`` (dictionary with a SigMF annotation's keys) and ``erasure`` (bool).
    Raises:
        OSError: the file cannot be read.
        ValueError: the file is refused, the device is missing or cannot do what is asked, a parameter is out of range.
    """

    def __init__(
        self,
        source: str,
        sample_rate: float | None = None,
        datatype: str | None = None,
        frequency: float | None = None,
        gain: float | None = None,
        repeat: bool = False,
        truncated: bool = False,
        hold: int = 64,
    ) -> None:
        gr.hier_block2.__init__(
            self, "softmod.iq_source", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        device = split_device(source)
        self.recording: Recording | None = None
        if device is None:
            self.recording = open_recording(source, sample_rate=sample_rate, datatype=datatype, truncated=truncated)
            self.sample_rate = self.recording.sample_rate
            self.source: Any = recording_source(self.recording, repeat)
        else:
            if sample_rate is None:
                raise ValueError(f"{source} needs a sample rate; pass --sample-rate")
            _check_device_parameters(sample_rate, frequency, gain)
            self.sample_rate = sample_rate
            self.source = _open_device(*device, sample_rate, frequency, gain)
        self.guard = finite_cc(hold)
        self.connect(self.source, self.guard, self)

    def produced(self) -> int:
        """Samples so far."""
        return int(self.guard.nitems_written(0))

    def replaced(self) -> int:
        """Samples that were not finite so far."""
        return int(self.guard.replaced())

    def error(self) -> OSError | None:
        """What ended the stream before its time, if anything did."""
        return getattr(self.source, "error", None)


def _check_device_parameters(sample_rate: float, frequency: float | None, gain: float | None) -> None:
    if not (math.isfinite(sample_rate) and sample_rate > 0):
        raise ValueError(f"the sample rate is {sample_rate:g} Hz; it must be positive and finite")
    if frequency is not None and not (math.isfinite(frequency) and frequency >= 0):
        raise ValueError(f"the frequency is {frequency:g} Hz; it must be finite and not negative")
    if gain is not None and not math.isfinite(gain):
        raise ValueError(f"the gain is {gain:g} dB; it must be finite")


def _open_device(kind: str, argument: str, sample_rate: float, frequency: float | None, gain: float | None) -> Any:
    makers: dict[str, Callable[..., tuple[Any, float]]]
    makers = {"zmq": _zmq, "zmq_pull": _zmq, "rtl_tcp": _rtl_tcp, "osmosdr": _osmosdr, "soapy": _soapy}
    try:
        device, actual_rate = makers[kind](kind, argument, sample_rate, frequency, gain)
    except ImportError as error:
        raise ValueError(f"{kind}={argument} cannot be opened: this GNU Radio has no {error.name}") from error
    except (RuntimeError, ValueError, IndexError, OSError) as error:
        raise ValueError(f"{kind}={argument} cannot be opened: {error}") from error
    if abs(actual_rate - sample_rate) > 1e-3 * sample_rate:
        raise ValueError(f"{kind}={argument} samples at {actual_rate:g} Hz; it cannot do {sample_rate:g} Hz")
    return device


def _zmq(kind: str, address: str, sample_rate: float, *_: object) -> tuple[Any, float]:
    from gnuradio import zeromq

    make = zeromq.sub_source if kind == "zmq" else zeromq.pull_source
    return make(gr.sizeof_gr_complex, 1, address), sample_rate


def _rtl_tcp(
    _: str, address: str, sample_rate: float, frequency: float | None, gain: float | None
) -> tuple[Any, float]:
    return rtl_tcp_source(address, sample_rate, frequency, gain), sample_rate


def _osmosdr(
    _: str, argument: str, sample_rate: float, frequency: float | None, gain: float | None
) -> tuple[Any, float]:
    import osmosdr

    device = osmosdr.source(argument)
    actual_rate = device.set_sample_rate(sample_rate)
    if frequency is not None:
        device.set_center_freq(frequency)
    device.set_gain_mode(gain is None)
    if gain is not None:
        device.set_gain(gain)
    return device, actual_rate


def _soapy(_: str, argument: str, sample_rate: float, frequency: float | None, gain: float | None) -> tuple[Any, float]:
    from gnuradio import soapy

    device = soapy.source(argument, "fc32", 1, "", "", [""], [""])
    device.set_sample_rate(0, sample_rate)
    if frequency is not None:
        device.set_frequency(0, frequency)
    if device.has_gain_mode(0):
        device.set_gain_mode(0, gain is None)
    if gain is not None:
        device.set_gain(0, gain)
    return device, device.get_sample_rate(0)
