# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints of a :class:`~gr_softmod.run_dir.RunDir`: ``last.pt`` and ``best.pt``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gr_softmod.run_dir import RunDir, RunError, first_line, replacing


def save_checkpoint(run: RunDir | Path, state: Mapping[str, Any], name: str = "last") -> None:
    """Write ``state`` (tensors, numbers, strings, and lists and dicts of them) to ``last.pt`` or ``best.pt``."""
    with replacing(run / f"{name}.pt", "wb") as file:
        torch.save(dict(state), file)


def load_checkpoint(run: RunDir | Path, name: str = "last") -> dict[str, Any] | None:
    """What :func:`save_checkpoint` wrote, on the CPU; None where there is no such file.

    Raises:
        RunError: the file is damaged, or holds anything but tensors, numbers and strings.
    """
    file = run / f"{name}.pt"
    if not file.exists():
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, KeyError, ... on damage
        raise RunError(f"{file}: damaged checkpoint ({first_line(error)}); delete it to start over") from None
    if not isinstance(state, dict):
        raise RunError(f"{file}: damaged checkpoint (it holds a {type(state).__name__}); delete it to start over")
    return state
