# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets of the hooks: only this machine, or CURVE with an allow-list; bounded in every direction."""

from __future__ import annotations

import re
import weakref
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from gr_softmod.hooks.keys import PublicKey, SecretKey
from gr_softmod.hooks.message import Limits

#: Messages a socket holds for one peer, in either direction.
QUEUE = 64
#: A peer must be through its handshake, or end a part of a message, within these; in milliseconds.
HANDSHAKE_MS, STALL_MS = 5_000, 60_000

_TCP = re.compile(r"tcp://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s\[\]:]+)):(?P<port>\d{1,5}|\*)")


@dataclass(frozen=True)
class Security:
    """Who this end is and whom it talks to.

    Attributes:
        key: of this end.
        allowed: who may connect to this end, or what it connects to (then exactly one).
    """

    key: SecretKey
    allowed: tuple[PublicKey, ...]


def check_endpoint(endpoint: str, security: Security | None) -> None:
    """Refuse an address that others can reach when there are no keys.

    Raises:
        ValueError: it is no address, or is not on this machine and there are no keys.
    """
    if endpoint.startswith(("ipc://", "inproc://")) and len(endpoint) > 9:
        return
    match = _TCP.fullmatch(endpoint)
    if match is None or (match["port"] != "*" and int(match["port"]) > 65535):
        raise ValueError(f"{endpoint!r} is no address; write tcp://HOST:PORT or ipc://PATH")
    if security is None and not _is_local(match["six"] or match["host"]):
        raise ValueError(
            f"{endpoint} is not on this machine alone (tcp://127.0.0.1:PORT is): it needs a key and an allow-list;"
            " softmod keys makes keys"
        )


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may come to mean another machine


class Endpoint:
    """One socket with a context of its own, so that its allow-list is its own.

    Args:
        kind: zmq.ROUTER, which listens, or zmq.DEALER, which connects.
        endpoint: address; port ``*`` is a free one.
        security: None for addresses on this machine.
        limits: of the messages that come in.
        handshake_ms, stall_ms: see above.
    Raises:
        ValueError: as :func:`check_endpoint`; keys are missing.
        OSError: the address cannot be used.
    """

    def __init__(
        self,
        kind: int,
        endpoint: str,
        security: Security | None = None,
        limits: Limits | None = None,
        *,
        handshake_ms: int = HANDSHAKE_MS,
        stall_ms: int = STALL_MS,
    ) -> None:
        check_endpoint(endpoint, security)
        listens = kind == zmq.ROUTER
        if security is not None and not listens and len(security.allowed) != 1:
            raise ValueError(f"{len(security.allowed)} public keys for the other end; there must be exactly one")
        self._context: zmq.Context[Any] = zmq.Context()
        self._authenticators: list[ThreadAuthenticator] = []
        self.socket = self._context.socket(kind)
        # A context that is collected together with its socket would wait for that socket for ever; this keeps both
        # until the endpoint is gone.
        self._finalizer = weakref.finalize(self, _shut, self.socket, self._authenticators, self._context)
        try:
            for option, value in (
                (zmq.LINGER, 0), (zmq.IPV6, int("[" in endpoint)), (zmq.SNDHWM, QUEUE), (zmq.RCVHWM, QUEUE),
                (zmq.MAXMSGSIZE, (limits or Limits()).part_bytes), (zmq.HANDSHAKE_IVL, handshake_ms),
                # A peer that sends part of a message and no more is cut off by the heartbeat.
                (zmq.HEARTBEAT_IVL, max(1, stall_ms // 4)), (zmq.HEARTBEAT_TIMEOUT, stall_ms),
            ):  # fmt: skip
                self.socket.setsockopt(option, value)
            if listens:
                self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
                if security is not None:
                    self._authenticate(security)
                self.socket.bind(endpoint)
            else:
                if security is not None:
                    self.socket.curve_serverkey = security.allowed[0].curve.encode()
                    self._own_key(security.key)
                self.socket.connect(endpoint)
        except BaseException as error:
            self.close()
            if isinstance(error, zmq.ZMQError):
                raise OSError(f"{endpoint}: {error.strerror}") from None
            raise
        self.address: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _own_key(self, key: SecretKey) -> None:
        self.socket.curve_secretkey = key.curve_secret
        self.socket.curve_publickey = key.public.curve.encode()

    def _authenticate(self, security: Security) -> None:
        authenticator = ThreadAuthenticator(self._context)
        authenticator.start()
        self._authenticators.append(authenticator)
        authenticator.configure_curve_callback("softmod", _AllowList(security.allowed))
        self.socket.zap_domain = b"softmod"
        self.socket.curve_server = True
        self._own_key(security.key)

    def close(self) -> None:
        """Close the socket; what was not sent is dropped."""
        self._finalizer()


def _shut(socket: zmq.Socket[Any], authenticators: list[ThreadAuthenticator], context: zmq.Context[Any]) -> None:
    socket.close(0)
    for authenticator in authenticators:
        authenticator.stop()
    context.term()


class _AllowList:
    def __init__(self, allowed: tuple[PublicKey, ...]) -> None:
        self._keys = {key.curve.encode() for key in allowed}

    def callback(self, domain: str, key: bytes) -> bool:
        return key in self._keys
