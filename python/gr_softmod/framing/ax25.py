# SPDX-License-Identifier: GPL-3.0-or-later
"""AX.25 frames (G3RUH scrambling, NRZI) from soft bits, with the least reliable bits guessed until the CRC holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.bindings import _kernels
from gr_softmod.framing import hdlc

_SPREAD = int(hdlc.ERROR_SPREAD[-1])  # channel bits before a data bit that have a say in it


class Frame(NamedTuple):
    """A frame whose CRC holds."""

    start: int  # channel bit behind the opening flag
    end: int  # channel bit behind the closing flag
    payload: bytes  # without check sequence
    flips: tuple[int, ...]  # channel bits that were taken for their opposite
    cost: float  # sum of their |LLR|: how much less likely than the hard decisions this is, in nats
    guesses: int  # guesses tried before and with it


def recover_frames(
    llr: ArrayLike,
    *,
    guesses: int = 1024,
    weakest: int = 24,
    largest_expected_errors: float = 12.0,
    min_bytes: int = 15,
    max_bytes: int = 330,
) -> list[Frame]:
    """Frames in LLRs of channel bits, in order of time.

    The LLRs must be those of the bits on the channel (coherent, before NRZI decoding): there one error is one bit,
    behind the descrambler it is six. Their sign may be inverted throughout; NRZI does not see it. From every flag, the
    sets of the ``weakest`` bits of the frame to come are flipped in order of their total ``|LLR|``, most likely first,
    until a closing flag follows with a CRC that holds.

    Each guess passes a CRC of 16 bits by chance once in 65536 times, and needs a flag and whole bytes to be counted, so
    a frame that cannot be recovered turns into a false one with a probability below ``guesses / 65536``.

    Args:
        llr: [N] float, ``ln P(1)/P(0)``.
        guesses: most sets tried for an opening flag; 1: hard decisions alone.
        weakest: bits that the sets are made of.
        largest_expected_errors: the expected number of wrong bits, by the LLRs, from which on a frame is not tried.
        min_bytes, max_bytes: of the payload, without check sequence.
    Raises:
        ValueError: llr is not one-dimensional, or a count is below 1.
    """
    soft = np.asarray(llr, np.float64)
    if soft.ndim != 1:
        raise ValueError(f"llr has shape {soft.shape}; it must be one-dimensional")
    if guesses < 1 or weakest < 1:
        raise ValueError(f"guesses is {guesses} and weakest is {weakest}; both must be at least 1")
    reader = _Reader(soft, guesses, weakest, largest_expected_errors, min_bytes, max_bytes)
    found = reader.hard_frames()
    if guesses > 1:
        found = reader.soft_frames(found)
    return sorted(found)


class _Reader:
    def __init__(
        self, soft: NDArray[np.float64], guesses: int, weakest: int, errors: float, min_bytes: int, max_bytes: int
    ) -> None:
        self.guesses, self.weakest, self.errors = guesses, weakest, errors
        self.min_bytes, self.max_bytes = min_bytes, max_bytes
        self.weight = np.abs(soft)
        # Expected number of wrong bits before each bit: P(wrong) = 1 / (1 + exp(|LLR|)).
        self.wrong = np.concatenate(([0.0], np.cumsum(1 / (1 + np.exp(np.minimum(self.weight, 700))))))
        self.data = np.zeros(len(soft), np.uint8)  # data[k] belongs to channel bit k
        if len(soft) > _SPREAD:
            self.data[_SPREAD:] = hdlc.descramble(soft > 0)
        self.starts = hdlc.flag_ends(self.data)
        self.longest = ((max_bytes + 2) * 8 * 6) // 5 + len(hdlc.FLAG)

    def hard_frames(self) -> list[Frame]:
        nothing = np.empty(0, np.int64)
        frames = (self._search(int(start), int(start) + self.longest, nothing, 1) for start in self.starts)
        return [frame for frame in frames if frame is not None]

    def soft_frames(self, found: list[Frame]) -> list[Frame]:
        """``found`` and what guessing adds, at most one frame anywhere."""
        for start in self.starts:
            if any(frame.start <= start < frame.end - len(hdlc.FLAG) for frame in found):
                continue
            frame = self._guess(int(start), found)
            if frame is not None:
                found.append(frame)
        return found

    def _guess(self, start: int, found: list[Frame]) -> Frame | None:
        # The next frame that is known ends this one at the latest, and so does the limit of expected errors.
        first = max(0, start - _SPREAD)
        hopeless = int(np.searchsorted(self.wrong, self.wrong[first] + self.errors))
        stop = min([start + self.longest, hopeless, *(f.start for f in found if f.start > start)])
        shortest = 8 * (self.min_bytes + 2)
        if stop - start < shortest + len(hdlc.FLAG):
            return None
        # The bits worth flipping lie before the first flag that leaves room for a frame.
        flags = self.starts[(self.starts >= start + shortest) & (self.starts < stop)]
        end = int(flags[0]) if flags.size else stop
        weak = first + np.argsort(self.weight[first:end], kind="stable")[: self.weakest]
        return self._search(start, stop, weak, self.guesses)

    def _search(self, start: int, stop: int, weak: NDArray[np.int64], guesses: int) -> Frame | None:
        result = _kernels.search_hdlc_frame(
            self.data[start:stop],
            weak - start,
            self.weight[weak],
            hdlc.ERROR_SPREAD.tolist(),
            guesses,
            self.min_bytes,
            self.max_bytes,
        )
        if result is None:
            return None
        length, payload, flips, tried = result
        flipped = tuple(start + flip for flip in flips)
        return Frame(start, start + length, payload, flipped, float(self.weight[list(flipped)].sum()), tried)
