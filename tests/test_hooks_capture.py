# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures: what was written is there, whatever happened to the writer, the disk or the sender."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import validator_for
from sigmf import SigMFCollection, schema, sigmffile, validate

from fuzz_wire import same
from gr_softmod.classifier.data.sigmf_frames import SigMFFrames
from gr_softmod.hooks import capture as capture_module
from gr_softmod.hooks.capture import Capture, QuotaReached, Rolling, read_index, read_records
from gr_softmod.hooks.wire import Label, Message

#: Memory where there is some: these tests wait for the disk thousands of times.
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
SMALL = Rolling(size=1 << 20, records=5)


@pytest.fixture(scope="module", autouse=True)
def schema_checked_once() -> Iterator[None]:
    """Each validation checks the SigMF schema itself too, which takes far longer than what is validated."""
    kind = validator_for(schema.get_schema())
    kind.check_schema(schema.get_schema())
    with patch.object(kind, "check_schema", lambda *_, **__: None):
        yield


def window(sequence: int, **changes: Any) -> Message:
    """A window like no other: its contents follow from its number."""
    rng = np.random.default_rng(sequence)
    iq = (rng.normal(size=16) + 1j * rng.normal(size=16)).astype(np.complex64)
    arrays: dict[str, Any] = {"iq": iq}
    if sequence % 3 == 0:
        arrays["llr"] = rng.normal(size=32).astype(np.float32)
    if sequence % 4 == 0:
        arrays |= {"bits": rng.integers(0, 2, 5).astype(np.uint8), "symbols": iq[:5].copy()}
    labels = (
        Label("modulation", ("QPSK", "8PSK")[sequence % 2], "classifier", 0.5),
        Label("snr_db", "12.5", "message"),
    )
    made = Message(
        "window", sequence, 100 * sequence, 48e3, 435.5e6, f"2026-01-31T12:00:{sequence % 60:02d}Z", "ab" * 32,
        labels if sequence % 5 else (), arrays, {"policy": "every", "dropped": sequence},
    )  # fmt: skip
    return replace(made, **changes)


def messages(folder: Path) -> list[Message]:
    return [record.message for record in read_records(folder)]


def assert_holds(folder: Path, expected: list[Message]) -> None:
    found = messages(folder)
    assert [m.sequence for m in found] == [m.sequence for m in expected]
    assert all(same(a, b) for a, b in zip(found, expected, strict=True))


def assert_whole(folder: Path, records: int) -> None:
    """The folder as other programs see it: valid SigMF, hashes that agree, an index that tells the truth."""
    index = read_index(folder)
    assert index["records"] == records == sum(r["records"] for r in index["recordings"]) == len(messages(folder))
    metas = sorted(folder.glob("*.sigmf-meta"))
    assert [meta.stem for meta in metas] == [r["name"] for r in index["recordings"]]
    for meta in [*metas, *folder.glob("*/*.sigmf-meta")]:
        validate.validate(json.loads(meta.read_text()))
        sigmffile.fromfile(str(meta))  # compares core:sha512
    collection = json.loads((folder / "capture.sigmf-collection").read_text())
    SigMFCollection(metadata=collection, base_path=folder)  # compares the hashes of its streams
    assert [s["name"] for s in collection["collection"]["core:streams"]] == [meta.stem for meta in metas]
    data = {path.with_suffix("") for path in [*folder.glob("*.sigmf-data"), *folder.glob("*/*.sigmf-data")]}
    assert data == {path.with_suffix("") for path in [*metas, *folder.glob("*/*.sigmf-meta")]}
    assert not [*folder.glob("*.journal"), *folder.glob(".*.tmp")]


def test_records_come_back_as_they_were_while_written_and_after(tmp_path: Path) -> None:
    expected = [window(k) for k in range(12)]
    with Capture(tmp_path, rolling=SMALL) as capture:
        for count, message in enumerate(expected, 1):
            assert capture.add(message) == 0
            assert_holds(tmp_path, expected[:count])
        assert capture.records == 12
    assert_holds(tmp_path, expected)
    assert_whole(tmp_path, 12)
    assert read_index(tmp_path)["labels"] == {"8PSK": 5, "QPSK": 4}
    assert len(read_index(tmp_path)["recordings"]) == 3


def test_the_classifier_reads_them(tmp_path: Path) -> None:
    with Capture(tmp_path, rolling=SMALL) as capture:
        for k in range(12):
            capture.add(window(k))
    for path in (tmp_path, tmp_path / "capture.sigmf-collection"):
        frames = SigMFFrames(path, frame_length=16)
        labelled = [k for k in range(12) if k % 5]
        assert np.array_equal(frames.read(range(len(labelled))), [window(k).arrays["iq"] for k in labelled])
        assert [frames.class_names[c] for c in frames.labels] == [("QPSK", "8PSK")[k % 2] for k in labelled]
        assert set(frames.snr_db) == {12.5}


def test_gaps_of_the_sequence_are_in_the_metadata(tmp_path: Path) -> None:
    with Capture(tmp_path) as capture:
        assert [capture.add(window(k)) for k in (3, 4, 9, 10, 12)] == [0, 0, 4, 0, 1]
        assert capture.missing == 5
    with Capture(tmp_path) as capture:  # the sender went on while nobody captured
        assert capture.add(window(20)) == 7
        assert capture.add(window(0)) == 0  # the sender began anew: a recording of its own
    assert [record.missing for record in read_records(tmp_path)] == [0, 0, 4, 0, 1, 7, 0]
    index = read_index(tmp_path)
    assert index["missing"] == 12 and [r["records"] for r in index["recordings"]] == [5, 1, 1]
    meta = json.loads((tmp_path / "capture-00000000.sigmf-meta").read_text())
    assert [c["core:global_index"] for c in meta["captures"]] == [300, 400, 900, 1000, 1200]
    assert_whole(tmp_path, 7)


@pytest.mark.parametrize(
    ("rolling", "sizes"),
    [(Rolling(records=4), [4, 4, 2]), (Rolling(size=384), [3, 3, 3, 1]), (Rolling(seconds=300 / 48e3), [3, 3, 3, 1])],
)
def test_when_a_recording_ends(tmp_path: Path, rolling: Rolling, sizes: list[int]) -> None:
    with Capture(tmp_path, rolling=rolling) as capture:
        for k in range(10):
            capture.add(window(k, arrays={"iq": window(k).arrays["iq"]}, labels=()))
    assert [r["records"] for r in read_index(tmp_path)["recordings"]] == sizes


def test_a_change_of_rate_begins_a_recording(tmp_path: Path) -> None:
    with Capture(tmp_path) as capture:
        for k in range(4):
            capture.add(window(k, sample_rate=48e3 if k < 2 else 96e3))
    assert [r["sample_rate"] for r in read_index(tmp_path)["recordings"]] == [48e3, 96e3]


@pytest.mark.parametrize(
    "message",
    [Message("hello", 0, fields={"role": "x"}), window(1, labels=(Label("snr_db", "much", "message"),)),
     window(1, labels=(Label("snr_db", "nan", "message"),))],
    ids=["hello", "text", "nan"],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_and_harms_nothing(tmp_path: Path, message: Message) -> None:
    with Capture(tmp_path) as capture:
        capture.add(window(0))
        with pytest.raises(ValueError):
            capture.add(message)
        capture.add(window(1))
    assert_whole(tmp_path, 2)


# -- killed ------------------------------------------------------------------------------------------------------------

TOTAL = 12


def in_child(action: Callable[[int], object], tmp: Path) -> list[int]:
    """Run in a process of its own that may die; returns the numbers it wrote to the file it was given."""
    said = tmp / "said"
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    child = os.fork()
    if child == 0:
        try:
            action(file)
        finally:
            os._exit(0)
    os.close(file)
    os.waitpid(child, 0)
    return [int(line) for line in said.read_bytes().split()]


class Killer:
    """Kills this process with SIGKILL when `budget` bytes are written; every other call on files counts one byte."""

    def __init__(self, budget: float) -> None:
        self.left, self.spent = budget, 0
        self.real_write = os.write
        os.write = self.write  # type: ignore[assignment]
        for name in ("open", "fsync", "replace", "unlink", "ftruncate", "close"):
            setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.spend(1)
            return call(*args, **kwargs)

        return wrapped

    def spend(self, cost: int) -> None:
        self.left -= cost
        self.spent += cost
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, file: int, data: Any) -> int:
        if len(data) > self.left:
            self.real_write(file, data[: int(self.left)])
        self.spend(len(data))
        return self.real_write(file, data)


def capture_and_say(folder: Path, budget: float, file: int) -> Killer:
    say = os.write
    killer = Killer(budget)
    with Capture(folder, rolling=SMALL) as capture:
        for k in range(capture.records, TOTAL):
            capture.add(window(k))
            say(file, b"%d\n" % k)
    return killer


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder whose fsync costs nothing."""
    with tempfile.TemporaryDirectory(prefix="softmod-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def whole_cost(memory: Path) -> int:
    """What the whole run spends."""
    folder = Path(tempfile.mkdtemp(dir=memory))

    def run(file: int) -> None:
        killer = capture_and_say(folder / "c", float("inf"), file)
        killer.real_write(file, b"%d\n" % killer.spent)

    return in_child(run, folder)[-1]


@settings(max_examples=25)
@given(st.data())
def test_killed_at_any_byte_twice_nothing_complete_is_lost(whole_cost: int, memory: Path, data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp(dir=memory))
    done = -1
    for _ in range(2):
        budget = data.draw(st.integers(0, whole_cost))
        said = in_child(partial(capture_and_say, folder / "c", budget), folder)
        done = max([done, *said])
        if (folder / "c").is_dir():
            found = messages(folder / "c")
            assert len(found) in (done + 1, done + 2)  # the last may be written and not said
            assert_holds(folder / "c", [window(k) for k in range(len(found))])
            done = len(found) - 1
    with Capture(folder / "c", rolling=SMALL) as capture:
        assert capture.records == done + 1
        for k in range(done + 1, TOTAL):
            assert capture.add(window(k)) == 0
    assert_holds(folder / "c", [window(k) for k in range(TOTAL)])
    assert_whole(folder / "c", TOTAL)


def test_kill_dash_nine_from_outside(memory: Path) -> None:
    tmp_path = Path(tempfile.mkdtemp(dir=memory))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        capture = Capture(tmp_path, rolling=SMALL)
        for k in range(10**9):
            capture.add(window(k))
            os.write(writing, b"%d\n" % (k + 1))
    os.close(writing)
    with os.fdopen(reading) as said:
        seen = [int(said.readline()) for _ in range(23)][-1]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen = max([seen, *map(int, said.read().split())])
    found = messages(tmp_path)
    assert len(found) in (seen, seen + 1)
    with Capture(tmp_path) as capture:
        assert capture.records == len(found)
    assert_whole(tmp_path, len(found))


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_byte_costs_its_record_and_no_other(memory: Path, where: int, flip: int) -> None:
    folder = Path(tempfile.mkdtemp(dir=memory))
    capture = Capture(folder)
    for k in range(6):
        capture.add(window(k))
    assert capture._segment is not None
    capture._segment.close()
    os.close(capture._lock)
    files = sorted(p for p in folder.rglob("capture-*") if p.is_file())
    path = files[where % len(files)]
    content = bytearray(path.read_bytes())
    at = where // len(files) % len(content)
    content[at] ^= flip
    path.write_bytes(content)
    # A line break that appears or goes in the journal makes one or two lines unreadable.
    least = 4 if path.suffix == ".journal" else 5
    with Capture(folder) as again:
        assert least <= again.records <= 6
    for message in messages(folder):
        assert same(message, window(message.sequence))


# -- full --------------------------------------------------------------------------------------------------------------


def test_a_file_that_may_not_grow_stops_the_capture_and_loses_nothing(tmp_path: Path) -> None:
    def run(file: int) -> None:
        say = os.write
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        capture = Capture(tmp_path / "c")
        for k in range(TOTAL):
            try:
                capture.add(window(k))
            except OSError:
                for _ in range(3):  # it stays as it is, however often it is tried
                    with pytest.raises(OSError):
                        capture.add(window(k))
                os._exit(0)
            say(file, b"%d\n" % k)

    done = in_child(run, tmp_path)[-1]
    assert 2 < done < TOTAL - 1
    assert_holds(tmp_path / "c", [window(k) for k in range(done + 1)])
    with Capture(tmp_path / "c") as capture:
        for k in range(done + 1, TOTAL):
            capture.add(window(k))
    assert_holds(tmp_path / "c", [window(k) for k in range(TOTAL)])
    assert_whole(tmp_path / "c", TOTAL)


@pytest.mark.parametrize("when_full", ["stop", "oldest"])
def test_a_full_disk(tmp_path: Path, when_full: Any) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("may not mount a small file system")
    try:
        capture, k = Capture(tmp_path / "c", when_full=when_full, rolling=SMALL), 0
        filler = np.ones(500, np.float32)
        try:
            while k < 300:
                capture.add(window(k, arrays=window(k).arrays | {"llr": filler}))
                k += 1
        except OSError:
            assert when_full == "stop"
        assert (k == 300) == (when_full == "oldest")
        found = [m.sequence for m in messages(tmp_path / "c")]
        assert found == list(range(k))[-len(found) :] and len(found) > 10
        assert when_full == "oldest" or found[0] == 0
        (capture.close if when_full == "oldest" else lambda: os.close(capture._lock))()
        if when_full == "stop":
            subprocess.run(["mount", "-o", "remount,size=1m", tmp_path], check=True)
        with Capture(tmp_path / "c") as again:
            now = [m.sequence for m in messages(tmp_path / "c")]
            assert again.records == len(now)
        # Metadata need room too: for theirs, close may have removed one more old recording.
        assert now == found if when_full == "stop" else now == found[-len(now) :] and len(now) > 10
        found = now
        assert_whole(tmp_path / "c", len(found))
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_the_quota_stops_or_removes_the_oldest(memory: Path) -> None:
    tmp_path = Path(tempfile.mkdtemp(dir=memory))
    with Capture(tmp_path / "stop", quota=2000) as capture, pytest.raises(QuotaReached, match="2000"):
        for k in range(99):
            capture.add(window(k))
    assert_whole(tmp_path / "stop", len(messages(tmp_path / "stop")))
    with Capture(tmp_path / "oldest", quota=2000, when_full="oldest") as capture:
        for k in range(99):
            capture.add(window(k))
            assert capture.used <= 2000
    found = [m.sequence for m in messages(tmp_path / "oldest")]
    assert found == list(range(99))[-len(found) :] and len(found) > 5
    assert_whole(tmp_path / "oldest", len(found))


def test_two_writers_do_not_meet_and_arguments_are_checked(tmp_path: Path) -> None:
    with Capture(tmp_path), pytest.raises(ValueError, match="another process"):
        Capture(tmp_path)
    with pytest.raises(ValueError, match="quota"):
        Capture(tmp_path, quota=0)
    with pytest.raises(ValueError, match="when_full"):
        Capture(tmp_path, when_full="wait")
    Capture(tmp_path).close()
    assert messages(tmp_path) == [] and capture_module.read_index(tmp_path)["recordings"] == []
