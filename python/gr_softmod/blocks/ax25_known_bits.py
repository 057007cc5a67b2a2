# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.ax25_known_bits``: frames whose check sequence holds say what every symbol was, for a training tap."""

from __future__ import annotations

from collections import deque
from threading import Condition, Thread
from typing import Any

import numpy as np
import pmt
from gnuradio import gr

from gr_softmod.framing.ax25 import recover_frames
from gr_softmod.framing.known_bits import MEMORY, ax25_channel_bits

#: Channel bits of the longest frame: 330 bytes and a check sequence, all stuffed, and flags.
_LONGEST = 332 * 8 * 6 // 5 + 64
#: LLRs decoded at a time, and pieces that may wait for it.
_CHUNK, _WAITING = 8192, 64


class ax25_known_bits(gr.sync_block):
    """LLRs of channel bits (BPSK, one a symbol) to ``known_bits`` messages for ``training_tap``.

    Finds AX.25 frames (G3RUH scrambling, NRZI), encodes each anew and publishes what the channel bits were. A thread of
    its own decodes; ``work`` only copies, and what the thread has no time for is dropped and counted.

    Args:
        guesses: sets of weak bits tried until a check sequence holds; 1: frames without a wrong bit alone.
        constellation: name, for the message; one bit a symbol.
    Messages:
        ``known_bits``: a dictionary of ``sample_index`` (of the first symbol), ``bits`` (u8vector), ``constellation``
        and ``payload`` (u8vector).
    Raises:
        ValueError: guesses is below 1.
    """

    def __init__(self, guesses: int = 1, constellation: str = "bpsk") -> None:
        gr.sync_block.__init__(self, "ax25_known_bits", [np.float32], None)
        if guesses < 1:
            raise ValueError(f"guesses is {guesses}; it must be at least 1")
        self.set_output_multiple(1024)  # a call of a Python block costs about 100 us whatever it does
        self.frames = self.dropped = 0
        self._guesses, self._constellation = guesses, constellation
        self._port = pmt.intern("known_bits")
        self.message_port_register_out(self._port)
        self._pieces: deque[tuple[int, np.ndarray]] = deque()
        self._more = Condition()
        self._running, self._busy = False, False
        self._thread: Thread | None = None
        self._llr, self._first, self._done = np.empty(0, np.float32), 0, 0

    def start(self) -> bool:
        self._running = True
        self._thread = Thread(target=self._run, name="ax25_known_bits", daemon=True)
        self._thread.start()
        return True

    def stop(self) -> bool:
        with self._more:
            self._running = False
            self._more.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        return True

    def idle(self) -> bool:
        """Whether all that came has been looked at."""
        with self._more:
            return not self._pieces and not self._busy

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        count = len(input_items[0])
        with self._more:
            if len(self._pieces) < _WAITING:
                self._pieces.append((self.nitems_read(0), input_items[0].copy()))
                self._more.notify()
            else:
                self.dropped += count
        return count

    def _run(self) -> None:
        while True:
            with self._more:
                self._busy = False
                self._more.wait_for(lambda: self._pieces or not self._running)
                if not self._pieces:
                    return
                first, piece = self._pieces.popleft()
                self._busy = True
            try:
                self._take(first, piece)
            except Exception as error:
                gr.log.error(f"ax25_known_bits: {error}")

    def _take(self, first: int, piece: np.ndarray) -> None:
        if first != self._first + len(self._llr):  # some were dropped
            self._llr, self._first, self._done = piece, first, first
        else:
            self._llr = np.concatenate((self._llr, piece))
        while self._first + len(self._llr) >= self._done + _CHUNK + _LONGEST:
            self._decode()

    def _decode(self) -> None:
        """Frames that begin in the next chunk; they end within the longest frame behind it."""
        limit = self._done + _CHUNK
        llr = self._llr[: limit + _LONGEST - self._first]
        for frame in recover_frames(llr, guesses=self._guesses):
            if not max(self._done, self._first + MEMORY) <= self._first + frame.start < limit:
                continue
            try:
                bits = ax25_channel_bits(frame, llr)
            except ValueError as error:  # it held by chance
                gr.log.debug(f"ax25_known_bits: {error}")
                continue
            self.frames += 1
            self._publish(self._first + frame.start, bits, frame.payload)
        self._done = limit
        keep = max(self._first, self._done - MEMORY - _LONGEST)
        self._llr, self._first = self._llr[keep - self._first :], keep

    def _publish(self, first: int, bits: np.ndarray, payload: bytes) -> None:
        message = pmt.make_dict()
        for key, value in (
            ("sample_index", pmt.from_uint64(first)),
            ("bits", pmt.init_u8vector(len(bits), bits.tolist())),
            ("constellation", pmt.intern(self._constellation)),
            ("payload", pmt.init_u8vector(len(payload), list(payload))),
        ):
            message = pmt.dict_add(message, pmt.intern(key), value)
        self.message_port_pub(self._port, message)
