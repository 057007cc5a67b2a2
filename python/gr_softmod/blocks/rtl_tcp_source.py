# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.rtl_tcp_source``: samples from an rtl_tcp server.

Protocol (rtl_tcp.c of osmocom's rtl-sdr): the server sends 12 bytes, "RTL0", tuner type and number of gains, then
unsigned 8 bit I and Q for ever; the client sends commands of 5 bytes, a code and a big endian value.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import numpy as np
from gnuradio import gr

from gr_softmod.recording import Datatype

_FREQUENCY, _SAMPLE_RATE, _MANUAL_GAIN, _GAIN, _AGC = 1, 2, 3, 4, 8
_HEADER_BYTES = 12
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.1


class rtl_tcp_source(gr.sync_block):
    """Samples from an rtl_tcp server. The stream ends when the server closes the connection.

    gr-osmosdr's own client asks a connection that was closed in good order for more, for ever, and so neither ends nor
    can be stopped; this one does both.

    Args:
        address: HOST:PORT (IPv6 hosts in brackets).
        sample_rate: in hertz.
        frequency: in hertz; None leaves it as it is.
        gain: of the tuner, in dB; None lets it control itself.
    Raises:
        OSError: nothing answers at the address.
        ValueError: what answers is not an rtl_tcp server, or the address is none.
    """

    def __init__(
        self, address: str, sample_rate: float, frequency: float | None = None, gain: float | None = None
    ) -> None:
        gr.sync_block.__init__(self, "softmod.rtl_tcp_source", None, [np.complex64])
        self.set_min_output_buffer(1 << 16)
        self.error: OSError | None = None
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{address!r} is not HOST:PORT")
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS)
        except OSError as error:
            raise OSError(f"nothing answers at {address}: {error.strerror or error}") from error
        try:
            self._greet(address)
            self._command(_SAMPLE_RATE, sample_rate)
            if frequency is not None:
                self._command(_FREQUENCY, frequency)
            self._command(_MANUAL_GAIN, gain is not None)
            self._command(_AGC, gain is None)
            if gain is not None:
                self._command(_GAIN, 10 * gain)
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(_POLL_SECONDS)
        self._rest = b""

    def _greet(self, address: str) -> None:
        header = b""
        try:
            while len(header) < _HEADER_BYTES and (part := self._socket.recv(_HEADER_BYTES - len(header))):
                header += part
        except TimeoutError:
            pass
        if len(header) < _HEADER_BYTES or header[:4] != b"RTL0":
            raise ValueError(f"what answers at {address} is not an rtl_tcp server: it does not begin with RTL0")

    def _command(self, code: int, value: float) -> None:
        self._socket.sendall(struct.pack(">BI", code, round(value) & 0xFFFFFFFF))

    def stop(self) -> bool:
        self._socket.close()
        return True

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        output = output_items[0]
        try:
            data = self._socket.recv(2 * len(output) - len(self._rest))
        except TimeoutError:
            return 0  # lets the scheduler look whether it should stop
        except OSError as error:
            self.error = error
            return -1
        if not data:
            return -1
        data = self._rest + data
        whole = len(data) // 2
        self._rest = data[2 * whole :]
        _CU8.decode(data[: 2 * whole], output)
        return whole


_CU8 = Datatype("cu8")
