# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in soft bits while they are still being written, in bounded memory."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np

from gr_softmod.framing.ax25 import Frame, recover_frames

#: Longest frame in channel bits: 330 bytes and a check sequence, all stuffed, and flags. More than any AX.25 frame.
LONGEST_BITS = 332 * 8 * 6 // 5 + 64
#: Soft bits read at a time.
CHUNK = 1 << 16
#: Sets of weak bits flipped to make a frame's check sequence hold; see recover_frames on how often that is false.
GUESSES = 256
#: A flipped bit whose |LLR| is above this on average was no error (one in e^10): its frame held by chance.
LARGEST_COST_PER_BIT = 10.0

_PRINTABLE = set(string.printable.encode()) - set(b"\x0b\x0c")


class FrameReader:
    """Finds AX.25 frames in a file of LLRs that may still grow.

    Args:
        path: float32 LLRs of the bits on the channel.
        out: frames go here, one JSON object a line.
        llr_rate: LLRs a second, for times.
        chunk: LLRs to wait for before looking again.
    """

    def __init__(self, path: Path, out: Path, llr_rate: float, chunk: int = CHUNK) -> None:
        self.count = 0
        self.repaired = 0  # frames that needed bits flipped
        self.first: list[dict[str, Any]] = []  # those the report lists
        self._path, self._out, self._rate, self._chunk = path, out.open("w"), llr_rate, chunk
        self._done = 0  # frames that begin before this bit have been reported

    def poll(self, available: int, final: bool = False) -> list[dict[str, Any]]:
        """Frames in the first ``available`` LLRs of the file that have not been given before."""
        found = []
        while available - self._done > self._chunk + LONGEST_BITS or (final and self._done < available):
            # A frame may begin before and end in what is new, and may keep others from being seen inside it.
            first = max(0, self._done - 2 * LONGEST_BITS)
            last = min(available, self._done + self._chunk + LONGEST_BITS)
            limit = available if final and last == available else last - LONGEST_BITS
            llrs = np.fromfile(self._path, np.float32, last - first, offset=4 * first)
            for frame in recover_frames(llrs, guesses=GUESSES):
                likely = frame.cost <= LARGEST_COST_PER_BIT * len(frame.flips)
                if likely and self._done <= first + frame.start < limit:
                    found.append(self._report(frame, first))
            self._done = limit
        return found

    def _report(self, frame: Frame, offset: int) -> dict[str, Any]:
        bit = offset + frame.start
        entry: dict[str, Any] = {
            "bit": bit,
            "time_s": round(bit / self._rate, 6),
            "repaired_bits": len(frame.flips),
            **describe(frame.payload),
        }
        self.count += 1
        self.repaired += bool(frame.flips)
        if len(self.first) < 100:
            self.first.append(entry)
        self._out.write(json.dumps(entry) + "\n")
        return entry

    def close(self) -> None:
        """Finish the file of frames."""
        self._out.close()


def describe(payload: bytes) -> dict[str, Any]:
    """An AX.25 frame as JSON: who to whom, what, and all its bytes in hexadecimal.

    Source: AX.25 Link Access Protocol 2.2, section 3.12 (addresses).
    """
    fields: dict[str, Any] = {"bytes": len(payload), "hex": payload.hex()}
    addresses: list[str] = []
    at, last = 0, False
    while not last and len(addresses) < 10 and (block := payload[at : at + 7])[6:]:
        name = bytes(byte >> 1 for byte in block[:6]).decode("ascii").rstrip()
        if any(byte & 1 for byte in block[:6]) or not (name.isalnum() and name == name.upper()):
            return fields
        station, last = block[6] >> 1 & 15, bool(block[6] & 1)
        addresses.append(f"{name}-{station}" if station else name)
        at += 7
    if last and len(addresses) >= 2:
        fields |= {"to": addresses[0], "from": addresses[1]}
        if len(addresses) > 2:
            fields["via"] = addresses[2:]
        text = payload[at + 2 :]  # behind control and protocol identifier
        if text and set(text) <= _PRINTABLE:
            fields["text"] = text.decode("ascii")
    return fields


def one_line(entry: dict[str, Any]) -> str:
    """A frame for a person."""
    who = f"{entry['from']} > {entry['to']}" if "from" in entry else "?"
    what = json.dumps(entry["text"], ensure_ascii=False)[1:-1] if "text" in entry else entry["hex"]
    repaired = f" ({entry['repaired_bits']} bits repaired)" if entry["repaired_bits"] else ""
    return f"{entry['time_s']:9.3f} s  {who}  {entry['bytes']} bytes{repaired}: {what}"
