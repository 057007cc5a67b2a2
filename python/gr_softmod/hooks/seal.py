# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and commands as messages that say who made them and when, so that an old one cannot be played again."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from gr_softmod.hooks.keys import PublicKey, SecretKey, verify
from gr_softmod.hooks.message import Message, Scalar
from gr_softmod.hooks.sigmf import write_atomically

#: What a model may be for.
TARGETS = ("classifier", "demapper")
COMMANDS = ("rollback",)
#: Beside a model file in a folder that is served.
SUFFIX = ".seal"


class SealError(ValueError):
    """A message that was not made by whom it must be; its text is one sentence."""


def new_serial() -> int:
    """Rises with time: microseconds since 1970."""
    return time.time_ns() // 1000


def statement(what: str, subject: str, serial: int, digest: str) -> bytes:
    """What is signed: the purpose, what it is about, its number and the SHA-256 of the bytes."""
    return "\0".join(("softmod 1", what, subject, str(serial), digest)).encode()


def model_message(blob: bytes, target: str, serial: int, key: SecretKey | None = None, sequence: int = 0) -> Message:
    """A model to send, signed where there is a key.

    Raises:
        ValueError: there is no such target.
    """
    if target not in TARGETS:
        raise ValueError(f"target is {target!r}; it must be {' or '.join(TARGETS)}")
    digest = hashlib.sha256(blob).hexdigest()
    fields = _sealed({"target": target, "serial": serial}, statement("model", target, serial, digest), key)
    arrays = {"model": np.frombuffer(blob, np.uint8)}
    return Message("model", sequence, model_hash=digest, arrays=arrays, fields=fields)


def command_message(command: str, serial: int, key: SecretKey | None = None, sequence: int = 0) -> Message:
    """A command to send, signed where there is a key.

    Raises:
        ValueError: there is no such command.
    """
    if command not in COMMANDS:
        raise ValueError(f"command is {command!r}; it must be {' or '.join(COMMANDS)}")
    fields = _sealed({"command": command, "serial": serial}, statement("command", command, serial, ""), key)
    return Message("command", sequence, fields=fields)


def _sealed(fields: dict[str, Scalar], said: bytes, key: SecretKey | None) -> dict[str, Scalar]:
    return fields if key is None else fields | {"signer": key.public.ed25519, "signature": key.sign(said)}


def check_seal(message: Message, signers: tuple[PublicKey, ...]) -> bytes:
    """The bytes of the model (none of a command), when the message is whole and one of the signers made it.

    Args:
        signers: whom to believe; with none, nothing needs to be signed, but a hash must hold.
    Raises:
        SealError: the hash does not hold, or nobody of the signers has signed it.
    """
    fields = message.fields
    if message.kind == "model":
        blob = message.arrays["model"].tobytes()
        digest = hashlib.sha256(blob).hexdigest()
        if digest != message.model_hash:
            raise SealError("the model's SHA-256 is not the one in the message")
        said = statement("model", str(fields["target"]), int(fields["serial"] or 0), digest)
    else:
        blob, said = b"", statement("command", str(fields["command"]), int(fields["serial"] or 0), "")
    if signers:
        if "signature" not in fields:
            raise SealError("it is not signed, and this receiver takes signed ones alone")
        known = [key for key in signers if key.ed25519 == fields.get("signer")]
        if not known:
            raise SealError("its signer is not on the allow-list")
        if not verify(known[0], said, str(fields["signature"])):
            raise SealError("its signature does not hold")
    return blob


def sealed_file(path: Path, target: str, key: SecretKey | None, after: int) -> Message:
    """The message of a model file in a folder that is served; its seal is made once and kept beside it.

    Args:
        after: a new seal's serial is above this.
    Raises:
        OSError, ValueError: the file or its seal cannot be read or written.
    """
    blob = path.read_bytes()
    digest = hashlib.sha256(blob).hexdigest()
    seal = path.with_name(path.name + SUFFIX)
    said: dict[str, Any] = {}
    if seal.exists():
        said = json.loads(seal.read_text(encoding="utf-8"))
    signer = key.public.ed25519 if key else None
    if said.get("sha256") != digest or said.get("target") != target or said.get("signer") != signer:
        said = {"sha256": digest, "target": target, "serial": max(new_serial(), after + 1), "signer": signer}
        write_atomically(seal, json.dumps(said) + "\n")
    return model_message(blob, target, said["serial"], key)
