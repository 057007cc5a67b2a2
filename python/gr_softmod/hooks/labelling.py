# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the samples of a stream, by where it holds: labels from messages and classifications."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gr_softmod.hooks.message import Label

#: Most entries remembered of either sort.
_MOST = 1024
#: The strongest source first.
_STRENGTH = ("decoder", "message", "parameter", "classifier")


@dataclass(frozen=True)
class Classification:
    """A classifier's answer for ``length`` samples from ``first`` on."""

    first: int
    length: int
    name: str
    probability: float
    model_hash: str | None = None


class LabelBook:
    """Labels of windows of a stream. Not thread-safe.

    Args:
        parameter: class of everything, "" for none.
    """

    def __init__(self, parameter: str = "") -> None:
        self.parameter = parameter
        self._said: deque[tuple[int, tuple[Label, ...]]] = deque(maxlen=_MOST)
        self._classified: deque[Classification] = deque(maxlen=_MOST)

    def say(self, first: int, labels: tuple[Label, ...]) -> None:
        """From sample ``first`` on these labels hold, until others are said; none ends them."""
        while self._said and self._said[-1][0] >= first:
            self._said.pop()
        self._said.append((first, labels))

    def classified(self, answer: Classification) -> Classification | None:
        """Remember an answer; returns the one before it."""
        before = self._classified[-1] if self._classified else None
        self._classified.append(answer)
        return before

    def labels(self, first: int, length: int) -> tuple[tuple[Label, ...], str | None]:
        """Labels of a window, strongest source first, and the hash of the model that had its say.

        A message that changes in the middle of the window labels none of it; a classification counts where it covers
        at least half of it.
        """
        found: list[Label] = []
        if self.parameter:
            found.append(Label("modulation", self.parameter, "parameter"))
        holding = None
        for at, labels in reversed(self._said):
            if at <= first:
                holding = labels
                break
            if at < first + length:
                break
        found += holding or ()
        model_hash = None
        for answer in reversed(self._classified):
            overlap = min(first + length, answer.first + answer.length) - max(first, answer.first)
            if 2 * overlap >= length:
                found.append(Label("modulation", answer.name, "classifier", answer.probability))
                model_hash = answer.model_hash
                break
        return tuple(sorted(found, key=lambda label: _STRENGTH.index(label.source))), model_hash
