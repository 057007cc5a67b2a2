# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames read from files: who is in which split, their order, and the checks that all of them go through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gr_softmod.classifier.data.batch import SPLITS, Batch, Split, check_request

Indices = NDArray[np.int64]


class FrameStore(Protocol):
    """A file, or several, as numbered frames ("records").

    Attributes:
        class_names: what ``labels`` mean.
        frame_length: samples in a frame.
        labels: int16 [records].
        snr_db: float32 [records]; NaN where not known.
        region: int64 [records] or None. Records of one region were received one after the other, and neighbours are
            alike: a region is split in time and not frame by frame.
    """

    class_names: tuple[str, ...]
    frame_length: int
    labels: NDArray[np.int16]
    snr_db: NDArray[np.float32]
    region: Indices | None

    def read(self, records: Indices) -> NDArray[np.complex64]:
        """Frames [len(records), frame_length]; ``records`` rise, none is there twice."""
        ...

    def name(self, record: int) -> str:
        """How a message calls a record: its file and its place there."""
        ...


class FileFrames:
    """Frames of a :class:`FrameStore`, split in three by (class, SNR).

    Training goes through its frames in an order of its own each epoch, over and over; validation and test come once, in
    the file's order, the last batch as short as need be.

    Args:
        store: the file.
        class_names: which classes, in the order of the labels; default: all of the store's.
        seed: of the split and the order.
        test_share: share of the frames of each (class, SNR) that is test.
        validation_share: share of the rest that is validation.
        device: where batches are.
    Raises:
        ValueError: a class is not in the file, or a split is empty.
    """

    def __init__(
        self,
        store: FrameStore,
        class_names: Sequence[str] | None = None,
        *,
        seed: int = 1,
        test_share: float = 0.1,
        validation_share: float = 0.1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.store, self.seed, self.device = store, seed, torch.device(device)
        self.frame_length = store.frame_length
        self.class_names = tuple(store.class_names if class_names is None else class_names)
        unknown = [name for name in self.class_names if name not in store.class_names]
        if unknown or not self.class_names or len(set(self.class_names)) < len(self.class_names):
            raise ValueError(
                f"class_names are {', '.join(self.class_names)}; they must be of the file's, each once:"
                f" {', '.join(store.class_names)}"
            )
        self._label_of = np.full(len(store.class_names), -1, np.int64)
        for label, name in enumerate(self.class_names):
            self._label_of[store.class_names.index(name)] = label
        kept = np.flatnonzero(self._label_of[store.labels] >= 0)
        self._records = split_records(store, kept, seed, test_share, validation_share)
        empty = [split for split in SPLITS if not len(self._records[split])]
        if empty:
            raise ValueError(f"{store.name(0)}: {len(kept)} frames are too few: none is left for {', '.join(empty)}")
        self._epoch: tuple[int, Indices] | None = None

    def count(self, split: Split) -> int:
        """How many frames a split has."""
        return len(self._records[split])

    def batch(self, index: int, size: int, split: Split = "train") -> Batch:
        """Batch ``index`` of ``size`` frames; equal arguments give equal frames.

        Raises:
            ValueError: no such split or batch; a frame is not finite (the message names file and record).
            OSError: the file cannot be read.
        """
        check_request(index, size, split)
        records = self._training(index * size, size) if split == "train" else self._once(index * size, size, split)
        # Read in the file's order, each record once, and put back in the order of the batch.
        unique, back = np.unique(records, return_inverse=True)
        frames = self.store.read(unique)
        finite = np.isfinite(frames.view(np.float32)).all(1)
        if not finite.all():
            raise ValueError(f"{self.store.name(int(unique[~finite][0]))} holds NaN or infinite samples")
        return Batch(
            torch.from_numpy(frames[back]).to(self.device),
            torch.from_numpy(self._label_of[self.store.labels[records]]).to(self.device),
            torch.from_numpy(self.store.snr_db[records]).to(self.device),
        )

    def _once(self, start: int, size: int, split: Split) -> Indices:
        records = self._records[split][start : start + size]
        if not len(records):
            raise ValueError(
                f"{split} has {self.count(split)} frames; there is no batch that begins with frame {start}"
            )
        return records

    def _training(self, start: int, size: int) -> Indices:
        total = self.count("train")
        parts = []
        while size > 0:
            epoch, place = divmod(start, total)
            parts.append(self._order(epoch)[place : place + size])
            start, size = start + len(parts[-1]), size - len(parts[-1])
        return np.concatenate(parts)

    def _order(self, epoch: int) -> Indices:
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, epoch)))
            self._epoch = epoch, random.permutation(self._records["train"])
        return self._epoch[1]


def split_records(
    store: FrameStore, records: Indices, seed: int, test_share: float, validation_share: float
) -> dict[Split, Indices]:
    """Which of ``records`` are in which split, rising.

    Of each (class, SNR) with n frames, ``round(test_share n)`` at random are test, and the same share of the rest
    validation. Of a region they are its last frames and those before, and SNR does not count.
    """
    if store.region is None:
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        shuffled = random.permutation(records)
        snr = np.unique(store.snr_db[shuffled], return_inverse=True)[1]
        group = store.labels[shuffled].astype(np.int64) * (snr.max(initial=0) + 1) + snr
    else:
        shuffled, group = records[::-1], store.region[records[::-1]]
    order = np.argsort(group, kind="stable")
    _, first, count = np.unique(group[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(first, count)
    test = np.rint(test_share * count).astype(np.int64)
    validation = np.rint(validation_share * (count - test)).astype(np.int64)
    test_end, validation_end = np.repeat(test, count), np.repeat(test + validation, count)
    ordered = shuffled[order]
    return {
        "train": np.sort(ordered[rank >= validation_end]),
        "validation": np.sort(ordered[(rank >= test_end) & (rank < validation_end)]),
        "test": np.sort(ordered[rank < test_end]),
    }
