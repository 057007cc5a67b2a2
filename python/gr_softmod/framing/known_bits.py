# SPDX-License-Identifier: GPL-3.0-or-later
"""What was on the channel, from a frame that was decoded: every bit of it is known once its check sequence holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr_softmod.framing import hdlc
from gr_softmod.framing.ax25 import Frame

#: Channel bits before a data bit that the scrambler and NRZI remember.
MEMORY = int(hdlc.ERROR_SPREAD[-1])


def ax25_channel_bits(frame: Frame, llr: ArrayLike) -> NDArray[np.uint8]:
    """The channel bits [end - start] of a frame, behind its opening flag up to the end of the closing one.

    The payload is encoded again: check sequence, bit stuffing, closing flag, scrambler, NRZI. The scrambler's state
    is not in the payload; it is what the channel bits before the frame left, as they were decided (a sender's
    scrambler runs on, and NRZI is known up to a sign that the receiver's phase has in common).

    Args:
        frame: from :func:`gr_softmod.framing.ax25.recover_frames`.
        llr: [N] the LLRs it was found in.
    Raises:
        ValueError: encoding the payload does not give the decisions with the frame's flips undone, so it was not that
            payload, or the frame begins before there are 18 bits.
    """
    hard = (np.asarray(llr, np.float64) > 0).astype(np.uint8)
    hard[list(frame.flips)] ^= 1
    if frame.start < MEMORY or frame.end > len(hard):
        raise ValueError(f"the frame spans bits {frame.start} to {frame.end}; {MEMORY} to {len(hard)} are there")
    data = hdlc.frame_bits(frame.payload)[len(hdlc.FLAG) :]
    bits = _scramble_after(data, hard[frame.start - MEMORY : frame.start])
    if not np.array_equal(bits, hard[frame.start : frame.end]):
        raise ValueError("the frame encoded again is not what was received")
    return bits


def _scramble_after(data: NDArray[np.uint8], before: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scrambled = 1 ^ before[1:] ^ before[:-1]  # undoes NRZI: the 17 latest bits of the scrambler, oldest first
    seed = int(sum(int(bit) << k for k, bit in enumerate(scrambled[::-1])))
    return hdlc.scramble(data, seed) ^ before[-1]
