# SPDX-License-Identifier: GPL-3.0-or-later
"""Models over the network: a receiver that listens for pushes or asks a server, and the two that send.

Whoever listens (a receiver for ``softmod push``, ``softmod serve`` for receivers) never waits for a peer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from gr_softmod.hooks.endpoint import Endpoint, Security
from gr_softmod.hooks.gate import Gate, Verdict
from gr_softmod.hooks.keys import SecretKey
from gr_softmod.hooks.message import Limits, Message, Scalar, WireError
from gr_softmod.hooks.seal import sealed_file
from gr_softmod.hooks.wire import Part, decode, encode

#: Largest model taken.
MODEL_LIMITS = Limits(arrays=1)
_SMALL = Limits(header_bytes=8192, part_bytes=8192, arrays=0)
_MOST_PEERS = 64
_HELLO_EVERY, _REPLY_WITHIN = 1.0, 30.0


def _send(end: Endpoint, message: Message, peer: bytes | None = None) -> bool:
    parts: list[Part] = encode(message)
    try:
        end.socket.send_multipart(parts if peer is None else [peer, *parts], zmq.NOBLOCK)
    except zmq.ZMQError:  # no room, or nobody there: what matters is asked for again
        return False
    return True


def _reply(verdict: Verdict, about: int) -> Message:
    return Message("reply", 0, fields={"accepted": verdict.accepted, "reason": verdict.reason[:1000], "about": about})


class Receiver:
    """Takes models into a gate: listens for pushes, or asks a server. Not thread-safe.

    Args:
        gate: decides.
        address: to listen at, or of the server.
        security: as :class:`Endpoint`. Beyond this machine, the gate must have signers too.
        serve: the address is a server's.
        limits: of what is taken.
    Raises:
        ValueError: the address needs keys or signers.
        OSError: it cannot be used.
    """

    def __init__(
        self,
        gate: Gate,
        address: str,
        security: Security | None = None,
        serve: bool = False,
        limits: Limits = MODEL_LIMITS,
        handshake_ms: int = 5_000,
        stall_ms: int = 60_000,
    ) -> None:
        if security is not None and not gate.signers:
            raise ValueError(f"{address} has keys, so its models must be signed: say whose signatures are believed")
        self._gate, self._limits, self._serve = gate, limits, serve
        self._end = Endpoint(
            zmq.DEALER if serve else zmq.ROUTER, address, security, limits,
            handshake_ms=handshake_ms, stall_ms=stall_ms,
        )  # fmt: skip
        self.address = self._end.address
        self._said = float("-inf")
        self._hellos = 0

    def step(self, timeout: float) -> Verdict | None:
        """Take one message, waiting for it up to ``timeout`` seconds; returns what became of it."""
        fields: dict[str, Scalar]
        if self._serve and time.monotonic() - self._said >= _HELLO_EVERY:
            fields = {"role": "updater", "target": self._gate.target, "serial": max(0, self._gate.serial)}
            self._said = time.monotonic()
            self._hellos += _send(self._end, Message("hello", self._hellos, fields=fields))
        if not self._end.socket.poll(int(1000 * timeout)):
            return None
        parts = self._end.socket.recv_multipart(zmq.NOBLOCK)
        peer, parts = (None, parts) if self._serve else (parts[0], parts[1:])
        about = 0
        try:
            message = decode(parts, self._limits)
            about = message.sequence
            if self._serve and message.kind == "command":
                raise WireError("message refused: a server sends models, no commands")
            verdict = self._gate.receive(message)
        except WireError as error:
            verdict = Verdict(False, str(error))
        _send(self._end, _reply(verdict, about), peer)
        return verdict

    def close(self) -> None:
        self._end.close()


def push(address: str, message: Message, security: Security | None = None, timeout: float = 30.0) -> Verdict:
    """Send a model or a command to a receiver and wait for its answer.

    Raises:
        ValueError, WireError: the address needs keys, or the message cannot be sent.
        OSError: there was no answer within ``timeout`` seconds.
    """
    end = Endpoint(zmq.DEALER, address, security, _SMALL)
    try:
        end.socket.send_multipart(encode(message, MODEL_LIMITS))
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and end.socket.poll(max(1, int(1000 * left))):
            try:
                reply = decode(end.socket.recv_multipart(), _SMALL)
            except WireError:
                continue
            if reply.kind == "reply" and reply.fields["about"] == message.sequence:
                return Verdict(reply.fields["accepted"] is True, str(reply.fields["reason"]))
        raise OSError(f"{address} did not answer within {timeout:g} s: nobody listens there, or the keys are wrong")
    finally:
        end.close()


@dataclass
class _Peer:
    serial: int = -1  # of what it has accepted
    refused: set[int] = field(default_factory=set)
    asked: int | None = None  # serial of what it has not answered yet
    since: float = 0.0
    heard: float = 0.0


class Server:
    """Offers the models of a folder to receivers: the newest first, and older ones only where it is refused.

    Args:
        folder: of ``*.safetensors``; new ones are found while it runs.
        address, security: as :class:`Endpoint`.
        target: what the models are for.
        key: signs them.
        tell: gets a line for each answer.
        clock: seconds.
    Raises:
        ValueError: the address needs keys.
        OSError: the folder or the address cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        security: Security | None = None,
        target: str = "classifier",
        key: SecretKey | None = None,
        tell: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder")
        self._folder, self._target, self._key, self._tell, self._clock = folder, target, key, tell, clock
        self._end = Endpoint(zmq.ROUTER, address, security, _SMALL)
        self.address = self._end.address
        self._models: dict[int, Message] = {}  # by serial
        self._seen: dict[Path, tuple[int, int]] = {}
        self._serials: dict[Path, int] = {}
        self._peers: dict[bytes, _Peer] = {}
        self.scan()

    @property
    def count(self) -> int:
        """Models that are offered."""
        return len(self._models)

    def scan(self) -> None:
        """Look for models that are new or have changed."""
        files = {}
        for path in self._folder.glob("*.safetensors"):
            try:
                stat = path.stat()
            except OSError:
                continue  # gone again
            files[path] = (stat.st_mtime_ns, stat.st_size)
        for path in [path for path in self._seen if path not in files]:
            del self._seen[path]
            self._models.pop(self._serials.pop(path, -1), None)
        for path, stamp in sorted(files.items(), key=lambda item: (item[1], item[0])):
            if self._seen.get(path) == stamp:
                continue
            try:
                message = sealed_file(path, self._target, self._key, max(self._models, default=0))
                encode(message, MODEL_LIMITS)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._tell(f"{path.name} is not served: {error}")
            else:
                self._models.pop(self._serials.get(path, -1), None)
                self._serials[path] = int(message.fields["serial"] or 0)
                self._models[self._serials[path]] = message
            self._seen[path] = stamp

    def step(self, timeout: float) -> None:
        """Hear one receiver, waiting up to ``timeout`` seconds, and offer to all what they should have."""
        if self._end.socket.poll(int(1000 * timeout)):
            peer, *parts = self._end.socket.recv_multipart(zmq.NOBLOCK)
            try:
                self._hear(peer, decode(parts, _SMALL))
            except WireError as error:
                self._tell(str(error))
        now = self._clock()
        self._peers = {peer: state for peer, state in self._peers.items() if now - state.heard < _REPLY_WITHIN}
        for peer, state in self._peers.items():
            if state.asked is not None and now - state.since > _REPLY_WITHIN:
                state.asked = None
            wanted = [s for s in self._models if s > state.serial and s not in state.refused]
            if wanted and state.asked is None and _send(self._end, self._models[max(wanted)], peer):
                state.asked, state.since = max(wanted), now

    def _hear(self, peer: bytes, message: Message) -> None:
        if peer not in self._peers and len(self._peers) >= _MOST_PEERS:
            return
        if message.kind == "hello" and message.fields.get("target") == self._target:
            state = self._peers.setdefault(peer, _Peer())
            state.heard = self._clock()
            state.serial = max(state.serial, int(message.fields.get("serial") or 0))
        elif message.kind == "reply" and peer in self._peers and self._peers[peer].asked is not None:
            state = self._peers[peer]
            asked, state.asked = state.asked, None
            assert asked is not None
            if message.fields["accepted"]:
                state.serial = asked
            else:
                state.refused.add(asked)
            word = "accepted" if message.fields["accepted"] else "refused"
            self._tell(f"{word}: {message.fields['reason']}")

    def close(self) -> None:
        self._end.close()
