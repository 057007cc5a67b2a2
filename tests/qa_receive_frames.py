# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames found while the soft bits are still being written are those that are in all of them."""

import json

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gr_softmod.framing.ax25 import recover_frames
from gr_softmod.framing.hdlc import FLAG, frame_bits, scramble
from gr_softmod.receive.frames import FrameReader, describe, one_line

RNG = np.random.default_rng(5)


def address(callsign: str, station: int, last: bool) -> bytes:
    return bytes(ord(letter) << 1 for letter in callsign.ljust(6)) + bytes([0x60 | station << 1 | last])


def ui_frame(text: bytes) -> bytes:
    return address("QST", 0, False) + address("N0CALL", 7, True) + b"\x03\xf0" + text


def llrs_of(payloads: list[bytes], noise: float) -> np.ndarray:
    """LLRs of channel bits with random ones between the frames."""
    parts: list[np.ndarray] = [FLAG] * 4
    for payload in payloads:
        parts += [frame_bits(payload), RNG.integers(0, 2, int(RNG.integers(0, 3000))), FLAG]
    channel = scramble(np.concatenate(parts))
    return (20 * (2.0 * channel - 1) + noise * RNG.normal(size=len(channel))).astype(np.float32)


PAYLOADS = [ui_frame(f"{number} {'x' * int(RNG.integers(0, 250))}".encode()) for number in range(40)]
CLEAN, NOISY = llrs_of(PAYLOADS, 1.0), llrs_of(PAYLOADS, 7.0)


@given(st.integers(2000, 20_000), st.lists(st.integers(0, len(CLEAN)), max_size=8))
@settings(max_examples=10, deadline=None, phases=[Phase.generate])
def test_no_frame_is_lost_or_doubled(tmp_path_factory, chunk, growth):
    folder = tmp_path_factory.mktemp("frames")
    CLEAN.tofile(folder / "llr")
    reader = FrameReader(folder / "llr", folder / "frames", 100.0, chunk)
    found = [entry for available in sorted(growth) for entry in reader.poll(available)]
    found += reader.poll(len(CLEAN), final=True)
    reader.close()
    whole = recover_frames(CLEAN, guesses=1)
    assert [entry["hex"] for entry in found] == [payload.hex() for payload in PAYLOADS]
    assert [entry["bit"] for entry in found] == [frame.start for frame in whole]
    assert [json.loads(line) for line in (folder / "frames").read_text().splitlines()] == found
    assert reader.count == len(found) and reader.first == found


def test_weak_bits_are_repaired_but_strong_ones_never(tmp_path):
    errors = NOISY.copy()
    errors.tofile(tmp_path / "llr")
    reader = FrameReader(tmp_path / "llr", tmp_path / "frames", 100.0)
    found = reader.poll(len(errors), final=True)
    assert reader.repaired > 0 and {entry["hex"] for entry in found} <= {payload.hex() for payload in PAYLOADS}
    # The same signs, but each as sure as can be: what does not hold as it is cannot have been a weak bit.
    (50 * np.sign(errors)).astype(np.float32).tofile(tmp_path / "llr")
    reader = FrameReader(tmp_path / "llr", tmp_path / "frames", 100.0)
    sure = reader.poll(len(errors), final=True)
    assert reader.repaired == 0 and len(sure) < len(found)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (ui_frame(b"Hello!"), {"from": "N0CALL-7", "to": "QST", "text": "Hello!"}),
        (ui_frame(b"\x00\x01"), {"from": "N0CALL-7", "to": "QST"}),
        (ui_frame(b""), {"from": "N0CALL-7", "to": "QST"}),
        (
            address("QST", 0, False) + address("N0CALL", 1, False) + address("RELAY", 2, True) + b"\x03\xf0Hi",
            {"from": "N0CALL-1", "to": "QST", "via": ["RELAY-2"], "text": "Hi"},
        ),
        (bytes(range(200, 220)), {}),
        (address("qst", 0, False) + address("N0CALL", 7, True) + b"\x03\xf0Hi", {}),
        (address("QST", 0, True) + b"\x03\xf0Hello to nobody", {}),
        (b"", {}),
    ],
)
def test_description(payload, expected):
    assert describe(payload) == {"bytes": len(payload), "hex": payload.hex(), **expected}
    line = one_line({"time_s": 1.5, "repaired_bits": 2, **describe(payload)})
    assert "(2 bits repaired)" in line and "\n" not in line and expected.get("text", payload.hex()) in line
