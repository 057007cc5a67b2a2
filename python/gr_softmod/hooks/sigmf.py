# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF metadata of captured records, their index and collection (docs/capture.md)."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gr_softmod import __version__
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.hooks.wire import Label, Message

#: Version of SigMF, https://sigmf.org.
SIGMF_VERSION = "1.2.6"
COLLECTION, INDEX = "capture.sigmf-collection", "index.json"


@dataclass(frozen=True)
class Record:
    """A captured window: what its message said, and where its arrays lie.

    Attributes:
        message: without its arrays.
        missing: messages lost before it, by their sequence numbers.
        spans: first byte and size in the data file of each array.
    """

    message: Message
    missing: int
    spans: dict[str, tuple[int, int]]


class _Array(NamedTuple):
    dtype: str
    datatype: str  # SigMF's name of it
    what: str


ARRAYS: Mapping[str, _Array] = {
    "iq": _Array("complex64", "cf32_le", "captured windows of IQ samples"),
    "llr": _Array("float32", "rf32_le", "LLRs ln P(1)/P(0) of the captured windows"),
    "symbols": _Array("complex64", "cf32_le", "symbols that are known to have been sent in the captured windows"),
    "bits": _Array("uint8", "ru8", "bits that are known to have been sent in the captured windows"),
}


def write_all(file: int, data: memoryview) -> None:
    """Write everything to a file descriptor."""
    while data:
        data = data[os.write(file, data) :]


def write_atomically(path: Path, text: str) -> None:
    """The file appears whole or not at all, also when the machine stops."""
    temporary = path.with_name(f".{path.name}.tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(file, memoryview(text.encode()))
        os.fsync(file)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_recording(data: Path, array: str, records: Sequence[Record], damaged: int) -> None:
    """Write the metadata of one data file of a segment."""
    kind = ARRAYS[array]
    item = np.dtype(kind.dtype).itemsize
    digest = hashlib.sha512()
    with data.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    info: dict[str, Any] = {
        "core:datatype": kind.datatype,
        "core:version": SIGMF_VERSION,
        "core:description": kind.what,
        "core:recorder": f"gr-softmod {__version__}",
        "core:sha512": digest.hexdigest(),
        "core:extensions": [{"name": "softmod", "version": f"{CONVENTIONS_VERSION}.0.0", "optional": True}],
    }
    if array == "iq":
        info["core:sample_rate"] = records[0].message.sample_rate
        info["softmod:summary"] = _summary(records, damaged)
    captures, annotations = [], []
    for record in records:
        if array in record.spans:
            first, count = (value // item for value in record.spans[array])
            annotations.append(_annotation(record, array, first, count))
            if array == "iq":
                captures.append(_capture(record, first))
    meta = {"global": info, "captures": captures or [{"core:sample_start": 0}], "annotations": annotations}
    write_atomically(data.with_suffix(".sigmf-meta"), json.dumps(meta, indent=1, allow_nan=False) + "\n")


def _capture(record: Record, first: int) -> dict[str, Any]:
    message = record.message
    made = {"core:sample_start": first, "core:global_index": message.sample_index, "core:datetime": message.time}
    return made if message.frequency is None else made | {"core:frequency": message.frequency}


def _annotation(record: Record, array: str, first: int, count: int) -> dict[str, Any]:
    message = record.message
    made: dict[str, Any] = {
        "core:sample_start": first,
        "core:sample_count": count,
        "softmod:sequence": message.sequence,
        "softmod:missing_before": record.missing,
        "softmod:policy": message.fields["policy"],
    }
    if array != "iq":  # what belongs together has one sequence number
        return made
    made["softmod:labels"] = [label.__dict__ for label in message.labels]
    if (label := message.label()) is not None:
        made["core:label"] = label.value
    if (snr_db := message.label("snr_db")) is not None:
        made["softmod:snr_db"] = float(snr_db.value)
    for key in ("dropped", "constellation"):
        if key in message.fields:
            made[f"softmod:{key}"] = message.fields[key]
    if message.model_hash is not None:
        made["softmod:model_hash"] = message.model_hash
    return made


def _summary(records: Sequence[Record], damaged: int) -> dict[str, Any]:
    messages = [record.message for record in records]
    labels = Counter(label.value for message in messages if (label := message.label()) is not None)
    sources = Counter(label.source for message in messages if (label := message.label()) is not None)
    return {
        "records": len(records),
        "bytes": sum(size for record in records for _, size in record.spans.values()),
        "first_sequence": messages[0].sequence,
        "last_sequence": messages[-1].sequence,
        "first_time": messages[0].time,
        "last_time": messages[-1].time,
        "missing": sum(record.missing for record in records),
        "damaged": damaged,
        "labels": dict(sorted(labels.items())),
        "label_sources": dict(sorted(sources.items())),
    }


def read_finished(folder: Path, name: str) -> Iterator[Record]:
    """The records of a finished recording, their arrays left in the data files.

    Raises:
        OSError, ValueError: it cannot be read or is not one of ours.
    """
    spans: dict[int, dict[str, tuple[int, int]]] = {}
    for array, kind in ARRAYS.items():
        path = (folder if array == "iq" else folder / array) / f"{name}.sigmf-meta"
        if path.exists():
            item = np.dtype(kind.dtype).itemsize
            for at in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
                span = at["core:sample_start"] * item, at["core:sample_count"] * item
                spans.setdefault(at["softmod:sequence"], {})[array] = span
    meta = json.loads((folder / f"{name}.sigmf-meta").read_text(encoding="utf-8"))
    rate = meta["global"]["core:sample_rate"]
    for capture, annotation in zip(meta["captures"], meta["annotations"], strict=True):
        fields = {"policy": annotation["softmod:policy"]}
        for key in ("dropped", "constellation"):
            if f"softmod:{key}" in annotation:
                fields[key] = annotation[f"softmod:{key}"]
        sequence = annotation["softmod:sequence"]
        message = Message(
            "window",
            sequence,
            capture["core:global_index"],
            rate,
            capture.get("core:frequency"),
            capture["core:datetime"],
            annotation.get("softmod:model_hash"),
            tuple(Label(**label) for label in annotation["softmod:labels"]),
            fields=fields,
        )
        yield Record(message, annotation["softmod:missing_before"], spans[sequence])


def read_summary(meta: Path) -> dict[str, Any]:
    """What a finished recording says about itself, for the index.

    Raises:
        OSError, ValueError: it cannot be read or is not one of ours.
    """
    info = json.loads(meta.read_text(encoding="utf-8"))["global"]
    if not isinstance(info, dict) or "softmod:summary" not in info:
        raise ValueError(f"{meta.name} was not written by softmod capture")
    return {"sample_rate": info["core:sample_rate"], **info["softmod:summary"]}


def write_index(folder: Path, segments: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the index and the SigMF collection of finished recordings, by name."""
    totals: dict[str, Any] = {key: sum(s[key] for s in segments.values()) for key in ("records", "bytes", "missing")}
    labels: Counter[str] = Counter()
    for segment in segments.values():
        labels.update(segment["labels"])
    index = {
        "format": 1,
        "conventions": CONVENTIONS_VERSION,
        **totals,
        "labels": dict(sorted(labels.items())),
        "recordings": [{"name": name, **summary} for name, summary in segments.items()],
    }
    streams = [
        {"name": name, "hash": hashlib.sha512((folder / f"{name}.sigmf-meta").read_bytes()).hexdigest()}
        for name in segments
    ]
    collection = {"core:version": SIGMF_VERSION, "core:description": "captured windows", "core:streams": streams}
    write_atomically(folder / COLLECTION, json.dumps({"collection": collection}, indent=1) + "\n")
    write_atomically(folder / INDEX, json.dumps(index, indent=1, allow_nan=False) + "\n")
