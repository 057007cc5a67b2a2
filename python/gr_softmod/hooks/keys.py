# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the hooks: CURVE to know who is at the other end, ed25519 to know who made a model.

An identity is two files: ``NAME.secret`` (mode 0600, refused when others can read it) and ``NAME.public`` for others.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from zmq.utils import z85

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class KeyFileError(ValueError):
    """A key file that cannot be used; its text is one sentence."""


@dataclass(frozen=True)
class PublicKey:
    """Who somebody is.

    Attributes:
        name: for people.
        curve: CURVE public key, 40 characters of Z85.
        ed25519: key that verifies signatures, 64 hexadecimal digits.
    """

    name: str
    curve: str
    ed25519: str


@dataclass(frozen=True)
class SecretKey:
    """An identity of one's own; never printed."""

    public: PublicKey
    curve_secret: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.public.name!r})"

    def sign(self, statement: bytes) -> str:
        """ed25519 signature (RFC 8032) of a statement, 128 hexadecimal digits."""
        return SigningKey(self.seed).sign(statement).signature.hex()


def verify(key: PublicKey, statement: bytes, signature: str) -> bool:
    """Whether the signature is that key's, of that statement."""
    try:
        VerifyKey(bytes.fromhex(key.ed25519)).verify(statement, bytes.fromhex(signature))
    except (ValueError, TypeError, BadSignatureError):
        return False
    return True


def make_keys(folder: str | Path, name: str) -> SecretKey:
    """Make an identity: ``NAME.secret`` and ``NAME.public`` in the folder.

    Raises:
        ValueError: the name is not of letters, digits, ``_``, ``.`` and ``-``, or is there already.
        OSError: the files cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} must be 1 to 64 letters, digits, _ . and -")
    folder = Path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    public, secret = zmq.curve_keypair()
    signing = SigningKey.generate()
    key = SecretKey(PublicKey(name, public.decode(), bytes(signing.verify_key).hex()), secret, bytes(signing))
    secrets = {"curve_secret": secret.decode(), "ed25519_seed": key.seed.hex()}
    try:
        _write(folder / f"{name}.secret", key.public.__dict__ | secrets, 0o600)
        _write(folder / f"{name}.public", key.public.__dict__, 0o644)
    except FileExistsError as error:
        raise ValueError(f"{error.filename} exists; a key is never replaced") from None
    return key


def _write(path: Path, content: dict[str, str], mode: int) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(file, "w") as out:
        os.fchmod(file, mode)  # whatever the umask says
        out.write(json.dumps(content, indent=1) + "\n")


def load_secret(path: str | Path) -> SecretKey:
    """The identity in a ``.secret`` file.

    Raises:
        KeyFileError: it is no such file, or others than its owner may read or write it.
        OSError: it cannot be read.
    """
    path = Path(path)
    with path.open(encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others: chmod 600 it, and make a new key if they did")
        content = _parse(path, file.read())
    public = _public(path, content)
    try:
        secret = content["curve_secret"].encode()
        seed = bytes.fromhex(content["ed25519_seed"])
        matches = zmq.curve_public(secret).decode() == public.curve
        matches = matches and bytes(SigningKey(seed).verify_key).hex() == public.ed25519
    except (KeyError, AttributeError, TypeError, ValueError, zmq.ZMQError):
        raise KeyFileError(f"{path} is not a secret key of softmod") from None
    if not matches:
        raise KeyFileError(f"{path} holds a public and a secret key that do not belong together")
    return SecretKey(public, secret, seed)


def load_public(path: str | Path) -> PublicKey:
    """The key in a ``.public`` file.

    Raises:
        KeyFileError: it is no such file.
        OSError: it cannot be read.
    """
    path = Path(path)
    return _public(path, _parse(path, path.read_text(encoding="utf-8")))


def load_allowed(path: str | Path) -> tuple[PublicKey, ...]:
    """An allow-list: one ``.public`` file, or all of them in a folder.

    Raises:
        KeyFileError: a file is no public key, or there is none.
        OSError: a file cannot be read.
    """
    path = Path(path)
    files = sorted(path.glob("*.public")) if path.is_dir() else [path]
    if not files:
        raise KeyFileError(f"{path} holds no .public file: nobody would be allowed")
    return tuple(load_public(file) for file in files)


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text[:10000])
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise KeyFileError(f"{path} is not a key file of softmod")
    return content


def _public(path: Path, content: dict[str, Any]) -> PublicKey:
    try:
        name, curve, ed25519 = content["name"], content["curve"], content["ed25519"]
        good = bool(_NAME.fullmatch(name)) and len(curve) == 40 and len(z85.decode(curve.encode())) == 32
        good = good and len(bytes.fromhex(ed25519)) == 32 and ed25519 == ed25519.lower() and len(ed25519) == 64
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        good = False
    if not good:
        raise KeyFileError(f"{path} is not a public key of softmod")
    return PublicKey(name, curve, ed25519)
