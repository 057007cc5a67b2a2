# SPDX-License-Identifier: GPL-3.0-or-later
"""The transmitter's flowgraph and the channel, played to one client as an rtl_tcp server plays a dongle.

    python air.py SETTINGS

Prints its port as the first line. When all is sent it prints, as JSON, how many samples that were.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import Any

import link
import numpy as np
from channel import DriftingChannel
from gnuradio import blocks, gr
from gnuradio import filter as gr_filter
from settings import Settings

TUNER_R820T, GAINS = 5, 29
#: Steps of 8 bits that a sample of 1 has; the strongest are below 1.1.
LEVEL = 110.0


class FrameSource(gr.sync_block):
    """The symbols of frame after frame, for ever."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, "frame_source", [], [np.complex64])
        self._number, self._left = 0, np.zeros(0, np.complex64)

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        if not len(self._left):
            self._left, self._number = link.frame(self._number), self._number + 1
        part = self._left[: len(output_items[0])]
        output_items[0][: len(part)] = part
        self._left = self._left[len(part) :]
        return len(part)


class Channel(gr.sync_block):
    """:class:`DriftingChannel` as a block."""

    def __init__(self, channel: DriftingChannel) -> None:
        gr.sync_block.__init__(self, "drifting_channel", [np.complex64], [np.complex64])
        self._channel = channel
        self.set_output_multiple(2048)

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        output_items[0][:] = self._channel(input_items[0])
        return len(output_items[0])


class RtlTcpSink(gr.sync_block):
    """To the one client of an rtl_tcp server: 12 bytes of header, then unsigned 8 bit I and Q.

    It waits for a client that is slower than the signal, so that a busy machine takes longer and loses nothing.
    """

    def __init__(self, connection: socket.socket) -> None:
        gr.sync_block.__init__(self, "rtl_tcp_sink", [np.complex64], [])
        self._connection = connection
        self.sent = 0
        connection.sendall(b"RTL0" + struct.pack(">II", TUNER_R820T, GAINS))

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        samples = input_items[0]
        steps = np.rint(samples.view(np.float32) * LEVEL + 127.5)
        try:
            self._connection.sendall(np.clip(steps, 0, 255).astype(np.uint8).tobytes())
        except OSError:
            return -1  # the client has gone
        self.sent += len(samples)
        return len(samples)


def main() -> None:
    settings = Settings.read(sys.argv[1])
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    with socket.create_server((host, 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
    # A block of Python that nothing holds is gone before it runs.
    top, source, sink = gr.top_block(), FrameSource(), RtlTcpSink(connection)
    channel = Channel(DriftingChannel(settings.drift(), settings.noise_var, settings.seed))
    top.connect(
        source,
        gr_filter.interp_fir_filter_ccf(link.SAMPLES_PER_SYMBOL, link.PULSE.tolist()),
        blocks.head(gr.sizeof_gr_complex, round(settings.seconds * settings.rate)),
        channel,
        blocks.throttle(gr.sizeof_gr_complex, settings.rate),
        sink,
    )
    top.run()
    connection.close()
    print(json.dumps({"sent": sink.sent}), flush=True)


if __name__ == "__main__":
    main()
