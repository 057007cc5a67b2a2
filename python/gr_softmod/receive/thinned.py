# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded memory of an endless sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class Thinned:
    """Keeps every ``stride``-th item of a sequence, evenly over all of it, never more than ``capacity``.

    When the room is used up, every second kept item goes and the stride doubles.

    Args:
        capacity: most items kept; even.
        shape: of an item.
        dtype: of the items.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...] = (), dtype: DTypeLike = np.float64) -> None:
        if capacity < 2 or capacity % 2:
            raise ValueError(f"capacity is {capacity}; it must be even and at least 2")
        self._store = np.empty((capacity, *shape), dtype)
        self._kept = 0
        self._seen = 0
        self.stride = 1

    def __len__(self) -> int:
        return self._kept

    def extend(self, items: ArrayLike) -> None:
        """Take in the next items, [N, *shape]."""
        array = np.asarray(items)
        at = -self._seen % self.stride
        self._seen += len(array)
        while at < len(array):
            if self._kept == len(self._store):
                # Every second item goes; the next one to keep is a multiple of the doubled stride.
                self._store[: self._kept // 2] = self._store[::2]
                self._kept //= 2
                first = self._seen - len(array)
                self.stride *= 2
                at += -(first + at) % self.stride
                continue
            chosen = array[at :: self.stride][: len(self._store) - self._kept]
            self._store[self._kept : self._kept + len(chosen)] = chosen
            self._kept += len(chosen)
            at += len(chosen) * self.stride

    def append(self, item: ArrayLike) -> None:
        """Take in the next item."""
        self.extend(np.asarray(item)[None])

    @property
    def items(self) -> NDArray:
        """The kept items, oldest first: item ``k`` was number ``k * stride`` of the sequence."""
        return self._store[: self._kept]
