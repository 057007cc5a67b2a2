# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames made once and kept on disk, ready for the network: normalised signal (float16), features, label, SNR.

A run asks for (source, split, count) and gets a folder named after a hash of all that decides what the frames are, so
that runs which ask alike share it and others never do. Piece k is ``source.batch(k, PIECE, split)``; a store that was
interrupted, or is asked for more frames, goes on behind the last whole piece. 4.3 KB a frame of 1024 samples.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gr_softmod.classifier.config import DataConfig
from gr_softmod.classifier.data import FrameSource, Split
from gr_softmod.classifier.feature_set import known_features
from gr_softmod.classifier.network import prepare
from gr_softmod.modem.seeding import seeded_generator
from gr_softmod.run_dir import replacing

__all__ = ["Feed", "LiveFeed", "Prepared", "Store", "StoredFeed", "open_feed", "open_store"]

#: Frames of one piece: what a source makes fastest.
PIECE = 512
#: Changes where the content of a store of the same source would: features, normalisation, precision.
VERSION = 4
#: First index of seeds: what is drawn.
_ORDER, _ROTATION = 10, 11


class Prepared(NamedTuple):
    """Frames as a network reads them: signal [B, 2, N] and features [B, F] float32, labels [B] int64, snr_db [B]."""

    signal: Tensor
    features: Tensor
    labels: Tensor
    snr_db: Tensor

    def to(self, device: torch.device) -> Prepared:
        return Prepared(*(tensor.to(device, non_blocking=True) for tensor in self))

    def part(self, rank: int, world: int) -> Prepared:
        """The rows of one of ``world`` processes."""
        size = len(self.labels) // world
        return Prepared(*(tensor[rank * size : (rank + 1) * size] for tensor in self))


class Feed(Protocol):
    """Batches to learn from; batch ``step`` is the same whoever asks and whenever."""

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Prepared:
        """Rows of process ``rank`` of ``world`` of a batch of ``size`` frames."""
        ...


def open_store(
    config: DataConfig, split: Split, count: int, progress: Callable[[int], object] = lambda done: None
) -> Store:
    """The stored frames of a split, made now as far as they are missing."""
    source = config.open()
    count = min(count, source.count(split) or count)
    kind = config.source if config.source != "synthetic" else config.preset or "radioml2018"
    # Keys that stand at their default are left out: a key that a later version adds moves no frames. Those that have no
    # fixed default are given as the source understood them.
    description = config.model_dump(mode="json", exclude_defaults=True)
    for key in ("train", "validation", "test", "store", "preset", "class_names", "frame_length"):
        description.pop(key, None)
    description |= {
        "kind": kind,
        "classes": source.class_names,
        "frame_length": source.frame_length,
        "version": VERSION,
        "features": known_features(source.frame_length),
    }
    name = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(config.store) / f"{kind}-{name}" / split
    fill(folder, source, split, count, progress)
    return Store(folder, count)


def fill(
    folder: Path, source: FrameSource, split: Split, count: int, progress: Callable[[int], object] = lambda done: None
) -> None:
    """Make the pieces of ``folder`` that are missing; another process that is making them is waited for."""
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        for k in range(-(-count // PIECE)):
            path = folder / f"{k:06d}.npy"
            if not path.exists():
                frames, labels, snr_db = source.batch(k, PIECE, split)
                signal, rows = prepare(frames)
                assert rows is not None
                with replacing(path.with_suffix(".npz"), "wb") as file:
                    np.savez(file, features=rows.numpy(), labels=labels.numpy(), snr_db=snr_db.numpy())
                with replacing(path, "wb") as file:  # last: where it is, the piece is whole
                    np.save(file, signal.numpy().astype(np.float16))
            progress(min(count, (k + 1) * PIECE))


class Store:
    """``count`` frames of a folder, mapped, not loaded.

    Attributes:
        features [count, F], labels [count], snr_db [count]: in memory.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        paths = [folder / f"{k:06d}.npy" for k in range(-(-count // PIECE))]
        self._signals = [np.load(path, mmap_mode="r") for path in paths]
        tables = [np.load(path.with_suffix(".npz")) for path in paths]
        self.features, self.labels, self.snr_db = (
            torch.from_numpy(np.concatenate([table[name] for table in tables])[:count])
            for name in ("features", "labels", "snr_db")
        )

    def rows(self, index: Tensor) -> Prepared:
        """The frames of ``index`` [B], in its order."""
        signal = np.stack([self._signals[i // PIECE][i % PIECE] for i in index.tolist()])
        return Prepared(torch.from_numpy(signal).float(), self.features[index], self.labels[index], self.snr_db[index])

    def batches(self, size: int) -> Iterator[Prepared]:
        """All frames, in order."""
        for start in range(0, self.count, size):
            yield self.rows(torch.arange(start, min(start + size, self.count)))


class StoredFeed:
    """Goes through a store again and again, each time in another order; the rest that fills no batch is left out.

    Args:
        rotate: turn each frame's phase by chance (features do not change).
    """

    def __init__(self, store: Store, seed: int, rotate: bool) -> None:
        self.store, self.seed, self.rotate = store, seed, rotate
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Prepared:
        batches = self.store.count // size
        epoch, place = divmod(step, batches)
        if epoch != self._epoch:
            self._order = torch.randperm(self.store.count, generator=seeded_generator(self.seed, _ORDER, epoch))
            self._epoch = epoch
        share = size // world
        start = place * size + rank * share
        given = self.store.rows(self._order[start : start + share])
        return rotated(given, self.seed, step, size, rank * share) if self.rotate else given


class LiveFeed:
    """Frames made for each step and never seen again.

    A batch is several requests of the source, so that no process makes the frames of another.
    """

    def __init__(self, source: FrameSource, seed: int, rotate: bool, piece: int = 64) -> None:
        self.source, self.seed, self.rotate, self.piece = source, seed, rotate, piece

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> Prepared:
        share = size // world
        piece = min(self.piece, share)
        if size % world or share % piece:
            raise ValueError(f"a batch of {size} frames cannot be shared by {world} processes in pieces of {piece}")
        first = step * (size // piece) + rank * (share // piece)
        parts = [self.source.batch(first + k, piece, "train") for k in range(share // piece)]
        signal, rows = prepare(torch.cat([part.frames for part in parts]))
        assert rows is not None
        given = Prepared(
            signal, rows, torch.cat([part.labels for part in parts]), torch.cat([part.snr_db for part in parts])
        )
        return rotated(given, self.seed, step, size, rank * share) if self.rotate else given


def open_feed(
    config: DataConfig, seed: int, rotate: bool, progress: Callable[[int], object] = lambda done: None
) -> StoredFeed | LiveFeed:
    """Batches of a configuration's training frames: stored ones, or new ones without end."""
    if config.train is None:
        return LiveFeed(config.open(), seed, rotate)
    return StoredFeed(open_store(config, "train", config.train, progress), seed, rotate)


def rotated(given: Prepared, seed: int, step: int, size: int, start: int) -> Prepared:
    """Each frame's phase turned by an angle that depends on (seed, step, its row in the whole batch) alone."""
    angle = 2 * torch.pi * torch.rand(size, generator=seeded_generator(seed, _ROTATION, step))
    angle = angle[start : start + len(given.labels), None]
    i, q = given.signal[:, 0], given.signal[:, 1]
    c, s = angle.cos(), angle.sin()
    return given._replace(signal=torch.stack([c * i - s * q, s * i + c * q], 1))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
