# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod push`` and ``softmod serve``."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from gr_softmod.hooks import swap
from gr_softmod.hooks.identity import security_of
from gr_softmod.hooks.recorder import stopping
from gr_softmod.hooks.seal import command_message, model_message, new_serial


def push(
    address: str,
    model: Path | None,
    rollback: bool,
    target: str,
    key: Path | None,
    peer: Path | None,
    timeout: float,
) -> str:
    """Send a model, or the command to roll back; returns the answer.

    Raises:
        ValueError: the arguments are wrong, or the receiver refused.
        OSError: the file cannot be read, or there was no answer.
    """
    if (model is None) != rollback:
        raise ValueError("give a model to send, or --rollback")
    security = security_of(key, peer)
    signing = security.key if security else None
    if model is None:
        message = command_message("rollback", new_serial(), signing)
    else:
        message = model_message(model.read_bytes(), target, new_serial(), signing)
    verdict = swap.push(address, message, security, timeout)
    if not verdict.accepted:
        raise ValueError(f"refused: {verdict.reason}")
    return verdict.reason


def serve(folder: Path, address: str, target: str, key: Path | None, peers: Path | None) -> None:
    """Offer models until interrupted.

    Raises:
        ValueError: the arguments are wrong.
        OSError: the folder or the address cannot be used.
    """
    security = security_of(key, peers)
    console = Console(highlight=False)

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    server = swap.Server(folder, address, security, target, security.key if security else None, tell)
    try:
        tell(f"{server.count} models of {folder} at {server.address}; Ctrl-C ends")
        with stopping() as stop:
            while not stop:
                server.step(0.5)
                server.scan()
    finally:
        server.close()
