# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows from one tap to its consumers, over sockets that never wait.

The tap listens (ROUTER), consumers connect (DEALER) and say hello every second. Each consumer has a queue of its own in
libzmq: one that is slow or stuck costs a drop that is counted for it, and the others nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import zmq

from gr_softmod.hooks.endpoint import Endpoint, Security
from gr_softmod.hooks.message import Limits, Message, WireError
from gr_softmod.hooks.wire import decode, encode

#: Seconds between two hellos of a consumer, and after how many without one the tap forgets it.
HELLO_EVERY, FORGET_AFTER = 1.0, 10.0
#: What a tap takes: hellos, which are short.
HELLO_LIMITS = Limits(header_bytes=4096, part_bytes=4096, arrays=0)

Clock = Callable[[], float]


class Outlet:
    """The tap's end. Not thread-safe: one thread calls it.

    Args:
        endpoint, security: as :class:`Endpoint`.
        most_consumers: more are not served.
        clock: seconds.
    Attributes:
        dropped: windows not sent, by reason; ``slow_consumer`` counts each consumer.
    """

    def __init__(
        self,
        endpoint: str,
        security: Security | None = None,
        most_consumers: int = 16,
        clock: Clock = time.monotonic,
    ) -> None:
        self._end = Endpoint(zmq.ROUTER, endpoint, security, HELLO_LIMITS)
        self.address = self._end.address
        self.dropped: Counter[str] = Counter()
        self.sent = 0
        self._most, self._clock = most_consumers, clock
        self._heard: dict[bytes, float] = {}

    @property
    def consumers(self) -> int:
        """How many are served now."""
        return len(self._heard)

    def listen(self, most: int = 64) -> None:
        """Take in hellos, at most so many, so that a flood of them holds nothing up."""
        now = self._clock()
        for _ in range(most):
            try:
                peer, *parts = self._end.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                if decode(parts, HELLO_LIMITS).kind != "hello":
                    raise WireError("message refused: a tap takes nothing but a hello")
            except WireError:
                self.dropped["bad_hello"] += 1
                self._heard.pop(peer, None)
                continue
            if peer in self._heard or len(self._heard) < self._most:
                self._heard[peer] = now
            else:
                self.dropped["too_many_consumers"] += 1
        self._heard = {peer: at for peer, at in self._heard.items() if now - at <= FORGET_AFTER}

    def send(self, message: Message) -> None:
        """Give the message to every consumer that has room for it.

        One that has gone is forgotten; where its queue was full, libzmq says so only after a call of :meth:`listen`.

        Raises:
            WireError: the message breaks a rule of the format.
        """
        parts = encode(message)
        if not self._heard:
            self.dropped["no_consumer"] += 1
        for peer in list(self._heard):
            try:
                self._end.socket.send_multipart([peer, *parts], zmq.NOBLOCK, copy=False)
                self.sent += 1
            except zmq.Again:
                self.dropped["slow_consumer"] += 1
            except zmq.ZMQError:  # it has gone
                del self._heard[peer]

    def close(self) -> None:
        self._end.close()


class Inlet:
    """A consumer's end. Not thread-safe.

    Attributes:
        refused: messages that were not valid, by reason.
    """

    def __init__(
        self,
        endpoint: str,
        security: Security | None = None,
        limits: Limits | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._limits = limits or Limits(part_bytes=1 << 24)
        self._end = Endpoint(zmq.DEALER, endpoint, security, self._limits)
        self._clock = clock
        self._said = float("-inf")
        self._hellos = 0
        self.refused: Counter[str] = Counter()

    def receive(self, timeout: float) -> Message | None:
        """The next window; None when none came within ``timeout`` seconds, or one that is not valid."""
        if self._clock() - self._said >= HELLO_EVERY:
            self._say_hello()
        if not self._end.socket.poll(int(1000 * min(timeout, HELLO_EVERY))):
            return None
        parts = [frame.buffer for frame in self._end.socket.recv_multipart(copy=False)]
        try:
            message = decode(parts, self._limits)
            if message.kind != "window":
                raise WireError(f"message refused: a {message.kind} is no window")
            return message
        except WireError as error:
            if len(self.refused) < 100:  # each may have its own reason
                self.refused[str(error)] += 1
            else:
                self.refused["others"] += 1
            return None

    def _say_hello(self) -> None:
        hello = Message("hello", self._hellos, fields={"role": "consumer"})
        try:
            self._end.socket.send_multipart(encode(hello), zmq.NOBLOCK)
        except zmq.Again:
            return  # nobody listens yet
        self._hellos += 1
        self._said = self._clock()

    def close(self) -> None:
        self._end.close()
