# SPDX-License-Identifier: GPL-3.0-or-later
"""What every source of frames gives: a :class:`Batch` for (index, size, split), and random streams that never meet."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

__all__ = ["SPLITS", "Batch", "FrameSource", "Split", "random_stream"]

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

#: Batches that one stream of (seed, ...) can hold.
LARGEST_INDEX = (1 << 30) - 1


class Batch(NamedTuple):
    """Frames and what is known about them.

    Attributes:
        frames: complex64 [B, N].
        labels: int64 [B], index into the source's ``class_names``.
        snr_db: float32 [B]; NaN where it is not known, or where there is no signal.
    """

    frames: Tensor
    labels: Tensor
    snr_db: Tensor


class FrameSource(Protocol):
    """Labelled frames, made or read.

    Attributes:
        class_names: what the labels mean.
        frame_length: samples in a frame.
    """

    class_names: tuple[str, ...]
    frame_length: int

    def batch(self, index: int, size: int, split: Split = "train") -> Batch:
        """Batch ``index`` of ``size`` frames: equal arguments give equal frames, whatever was asked for before."""
        ...

    def count(self, split: Split) -> int | None:
        """How many frames a split has; None: as many as one asks for."""
        ...


def check_request(index: int, size: int, split: str) -> None:
    """Raise ValueError where (index, size, split) names no batch."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
    if not 0 <= index <= LARGEST_INDEX:
        raise ValueError(f"the index of a batch is {index}; it must lie in 0 .. {LARGEST_INDEX}")
    if size < 1:
        raise ValueError(f"a batch of {size} frames was asked for; it must have at least 1")


def random_stream(
    seed: int, split: Split, *place: int, index: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator for (seed, split, place, index); no two splits share a stream, whatever the other numbers are.

    Torch's CPU generator keeps 32 bits of a seed. The upper two say the split; the index counts on from a hash of the
    rest, so that the batches of one split differ from each other as well (hashing the index too would make two of
    100,000 batches equal more likely than not).
    """
    if min((seed, *place)) < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    first = int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1)[0])
    low = (first + index) & LARGEST_INDEX
    return torch.Generator(device).manual_seed(SPLITS.index(split) << 30 | low)
