# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files of a command line or a block's arguments."""

from __future__ import annotations

from pathlib import Path

from gr_softmod.hooks.endpoint import Security
from gr_softmod.hooks.keys import load_allowed, load_secret


def security_of(key: str | Path | None, peers: str | Path | None) -> Security | None:
    """Security of two file names, or none where both are absent (None or empty).

    Args:
        key: ``NAME.secret`` of this end.
        peers: ``NAME.public`` of the other end, or a folder of those who may connect.
    Raises:
        ValueError: one is given without the other, or is not what it should be.
        OSError: a file cannot be read.
    """
    if not key and not peers:
        return None
    if not key or not peers:
        raise ValueError("a key of one's own and the public key of the other end go together; one of them is missing")
    return Security(load_secret(key), load_allowed(peers))
