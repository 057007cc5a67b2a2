# SPDX-License-Identifier: GPL-3.0-or-later
"""Small configurations and runs that the classifier's tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gr_softmod.classifier.config import TrainConfig
from gr_softmod.config import load_config

#: Three classes that a few steps tell apart, and one network of every part.
DATA: dict[str, Any] = {
    "class_names": ["BPSK", "FM", "AM-SSB-SC"],
    "snr_db": [10, 30, 10],
    "frame_length": 256,
    "train": 1024,
    "validation": 512,
    "test": 512,
}
MODEL: dict[str, Any] = {
    "architecture": "softmod",
    "arguments": {"channels": [4, 6], "kernels": [8, 5], "strides": [8, 2], "expert": 6, "head": 6},
}
FIT: dict[str, Any] = {"steps": 12, "batch": 64, "lr": 0.01, "log_every": 3, "validate_every": 4}


def small_config(store: Path, **changes: Any) -> TrainConfig:
    """A training of a second; ``changes`` are merged into its sections."""
    given: dict[str, Any] = {"data": {**DATA, "store": str(store)}, "model": MODEL, "train": FIT}
    for key, value in changes.items():
        given[key] = {**given[key], **value} if isinstance(value, dict) else value
    return load_config(TrainConfig, given)
